"""The arrival watcher: a process that notes when bytes reach our kernel, read or not.

The measured process cannot say when a message arrived that it has not got round to reading, and
the kernel's own receive stamp is that of the last of the unread segments. So a second process
keeps what the kernel notes of each segment (:mod:`omrig.watcher.capture`). Where that is not
permitted it holds copies of the sockets and logs how many bytes each has received, at every edge,
with a priority of its own. A message's end offset in the byte stream then gives its arrival
afterwards (:mod:`omrig.recordings.arrivals`).

Started by :class:`omrig.watcher.client.Watcher` with ``DESCRIPTOR LOG_FOLDER`` as its arguments,
to be up within milliseconds: it imports nothing but light standard modules. DESCRIPTOR is an
``AF_UNIX`` ``SOCK_SEQPACKET`` socket on which it receives ``COMMAND`` packets until the other end
stops sending, and sends a ``REPORT`` when it is ready and another when it has finished.

Its logs are appended as rows of little-endian unsigned 64-bit numbers: ``ARRIVALS`` with the
columns ``ARRIVAL_COLUMNS`` (without a capture) and ``TCP_INFO`` with the columns
``TCP_INFO_COLUMNS``. They are complete at the end of the commands, on SIGTERM and when the measured
process has died.
"""

import _socket
import fcntl
import gc
import posix
import select
import signal
import struct
import sys
import time
from array import array

from omrig.watcher.capture import Capture
from omrig.watcher.layout import (
    ADD,
    ARRIVAL_COLUMNS,
    ARRIVALS,
    COMMAND,
    REPORT,
    SCHEDULING,
    TCP_INFO,
    WATCH,
)

_TCP = _socket.IPPROTO_TCP
_INFO_OPTION = _socket.TCP_INFO
_INFO_ROOM = 512
_INFO = struct.Struct("=68xII24xI16xQQ8xII16xQQQ8xQ8xI")  # struct tcp_info, linux/tcp.h
_RETRANSMITS = 2
_RECEIVED = struct.Struct("=128xQ")  # its tcpi_bytes_received alone
_PASSED = struct.Struct("=i")
_PASSED_SPACE = _socket.CMSG_SPACE(_PASSED.size)
_SIOCINQ = 0x541B
_SIOCOUTQ = 0x5411
_PR_SET_PDEATHSIG = 1

_BATCH = 64
_BLOCK_WORDS = (1 << 20) // 8
_TICK_NS = 1_000_000_000
_PATIENCE_S = 0.25

_DRAIN_S = 0.2
"""How often the ring of a capture is emptied: 16384 segments fit."""

_BUSY_NS = 2_500_000
_PAUSE_S = 0.004
"""Under a load of more than 400 messages a second it looks once in 4 ms: waking for each took 7 %
of the throughput of what it watches, and there 4 ms are little beside the lag. Messages that come
more slowly are seen as they come."""


class _Log:
    """Rows that are kept in memory until they are a block or a second old."""

    def __init__(self, path: str) -> None:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        self._descriptor = posix.open(path, flags, 0o644)
        self.words = array("Q")

    def flush(self) -> None:
        """Write what has been kept."""
        if sys.byteorder == "big":
            self.words.byteswap()
        rest = memoryview(self.words).cast("B")
        while rest:
            rest = rest[posix.write(self._descriptor, rest) :]
        self.words = array("Q")


class _Connection:
    """Our copy of a socket of the measured process."""

    def __init__(self, number: int, descriptor: int, owners: int) -> None:
        self.number = number
        self.owners = owners
        # The file status is shared with the owner: nothing may be called here that sets it. Told
        # everything, the constructor asks the kernel nothing; IPv6 answers to the same options.
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, _TCP, descriptor)
        self.getsockopt = self.socket.getsockopt
        self.descriptor = descriptor
        self.identity = posix.readlink(f"/proc/self/fd/{descriptor}")


class _Watcher:
    def __init__(self, control: _socket.socket, folder: str, capture: Capture | None) -> None:
        self._control = control
        self._capture = capture
        self._epoll = select.epoll()
        self._epoll.register(control.fileno(), select.EPOLLIN)
        self._arrivals = _Log(f"{folder}/{ARRIVALS}")
        self._samples = _Log(f"{folder}/{TCP_INFO}")
        self._drained_at = 0.0
        self._connections: dict[int, _Connection] = {}
        self._watched: dict[int, _Connection] = {}
        self._owner = f"/proc/{posix.getppid()}/fd"
        self._owner_readable = posix.access(self._owner, posix.R_OK | posix.X_OK)
        self._flushed = 0
        self._ended = False

    def run(self) -> None:
        """Until the commands end."""
        watch = self._watch_for_a_second if self._capture is None else self._drain_for_a_second
        watch()
        while not self._ended:
            self._tick()
            watch()

    def close(self) -> None:
        """Complete the logs."""
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._flush()
        if self._capture is not None:
            self._capture.drain()

    def events(self) -> int:
        """Arrivals logged so far."""
        if self._capture is not None:
            return self._capture.segments
        return (self._flushed + len(self._arrivals.words)) // len(ARRIVAL_COLUMNS)

    def _drain_for_a_second(self) -> None:
        until = time.monotonic() + _TICK_NS / 1e9
        while not self._ended and (left := until - time.monotonic()) > 0:
            for descriptor, _ in self._epoll.poll(min(left, _DRAIN_S), 1):
                connection = self._watched.get(descriptor)
                if connection is None:
                    self._obey()
                else:
                    self._drop(connection)
            if self._capture is not None and time.monotonic() - self._drained_at > _DRAIN_S:
                self._capture.drain()
                self._drained_at = time.monotonic()

    # Every microsecond here is taken from what is measured: names are bound, and what can be done
    # once a batch is not done once an event.
    def _watch_for_a_second(self) -> None:
        poll, watched, now = self._epoll.poll, self._watched, time.monotonic_ns
        append, extract, size = self._arrivals.words.append, _RECEIVED.unpack, _RECEIVED.size
        words, tcp, info, readable = self._arrivals.words, _TCP, _INFO_OPTION, select.EPOLLIN
        pause = time.sleep
        until = now() + _TICK_NS
        awake = 0
        while len(words) < _BLOCK_WORDS:
            at = 0
            commanded = False
            for descriptor, mask in poll(_PATIENCE_S, _BATCH):
                connection = watched.get(descriptor)
                if connection is None:
                    commanded = True
                    continue
                (received,) = extract(connection.getsockopt(tcp, info, size))
                # The clock after the count: every byte counted had arrived by then, whatever held
                # us up in between. The clock before would be tighter by less than a microsecond,
                # and false for a segment that came between the two: an arrival before the send.
                at = now()
                append(connection.number)
                append(at)
                append(received)
                if mask != readable:
                    self._drop(connection)
            # After the batch: a command may close a descriptor that the batch still names, and
            # the next connection may get its number.
            if commanded:
                self._obey()
            if at and at - awake < _BUSY_NS:
                pause(_PAUSE_S)
                awake = now()
            elif at:
                awake = at
            if self._ended or (at or now()) >= until:
                return

    def _obey(self) -> None:
        packet, passed, _flags, _address = self._control.recvmsg(
            COMMAND.size, _PASSED_SPACE, _socket.MSG_CMSG_CLOEXEC
        )
        if not packet:
            self._ended = True
            return
        command, watch, owners, number = COMMAND.unpack(packet)
        if command == ADD:
            if passed:
                self._add(number, _PASSED.unpack(passed[0][2])[0], owners, bool(watch))
        elif (connection := self._connections.get(number)) is not None:
            if command == WATCH:
                self._watch(connection)
            else:
                self._drop(connection)

    def _add(self, number: int, descriptor: int, owners: int, watch: bool) -> None:
        connection = _Connection(number, descriptor, owners)
        if (former := self._connections.get(number)) is not None:
            self._drop(former)
        try:
            self._sample(connection)
        except OSError:
            # Not TCP.
            connection.socket.close()
            return
        self._connections[number] = connection
        if watch:
            self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        if connection.descriptor in self._watched:
            return
        self._watched[connection.descriptor] = connection
        if self._capture is not None:
            info = connection.getsockopt(_TCP, _INFO_OPTION, _RECEIVED.size)
            received = _RECEIVED.unpack(info)[0]
            self._capture.follow(connection.number, connection.socket, received)
            # Its end, not its data: for that nobody has to wake up.
            self._epoll.register(connection.descriptor, select.EPOLLET | select.EPOLLRDHUP)
            return
        self._epoll.register(
            connection.descriptor, select.EPOLLIN | select.EPOLLET | select.EPOLLRDHUP
        )
        # What is there already has no edge left if our process reads it now.
        info = connection.getsockopt(_TCP, _INFO_OPTION, _RECEIVED.size)
        self._arrivals.words.extend(
            (connection.number, time.monotonic_ns(), _RECEIVED.unpack(info)[0])
        )

    def _drop(self, connection: _Connection) -> None:
        self._connections.pop(connection.number, None)
        if self._watched.pop(connection.descriptor, None) is not None:
            # Closing is not enough: the owner's copy would keep the registration alive.
            self._epoll.unregister(connection.descriptor)
            if self._capture is not None:
                self._capture.forget(connection.number)
        try:
            self._sample(connection)
        finally:
            connection.socket.close()

    def _sample(self, connection: _Connection) -> None:
        info = connection.getsockopt(_TCP, _INFO_OPTION, _INFO_ROOM)
        row = (
            connection.number,
            time.monotonic_ns(),
            *told(info),
            _queue(connection.descriptor, _SIOCINQ),
            _queue(connection.descriptor, _SIOCOUTQ),
            len(info),
        )
        self._samples.words.extend(row)

    def _tick(self) -> None:
        for connection in list(self._connections.values()):
            if self._owned(connection):
                self._sample(connection)
            else:
                self._drop(connection)
        self._flush()
        if self._capture is not None:
            self._capture.drain()
            self._capture.note_clock()

    def _owned(self, connection: _Connection) -> bool:
        """False when the owner has closed its descriptor without a word."""
        if not self._owner_readable:
            return True
        try:
            return posix.readlink(f"{self._owner}/{connection.owners}") == connection.identity
        except OSError:
            return False

    def _flush(self) -> None:
        self._flushed += len(self._arrivals.words)
        self._arrivals.flush()
        self._samples.flush()


def told(info: bytes) -> list[int]:
    """What a ``struct tcp_info`` says, as far as the kernel knows it: ``TCP_INFO_COLUMNS``, from
    ``rtt_us`` to ``bytes_sent``.

    A sender whose peer gets no core sends again what was not lost; the peer says so afterwards.
    """
    *columns, had_already = _INFO.unpack(info[: _INFO.size].ljust(_INFO.size, b"\0"))
    columns[_RETRANSMITS] = max(0, columns[_RETRANSMITS] - had_already)
    return columns


def _queue(descriptor: int, request: int) -> int:
    answer = fcntl.ioctl(descriptor, request, bytes(_PASSED.size))
    (waiting,) = _PASSED.unpack(answer)
    return int(waiting)


def _schedule() -> str:
    """Get in front of the measured process, as far as we may: which of ``SCHEDULING`` it is."""
    try:
        posix.sched_setscheduler(0, posix.SCHED_FIFO, posix.sched_param(1))
    except OSError:
        pass
    else:
        return "fifo"
    try:
        posix.setpriority(posix.PRIO_PROCESS, 0, -10)
    except OSError:
        return "normal"
    return "nice"


def _die_with_parent() -> None:
    # The end of the control socket says it too, unless a fork of the parent holds a copy.
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _capture(folder: str) -> Capture | None:
    """What the kernel notes by itself; None where we may not ask it to."""
    try:
        return Capture(folder)
    except OSError:
        return None


def _info_bytes() -> int:
    unconnected = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        return len(unconnected.getsockopt(_TCP, _INFO_OPTION, _INFO_ROOM))
    finally:
        unconnected.close()


def _close_all_but(control: int) -> None:
    """Close what the measured process let us inherit: somebody may wait for its end."""
    for descriptor in map(int, posix.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != control:
            posix.closerange(descriptor, descriptor + 1)


def main(captures: bool) -> None:
    """Watch until told otherwise, on the descriptor and into the folder on the command line."""
    number = int(sys.argv[1])
    _close_all_but(number)
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever ends us arrives as the end of the commands, between two batches.
    signal.signal(signal.SIGTERM, lambda *_: control.shutdown(_socket.SHUT_RD))
    _die_with_parent()
    gc.disable()
    capture = _capture(sys.argv[2]) if captures else None
    # Who does not wake up for a message need not be in front of anybody.
    scheduling = SCHEDULING.index("normal" if capture else _schedule())
    watcher = _Watcher(control, sys.argv[2], capture)
    info_bytes = _info_bytes()

    def report() -> bytes:
        cpu_ns, dropped = time.process_time_ns(), capture.dropped() if capture else 0
        return REPORT.pack(
            scheduling, info_bytes, watcher.events(), cpu_ns, capture is not None, dropped
        )

    try:
        control.send(report())
        watcher.run()
    finally:
        watcher.close()
    try:
        control.send(report(), _socket.MSG_NOSIGNAL)
    except OSError:
        # The measured process has died.
        sys.exit(0)
