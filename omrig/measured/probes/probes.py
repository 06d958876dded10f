"""The probes: thin wrappers that stamp the record of the message that passes.

One function a kind of stamp, named as in the stage maps: it takes the :class:`State` and the
original function and returns the wrapper. They cost what they measure, so each does the least:
no lock, no log, no call to anything that eventlet patches (a patched ``os.write`` yields before it
writes, and delays the message by a hub's turn).

The record of the message being sent is in a ContextVar, which follows greenlets and threads alike;
what was just received is in another, until the message has a record.
"""

import array
import contextlib
import posix
import socket
import struct
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from omrig.model.stamps import (
    CALL,
    CONFIRM,
    CONFIRM_STAMP,
    CONNECT,
    CONSUMER_COLUMNS,
    CPU_BEGIN,
    CPU_DEPART,
    CPU_ENDPOINT,
    CPU_ENDPOINT_END,
    CPU_HANDED,
    CPU_JSON_IN,
    CPU_JSON_OUT,
    DEPART,
    END,
    ENDPOINT,
    ENDPOINT_END,
    ID,
    ID_DIGITS,
    JSON_IN,
    JSON_OUT,
    LOST_DEPART,
    LOST_JSON_OUT,
    POOL_BEGIN,
    POOL_END,
    PRODUCER_COLUMNS,
    PUT,
    RECONNECT,
    REPLY,
    RETURN,
    SAMPLE_DIGITS,
    SEND,
    SEQ,
    SOCKET_WAIT,
    STAMP,
    START,
    SUBMIT,
    WAIT,
    WOKE,
)

if TYPE_CHECKING:
    from omrig.drivers.maps import Site

now = time.perf_counter_ns

Record = list[Any]
Function = Callable[..., Any]

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h: SO_TIMESTAMPNS_OLD, a struct timespec of two longs
_ANCILLARY_BYTES = 64  # one control message with a struct timespec
_TIMESPEC = struct.Struct("qq").unpack
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_IPPROTO_TCP = 6
_TCP_INFO = 11
_BYTES_RECEIVED = struct.Struct("Q").unpack_from  # at byte 128 of struct tcp_info
_SIOCINQ = 0x541B

_NO_WAIT = socket.MSG_DONTWAIT

_FRAME_END_BYTES = 1

_CONFIRM_BYTES = 13
"""The payload of a ``basic.ack``: class and method, delivery tag, a flag."""

_SMALL_PAYLOAD_BYTES = 150
"""Smaller frames hold no body: oslo's envelope and ids alone are more. Not worth a stamp."""

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
"""Receive buffer of a connection that is consumed from: 400 messages of 10 KiB, with overhead."""

_NOTE_NS = 5_000_000
"""How often the CPU time of the process is noted at most: with 130 threads that takes 1.7 us, and
more where they are not in the cache."""

_AT_ONCE_NS = 100_000
"""A note that took longer is of no moment in particular: the thread had to wait within it."""

_NOT_OURS = -1
"""Sequence number of what is not a message of the load."""


class Link:
    """What is known of one connection: its number, and what was last received on it."""

    __slots__ = ("__weakref__", "consumes", "number", "offset", "read", "stamp", "tls_socket")

    def __init__(self, number: int, tls_socket: Any = None) -> None:
        self.number = number
        self.offset = 0
        self.read = 0
        self.stamp = 0
        self.tls_socket = tls_socket
        self.consumes = False

    def end_offset(self) -> int:
        """Bytes of the TCP stream that our process has taken.

        With TLS the driver's bytes are not the stream's: the kernel is asked what it received and
        what of that is still unread.
        """
        if self.tls_socket is None:
            return self.offset
        return _consumed(self.tls_socket)


def _consumed(tls_socket: Any) -> int:
    import array as arrays
    import fcntl

    unread = arrays.array("i", [0])
    fcntl.ioctl(tls_socket.fileno(), _SIOCINQ, unread)
    info = tls_socket.getsockopt(_IPPROTO_TCP, _TCP_INFO, 192)
    return int(_BYTES_RECEIVED(info, 128)[0]) - unread[0]


class State:
    """What all probes of a process share.

    ``on`` while messages get records; ``stamping`` while connections are stamped. With ``native``
    threads ``cpu_now`` tells the CPU time of the thread that asks, in ns, to be stamped as well,
    and ``thread_cpu`` tells it where only a difference is wanted. They are system calls and of use
    only there; elsewhere they are None.
    """

    def __init__(self, watcher: Any, sample: int, native: bool = False) -> None:
        self.cpu_now = _cpu_clock(self) if native else None
        self.thread_cpu = time.thread_time_ns if native else None
        self.cpu_noted_at = 0
        self.cpu_notes: array.array[int] = array.array("Q")
        """Rows of ``records.CPU_COLUMNS``."""
        self.on = False
        self.stamping = False
        self.watcher = watcher
        self.sample = sample
        self.sending: ContextVar[Record | None] = ContextVar("omrig_sending", default=None)
        self.received: ContextVar[Record | None] = ContextVar("omrig_received", default=None)
        self.in_flight: dict[str, Record] = {}
        self.producer_rows: array.array[int] = array.array("Q")
        self.consumer_rows: array.array[int] = array.array("Q")
        self.links = 0
        self.transports: weakref.WeakSet[Any] = weakref.WeakSet()
        self.blocked: list[tuple[int, str]] = []
        self.receive_buffer_bytes = 0

    def new_link(self, tls_socket: Any = None) -> Link:
        """A link with the next number."""
        self.links += 1
        return Link(self.links, tls_socket)

    def in_sample(self, message_id: str) -> bool:
        """Whether a message's record is kept: both sides agree without talking."""
        return int(message_id[:SAMPLE_DIGITS], 16) % self.sample == 0


def _cpu_clock(state: State) -> Callable[[], int]:
    """The clock of the thread, which now and then notes that of the process, too.

    Here, where the process runs anyway: another process would have to wake up for it, and those it
    interrupts hold the interpreter's lock (200 times a second that was 5 % of a message's CPU).
    """
    thread_cpu, process_cpu = time.thread_time_ns, time.process_time_ns

    def cpu_now() -> int:
        began = now()
        if began - state.cpu_noted_at > _NOTE_NS:
            used = process_cpu()
            ended = now()
            if ended - began < _AT_ONCE_NS:
                state.cpu_noted_at = ended
                state.cpu_notes.extend((ended, used))
        return thread_cpu()

    return cpu_now


def _closed(record: Record) -> Record:
    record[ID] = int(record[ID][:ID_DIGITS], 16)
    return record


# The producer's API and driver


def call(state: State, original: Function) -> Function:
    """``_BaseCallContext.call`` and ``cast``: a record begins and ends."""
    sending, in_flight, rows = state.sending, state.in_flight, state.producer_rows
    cpu_now = state.cpu_now
    width = len(PRODUCER_COLUMNS)

    def probe(self: Any, ctxt: Any, method: str, **arguments: Any) -> Any:
        begin = now()
        seq = arguments.get("seq", _NOT_OURS)
        if seq < 0 or not state.on:
            return original(self, ctxt, method, **arguments)
        record: Record = [0] * width
        record[SEQ] = seq
        record[CALL] = begin
        if cpu_now:
            record[CPU_BEGIN] = cpu_now()
        token = sending.set(record)
        try:
            return original(self, ctxt, method, **arguments)
        finally:
            sending.reset(token)
            message_id = record[ID]
            # No id: the call failed before, or is not in the sample.
            if message_id:
                in_flight.pop(message_id, None)
                record = _closed(record)
                # As late as can be: what comes after it is in nobody's stage.
                record[RETURN] = now()
                rows.extend(record)

    return probe


def send(state: State, original: Function) -> Function:
    """``AMQPDriverBase._send``."""
    return _entered(state, original, SEND)


def _entered(state: State, original: Function, column: int) -> Function:
    sending = state.sending

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is not None:
            record[column] = now()
        return original(self, *args, **kwargs)

    return probe


def serialize(state: State, original: Function) -> Function:
    """``serialize_msg``: oslo's JSON pass, and where a request gets its id."""
    sending, in_flight, in_sample = state.sending, state.in_flight, state.in_sample
    thread_cpu = state.thread_cpu

    def probe(message: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(message)
        if not record[ID]:
            message_id = message.get("_msg_id") or message["_unique_id"]
            if state.sample > 1 and not in_sample(message_id):
                sending.set(None)
                return original(message)
            record[ID] = message_id
            in_flight[message_id] = record
        begin = now()
        used = thread_cpu() if thread_cpu else 0
        result = original(message)
        if thread_cpu:
            record[CPU_JSON_OUT] += thread_cpu() - used
        record[JSON_OUT] += now() - begin
        return result

    return probe


def json_out(state: State, original: Function) -> Function:
    """kombu's JSON pass over the envelope."""
    sending, thread_cpu = state.sending, state.thread_cpu

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, *args, **kwargs)
        begin = now()
        used = thread_cpu() if thread_cpu else 0
        result = original(self, *args, **kwargs)
        if thread_cpu:
            record[CPU_JSON_OUT] += thread_cpu() - used
        record[JSON_OUT] += now() - begin
        return result

    return probe


def pool_get(state: State, original: Function) -> Function:
    """``Pool.get``."""
    sending = state.sending

    def probe(self: Any, retry: Any = None) -> Any:
        record = sending.get()
        if record is None:
            return original(self, retry)
        record[POOL_BEGIN] = now()
        result = original(self, retry)
        record[POOL_END] = now()
        return result

    return probe


def connect(state: State, original: Function) -> Function:
    """``ConnectionPool.create``, inside ``Pool.get``."""
    return _lasting(state, original, CONNECT)


def reconnect(state: State, original: Function) -> Function:
    """``kombu.Connection._ensure_connection``: a lost connection is made again."""
    return _lasting(state, original, RECONNECT)


def reconnect_delay(state: State, original: Function) -> Function:
    """``kombu.Connection.autoretry``: what the driver does on a lost connection before another try.

    It sleeps there, ``kombu_reconnect_delay`` seconds. The broker may have got what was sent on the
    lost connection: what is sent again is then the second of its kind.
    """
    sending = state.sending

    def losing(errback: Function) -> Function:
        def probe(*args: Any, **kwargs: Any) -> Any:
            record = sending.get()
            if record is not None and not record[LOST_DEPART] and not record[CONFIRM]:
                record[LOST_DEPART], record[LOST_JSON_OUT] = record[DEPART], record[JSON_OUT]
            return errback(*args, **kwargs)

        return probe

    def probe(self: Any, fun: Any, channel: Any = None, **options: Any) -> Any:
        errback = options.get("errback")
        if errback is not None and sending.get() is not None:
            options["errback"] = losing(_lasting(state, errback, RECONNECT))
        return original(self, fun, channel, **options)

    return probe


def _lasting(state: State, original: Function, column: int) -> Function:
    sending = state.sending

    def probe(*args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(*args, **kwargs)
        # What the pool makes is connected by the same function: counted once, outside.
        token = sending.set(None)
        begin = now()
        try:
            return original(*args, **kwargs)
        finally:
            record[column] += now() - begin
            sending.reset(token)

    return probe


def confirm(state: State, original: Function) -> Function:
    """``Channel.basic_publish_confirm``: returns when the broker has confirmed."""
    sending = state.sending

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, *args, **kwargs)
        result = original(self, *args, **kwargs)
        record[CONFIRM] = now()
        link = getattr(self.connection.transport, "_omrig_link", None)
        if link is not None:
            record[CONFIRM_STAMP] = link.stamp
        return result

    return probe


def reply_get(state: State, original: Function) -> Function:
    """``ReplyWaiters.get``: the caller waits for its reply."""
    sending = state.sending

    def probe(self: Any, msg_id: str, timeout: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, msg_id, timeout)
        # Call-monitor heartbeats wake the caller before the reply does: first wait, last wake-up.
        if not record[WAIT]:
            record[WAIT] = now()
        result = original(self, msg_id, timeout)
        record[WOKE] = now()
        return result

    return probe


def reply_put(state: State, original: Function) -> Function:
    """``ReplyWaiters.put``: a reply is handed to its caller."""
    in_flight, received, cpu_now = state.in_flight, state.received, state.cpu_now

    def probe(self: Any, msg_id: str, message_data: Any) -> Any:
        record = in_flight.get(msg_id)
        # Call-monitor heartbeats come with the same id.
        if record is not None and message_data.get("ending"):
            arrived = received.get()
            if arrived is not None:
                record[STAMP : CPU_JSON_IN + 1] = arrived
            if cpu_now:
                record[CPU_HANDED] = cpu_now()
            record[PUT] = now()
        return original(self, msg_id, message_data)

    return probe


# The socket


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
    link.offset = _consumed(real)
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


def _stamp_again(state: State, transport: Any) -> None:
    if transport.sock is not None:
        stamp = _stamp_tcp if transport._omrig_link.tls_socket is None else _stamp_tls
        stamp(state, transport)


def _restore(state: State, transport: Any) -> None:
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


# Receiving


def delivery(state: State, original: Function) -> Function:
    """``Consumer._callback``: the last byte of a message has just been read."""
    received, cpu_now = state.received, state.cpu_now

    def probe(self: Any, message: Any) -> Any:
        if state.on:
            begin = now()
            cpu = cpu_now() if cpu_now else 0
            amqp_transport = getattr(message.channel.connection, "transport", None)
            link = getattr(amqp_transport, "_omrig_link", None)
            if link is None:
                # In memory: nothing was read, the message is simply there.
                received.set([0, begin, 0, 0, 0, 0, 0])
            else:
                received.set([link.stamp, link.read, 0, link.number, link.end_offset(), cpu, 0])
        return original(self, message)

    return probe


def json_in(state: State, original: Function) -> Function:
    """oslo's and kombu's JSON passes over what was received."""
    received, thread_cpu = state.received, state.thread_cpu
    summed, summed_cpu = JSON_IN - STAMP, CPU_JSON_IN - STAMP

    def probe(*args: Any, **kwargs: Any) -> Any:
        arrived = received.get()
        if arrived is None:
            return original(*args, **kwargs)
        begin = now()
        used = thread_cpu() if thread_cpu else 0
        result = original(*args, **kwargs)
        if thread_cpu:
            arrived[summed_cpu] += thread_cpu() - used
        arrived[summed] += now() - begin
        return result

    return probe


def incoming(state: State, original: Function) -> Function:
    """``AMQPIncomingMessage.__init__``: a request gets its record."""
    received = state.received
    width = len(CONSUMER_COLUMNS)

    def probe(
        self: Any,
        listener: Any,
        ctxt: Any,
        message: Any,
        unique_id: str,
        msg_id: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        original(self, listener, ctxt, message, unique_id, msg_id, *args, **kwargs)
        if not state.on:
            return
        arrived = received.get()
        message_id = msg_id or unique_id
        if arrived is None or (state.sample > 1 and not state.in_sample(message_id)):
            return
        record: Record = [0] * width
        record[ID] = message_id
        record[STAMP : CPU_JSON_IN + 1] = arrived
        self._omrig_record = record

    return probe


def submit(state: State, original: Function) -> Function:
    """``MessageHandlingServer._on_incoming``: handed to the executor."""
    cpu_now = state.cpu_now

    def probe(self: Any, incoming: Any) -> Any:
        record = getattr(incoming[0], "_omrig_record", None)
        if record is not None:
            if cpu_now:
                record[CPU_HANDED] = cpu_now()
            record[SUBMIT] = now()
        return original(self, incoming)

    return probe


def process(state: State, original: Function) -> Function:
    """``RPCServer._process_incoming``: runs in the executor."""
    sending, rows, cpu_now = state.sending, state.consumer_rows, state.cpu_now

    def probe(self: Any, incoming: Any) -> Any:
        record = getattr(incoming[0], "_omrig_record", None)
        if record is None:
            return original(self, incoming)
        record[START] = now()
        if cpu_now:
            record[CPU_BEGIN] = cpu_now()
        token = sending.set(record)
        try:
            return original(self, incoming)
        finally:
            record[END] = now()
            sending.reset(token)
            rows.extend(_closed(record))

    return probe


def endpoint(state: State, original: Function) -> Function:
    """``RPCDispatcher._do_dispatch``: the endpoint method and oslo's serializer around it."""
    sending, cpu_now = state.sending, state.cpu_now

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, *args, **kwargs)
        # What the endpoint itself sends is not this message's reply.
        token = sending.set(None)
        if cpu_now:
            record[CPU_ENDPOINT] = cpu_now()
        record[ENDPOINT] = now()
        try:
            return original(self, *args, **kwargs)
        finally:
            record[ENDPOINT_END] = now()
            if cpu_now:
                record[CPU_ENDPOINT_END] = cpu_now()
            sending.reset(token)

    return probe


def reply(state: State, original: Function) -> Function:
    """``AMQPIncomingMessage.reply``."""
    return _entered(state, original, REPLY)


# The broker's flow control


def blocked(state: State, original: Function) -> Function:
    """``Connection._on_connection_blocked``: the broker takes no more from this connection."""

    def probe(reason: str) -> Any:
        state.blocked.append((now(), reason))
        return original(reason)

    return probe


def unblocked(state: State, original: Function) -> Function:
    """``Connection._on_connection_unblocked``."""

    def probe() -> Any:
        state.blocked.append((now(), ""))
        return original()

    return probe


KINDS: dict[str, Callable[[State, Function], Function]] = {
    make.__name__: make
    for make in (
        call,
        send,
        serialize,
        json_out,
        pool_get,
        connect,
        reconnect,
        reconnect_delay,
        confirm,
        reply_get,
        reply_put,
        transport,
        tls_transport,
        transport_close,
        consume,
        delivery,
        json_in,
        incoming,
        submit,
        process,
        endpoint,
        reply,
        blocked,
        unblocked,
    )
}
"""What wraps a function, by the name that stage maps use."""


def realtime_offset_ns() -> int:
    """CLOCK_REALTIME less CLOCK_MONOTONIC, to within the time of two clock readings."""
    readings = []
    for _ in range(50):
        before = now()
        real = time.time_ns()
        after = now()
        readings.append((after - before, real - (before + after) // 2))
    return min(readings)[1]


_BOUND_BY_CONNECTIONS = frozenset(
    {"transport", "tls_transport", "transport_close", "consume", "confirm", "delivery", "submit"}
    | {"blocked", "unblocked"}
)
"""Kinds that have to be there when a connection or a server is made: it binds what it finds."""


def split(sites: "Sequence[Site]") -> "tuple[list[Site], list[Site]]":
    """The sites that connections bind, and those that messages pass."""
    bound = [site for site in sites if site.probe.kind in _BOUND_BY_CONNECTIONS]
    return bound, [site for site in sites if site not in bound]


@contextlib.contextmanager
def installed(state: State, sites: "Iterable[Site]") -> Iterator[None]:
    """Wrap the functions at ``sites`` for the length of the block; nothing stays behind."""
    originals = []
    try:
        for site in sites:
            original = site.original
            originals.append((site.owner, site.name, original))
            static = isinstance(original, staticmethod)
            wrapper = KINDS[site.probe.kind](state, original.__func__ if static else original)
            setattr(site.owner, site.name, staticmethod(wrapper) if static else wrapper)
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


@contextlib.contextmanager
def stamping(state: State, sites: "Iterable[Site]") -> Iterator[None]:
    """Stamp messages for the length of the block: at ``sites`` and on all connections.

    Connections have to be known: made while the sites that they bind were installed.
    """
    with installed(state, sites):
        state.stamping = True
        for connection in list(state.transports):
            _stamp_again(state, connection)
        try:
            yield
        finally:
            state.on = False
            state.stamping = False
            for connection in list(state.transports):
                _restore(state, connection)
