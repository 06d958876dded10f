"""The send and receive of a connection: when a message departs, what was read and how far.

A connection's own functions are replaced while messages are stamped, and given back.
"""

import contextlib
import posix
import socket
import struct
from collections.abc import Callable
from typing import Any

from omrig.measured.probes.record import Function, Link, State, consumed, now
from omrig.model.stamps import CONFIRM, CPU_DEPART, DEPART, SOCKET_WAIT

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h: SO_TIMESTAMPNS_OLD, a struct timespec of two longs
_ANCILLARY_BYTES = 64  # one control message with a struct timespec
_TIMESPEC = struct.Struct("qq").unpack
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h

_NO_WAIT = socket.MSG_DONTWAIT

_FRAME_END_BYTES = 1

_CONFIRM_BYTES = 13
"""The payload of a ``basic.ack``: class and method, delivery tag, a flag."""

_SMALL_PAYLOAD_BYTES = 150
"""Smaller frames hold no body: oslo's envelope and ids alone are more. Not worth a stamp."""

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
"""Receive buffer of a connection that is consumed from: 400 messages of 10 KiB, with overhead."""


def transport(state: State, original: Function) -> Function:
    """``TCPTransport._setup_transport``: this connection's send and receive are stamped."""

    def probe(self: Any) -> None:
        original(self)
        self._omrig_link = state.new_link()
        state.transports.add(self)
        if state.stamping:
            _stamp_tcp(state, self)

    return probe


def _stamp_tcp(state: State, transport: Any) -> None:
    sock, link = transport.sock, transport._omrig_link
    green = getattr(sock, "fd", None)
    real = sock if green is None or isinstance(green, int) else green
    real.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    # 0 for a new connection; what was read while the probes were out counts as well.
    link.offset = consumed(real)
    stamped = _counted_receive if state.watcher.capturing else _stamped_receive
    receive = stamped(real, link)
    transport._quick_recv = receive if real is sock else _green_receive(sock, receive)
    transport._write = _stamped_write(state, sock, real)
    state.watcher.add(link.number, real.fileno(), link.consumes)


def tls_transport(state: State, original: Function) -> Function:
    """``SSLTransport._setup_transport``: stamped above the encryption."""

    def probe(self: Any) -> None:
        original(self)
        self._omrig_link = state.new_link(self.sock)
        state.transports.add(self)
        if state.stamping:
            _stamp_tls(state, self)

    return probe


def _stamp_tls(state: State, transport: Any) -> None:
    link, sending, cpu_now = transport._omrig_link, state.sending, state.cpu_now
    read, write = transport.sock.read, transport._write

    def stamped_read(size: int) -> bytes:
        data: bytes = read(size)
        if size == _FRAME_END_BYTES:
            link.read = now()
        return data

    def stamped_write(data: Any) -> None:
        record = sending.get()
        if record is not None and not record[CONFIRM]:
            if cpu_now:
                record[CPU_DEPART] = cpu_now()
            record[DEPART] = now()
        write(data)

    transport._quick_recv = stamped_read
    transport._write = stamped_write
    state.watcher.add(link.number, transport.sock.fileno(), link.consumes)


def stamp_again(state: State, transport: Any) -> None:
    if transport.sock is not None:
        stamp = _stamp_tcp if transport._omrig_link.tls_socket is None else _stamp_tls
        stamp(state, transport)


def restore(state: State, transport: Any) -> None:
    """Give a connection that is still open its own send and receive back."""
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


def _counted_receive(real: Any, link: Link) -> Callable[[int], bytes]:
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


def _stamped_receive(real: Any, link: Link) -> Callable[[int], bytes]:
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


def _stamped_write(state: State, sock: Any, real: Any) -> Function:
    """A ``sendall`` that stamps the last send of a message, and how long the buffer was full."""
    sending, send_all, descriptor = state.sending, sock.sendall, real.fileno()
    cpu_now = state.cpu_now

    def send_now(data: Any) -> int:
        try:
            # A socket with a timeout waits before it sends; its descriptor does not.
            if real.gettimeout() is None:
                return int(real.send(data, _NO_WAIT))
            return posix.write(descriptor, data)
        except BlockingIOError:
            return 0

    def write(data: Any) -> None:
        record = sending.get()
        if record is None or record[CONFIRM]:
            send_all(data)
            return
        if cpu_now:
            record[CPU_DEPART] = cpu_now()
        entered = now()
        sent = send_now(data)
        if sent != len(data):
            rest = memoryview(data)[sent:]
            while rest:
                # The original waits, with its own timeout, until the first byte fits.
                begin = now()
                send_all(rest[:1])
                entered = now()
                record[SOCKET_WAIT] += entered - begin
                rest = rest[1:]
                if rest:
                    entered = now()
                    rest = rest[send_now(rest) :]
        record[DEPART] = entered

    return write


def transport_close(state: State, original: Function) -> Function:
    """``_AbstractTransport.close``: the watcher lets go of the connection first."""

    def probe(self: Any) -> Any:
        link = getattr(self, "_omrig_link", None)
        if link is not None:
            state.watcher.drop(link.number)
        return original(self)

    return probe


def consume(state: State, original: Function) -> Function:
    """``Channel.basic_consume``: messages will arrive on this connection.

    Its receive buffer is made large: with a full one the broker has to keep what our process does
    not read, and our lag would look like AMQP's.
    """

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        link = getattr(self.connection.transport, "_omrig_link", None)
        if link is not None:
            link.consumes = True
            state.receive_buffer_bytes = _enlarge(self.connection.transport.sock)
            if state.stamping:
                state.watcher.watch(link.number)
        return original(self, *args, **kwargs)

    return probe


def _enlarge(sock: Any) -> int:
    """Set a receive buffer that holds what is on the way, and return its size in bytes.

    Only a privileged process may go beyond net.core.rmem_max; another one keeps the kernel's own
    tuning.
    """
    with contextlib.suppress(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    return int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
