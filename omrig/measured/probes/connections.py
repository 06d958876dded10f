"""The send and receive of a connection: when a message departs, what was read and how far.

A connection's own functions are replaced while messages are stamped, and given back.
"""

import _socket
import contextlib
import fcntl
import functools
import posix
import socket
import struct
from collections.abc import Callable
from typing import Any

from omrig.measured.probes.stamp import Link, Record, now
from omrig.measured.probes.state import State
from omrig.model.stamps import CONFIRM, CPU_DEPART, SOCKET_WAIT

Function = Callable[..., Any]

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h: SO_TIMESTAMPNS_OLD, a struct timespec of two longs
_ANCILLARY_BYTES = 64  # one control message with a struct timespec
_TIMESPEC = struct.Struct("qq").unpack
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_IPPROTO_TCP = 6
_TCP_INFO = 11
_BYTES_RECEIVED = struct.Struct("Q").unpack_from  # at byte 128 of struct tcp_info
_CLOSE_WAIT = 8  # the first byte of it, linux/tcp.h: the sender has closed its side
_SIOCINQ = 0x541B
_INT = struct.Struct("i").unpack_from

_HELD_LOCK_BYTES = 1028
"""A buffer of more than 1024 bytes goes to the ioctl as it is, with the interpreter's lock held.
Whoever has to wait for that between two questions finds that more has come meanwhile."""

_LOOKS = 10
"""How often what is unread is compared with what was received: segments come less often."""

_NO_WAIT = socket.MSG_DONTWAIT

_FRAME_END_BYTES = 1

_CONFIRM_BYTES = 13
"""The payload of a ``basic.ack``: class and method, delivery tag, a flag."""

_SMALL_PAYLOAD_BYTES = 150
"""Smaller frames hold no body: oslo's envelope and ids alone are more. Not worth a stamp."""

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
"""Receive buffer of a connection that is consumed from: 400 messages of 10 KiB, with overhead."""


def _guarded(state: State, does: Function) -> Function:
    """A fault of ours does not break the connection: without its stamps its messages are left out.

    What went wrong is told by the run (``State.failures``).
    """
    return functools.partial(_do, state, does)


def _do(state: State, does: Function, transport: Any) -> None:
    try:
        does(state, transport)
    except Exception as error:  # noqa: BLE001 - no fault of ours breaks a message
        state.failures.append(f"{does.__name__}: {error!r}")


def made(state: State) -> Function:
    """``TCPTransport._setup_transport`` returns: this connection's send and receive are stamped."""
    return _guarded(state, _note_tcp)


def made_tls(state: State) -> Function:
    """``SSLTransport._setup_transport`` returns: stamped above the encryption."""
    return _guarded(state, _note_tls)


def closing(state: State) -> Function:
    """``_AbstractTransport.close`` is entered: the watcher lets go of the connection first."""
    return _guarded(state, _let_go)


def consumes(state: State) -> Function:
    """``Channel.basic_consume`` is entered: messages will arrive on this connection.

    Its receive buffer is made large: with a full one the broker has to keep what our process does
    not read, and our lag would look like AMQP's.
    """
    return _guarded(state, _note_consumption)


def _note_tcp(state: State, transport: Any) -> None:
    if not isinstance(_with_descriptor(transport.sock), _socket.socket):
        # Somebody's own kind of socket: what it does cannot be done in its place. Not compared with
        # socket.socket, which eventlet may have replaced.
        return
    transport._omrig_link = link = state.new_link()
    state.transports.add(transport)
    state.note_connection(link.number, transport)
    if state.stamping:
        _stamp_tcp(state, transport)


def _note_tls(state: State, transport: Any) -> None:
    if not isinstance(transport.sock, _socket.socket):
        return
    transport._omrig_link = link = state.new_link(transport.sock)
    state.transports.add(transport)
    state.note_connection(link.number, transport)
    if state.stamping:
        _stamp_tls(state, transport)


def _let_go(state: State, transport: Any) -> None:
    if transport in state.transports:
        state.note_closing(transport._omrig_link.number, transport)
        state.watcher.drop(transport._omrig_link.number)


def _note_consumption(state: State, channel: Any) -> None:
    transport = channel.connection.transport
    if transport in state.transports:
        transport._omrig_link.consumes = True
        if state.enlarge:
            state.receive_buffer_bytes = _enlarge(transport.sock)
        if state.stamping:
            state.watcher.watch(transport._omrig_link.number)


def _enlarge(sock: Any) -> int:
    """Set a receive buffer that holds what is on the way, and return its size in bytes.

    Only a privileged process may go beyond net.core.rmem_max; another one keeps the kernel's own
    tuning.
    """
    with contextlib.suppress(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    return int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))


def stamp_again(state: State, transport: Any) -> None:
    """Stamp a connection that was made before."""
    _do(state, _stamp_again, transport)


def _stamp_again(state: State, transport: Any) -> None:
    link = transport._omrig_link
    if transport.sock is not None:
        # Of a receive that another thread is in now nothing is known but that it is not a stamped
        # one: what it reads is counted when the message is there, by whoever reads.
        link.read = link.stamp = 0
        link.anew = _with_descriptor(transport.sock) if link.tls_socket is None else None
        stamp = _stamp_tcp if link.tls_socket is None else _stamp_tls
        stamp(state, transport)


def restore(state: State, transport: Any) -> None:
    """Give a connection that is still open its own send and receive back."""
    _do(state, _restore, transport)


def _restore(state: State, transport: Any) -> None:
    link = transport._omrig_link
    if transport.sock is None:
        return
    state.watcher.drop(link.number)
    if link.tls_socket is not None:
        del transport._write
        transport._quick_recv = transport.sock.read
    else:
        transport._write = transport.sock.sendall
        transport._quick_recv = transport.sock.recv
        # One that was closed needs it no more.
        with contextlib.suppress(OSError):
            real = _with_descriptor(transport.sock)
            real.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 0)


# TCP


def _stamp_tcp(state: State, transport: Any) -> None:
    sock, link = transport.sock, transport._omrig_link
    real = _with_descriptor(sock)
    real.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    # 0 for a new connection; what was read while the probes were out counts as well.
    link.offset = consumed(real)
    capturing = state.watcher.capturing
    counted = (counted_receive if capturing else stamped_receive)(real, link)
    slow = counted if real is sock else _green_receive(sock, counted)
    green = real is not sock
    transport._quick_recv = state.stamps.receive(real, link, slow, not capturing, green)
    transport._write = stamped_write(state, sock, real)
    state.watcher.add(link.number, real.fileno(), link.consumes)


def _with_descriptor(sock: Any) -> Any:
    """The socket itself, where ``sock`` is eventlet's around it."""
    green = getattr(sock, "fd", None)
    return sock if green is None or isinstance(green, int) else green


def stamped_write(state: State, sock: Any, real: Any) -> Function:
    """A ``sendall`` that stamps the last send of a message, and how long the buffer was full.

    ``real`` is what has the descriptor of ``sock``, or that itself.
    """
    rest = functools.partial(_send_rest, state, sock, real)
    write: Function = state.stamps.write(real, sock.sendall, rest)
    return write


def _send_rest(
    state: State, sock: Any, real: Any, record: Record, data: Any, sent: int, entered: int
) -> None:
    """Send what of ``data`` did not fit at once; ``entered`` is when that send was, 0 for none."""
    rest = memoryview(data)[sent:]
    if not entered:
        entered = now()
        rest = rest[_send_now(real, rest) :]
    while rest:
        # The original waits, with its own timeout, until the first byte fits.
        begin = now()
        sock.sendall(rest[:1])
        entered = now()
        record[SOCKET_WAIT] += entered - begin
        rest = rest[1:]
        if rest:
            entered = now()
            rest = rest[_send_now(real, rest) :]
    state.stamps.departed(record, entered)


def _send_now(real: Any, data: Any) -> int:
    """How much the kernel takes of ``data`` without anybody waiting."""
    try:
        # A socket with a timeout waits before it sends; its descriptor does not.
        if real.gettimeout() is None:
            return int(real.send(data, _NO_WAIT))
        return posix.write(real.fileno(), data)
    except BlockingIOError:
        return 0


def _green_receive(sock: Any, receive: Callable[[int], bytes]) -> Function:
    """As ``GreenSocket.recv`` does it: try, and let the hub wait when there is nothing."""
    wait = sock._read_trampoline

    def stamped(size: int) -> bytes:
        while True:
            try:
                return receive(size)
            except BlockingIOError:
                if sock.act_non_blocking:
                    raise
            except (ConnectionResetError, BrokenPipeError):
                return b""
            wait()

    return stamped


def counted_receive(real: Any, link: Link) -> Callable[[int], bytes]:
    """A ``recv`` that notes how much was read, when a frame was complete, and a confirm's stamp.

    For what a watcher's capture sees the arrival of; nobody looks for confirms there.
    """
    receive, receive_message = real.recv, real.recvmsg

    def counted(size: int) -> bytes:
        if size == _CONFIRM_BYTES:
            data: bytes
            data, ancillary, _, _ = receive_message(size, _ANCILLARY_BYTES)
            if ancillary:
                seconds, nanoseconds = _TIMESPEC(ancillary[0][2][:16])
                link.stamp = seconds * 1_000_000_000 + nanoseconds
        else:
            data = receive(size)
            if size == _FRAME_END_BYTES:
                link.read = now()
        link.offset += len(data)
        return data

    return counted


def stamped_receive(real: Any, link: Link) -> Callable[[int], bytes]:
    """A ``recv`` that notes how much was read, when a frame was complete, and the kernel's stamp.

    py-amqp asks for exactly the bytes of a frame's header, payload and end, one after the other.
    """
    receive, receive_message = real.recv, real.recvmsg

    def stamped(size: int) -> bytes:
        if size == _FRAME_END_BYTES:
            data: bytes = receive(size)
            link.read = now()
        elif size < _SMALL_PAYLOAD_BYTES and size != _CONFIRM_BYTES:
            data = receive(size)
        else:
            data, ancillary, _, _ = receive_message(size, _ANCILLARY_BYTES)
            if ancillary:
                seconds, nanoseconds = _TIMESPEC(ancillary[0][2][:16])
                link.stamp = seconds * 1_000_000_000 + nanoseconds
        link.offset += len(data)
        return data

    return stamped


# TLS


def _stamp_tls(state: State, transport: Any) -> None:
    link, stamps = transport._omrig_link, state.stamps
    read, write = transport.sock.read, transport._write

    def stamped_read(size: int) -> bytes:
        data: bytes = read(size)
        if size == _FRAME_END_BYTES:
            link.read = now()
        return data

    def stamped_write(data: Any) -> None:
        record = stamps.current()
        if record is not None and not record[CONFIRM]:
            if stamps.native:
                record[CPU_DEPART] = stamps.thread_cpu()
            stamps.departed(record, now())
        write(data)

    transport._quick_recv = stamped_read
    transport._write = stamped_write
    state.watcher.add(link.number, transport.sock.fileno(), link.consumes)


def end_offset(link: Link) -> int:
    """Bytes of the TCP stream that our process has taken, up to the end of what was just read.

    With TLS the driver's bytes are not the stream's: the kernel is asked what it received and what
    of that is still unread. So it is once for a connection that was stamped while somebody may have
    read from it; the thread that reads has to ask.
    """
    if link.tls_socket is not None:
        return consumed(link.tls_socket)
    if link.anew is not None:
        # Of a connection that was closed meanwhile nothing more comes.
        with contextlib.suppress(OSError):
            link.offset, link.anew = consumed(link.anew), None
    return link.offset


def consumed(sock: Any) -> int:
    """Bytes of a TCP stream that a process has taken: what the kernel has less what is unread.

    Nobody else may read from it meanwhile.
    """
    number = sock.fileno()
    before, took = _unread(number), 0
    for _ in range(_LOOKS):
        info = sock.getsockopt(_IPPROTO_TCP, _TCP_INFO, 192)
        # The kernel counts the sender's last word, FIN, as a byte that came, but not as one unread.
        took = _BYTES_RECEIVED(info, 128)[0] - (info[0] == _CLOSE_WAIT) - before
        unread = _unread(number)
        # Else bytes came between the two questions, which nobody has taken.
        if unread == before:
            break
        before = unread
    return int(took)


def _unread(number: int) -> int:
    answer = bytearray(_HELD_LOCK_BYTES)
    fcntl.ioctl(number, _SIOCINQ, answer)
    return int(_INT(answer)[0])
