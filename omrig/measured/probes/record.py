"""What is known of a message on its way: its record, and what all probes of a process share.

The record of the message being sent is in a ContextVar, which follows greenlets and threads alike;
what was just received is in another, until the message has a record.
"""

import array
import fcntl
import struct
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from omrig.model.stamps import ID, ID_DIGITS, SAMPLE_DIGITS

now = time.perf_counter_ns

Record = list[Any]
Function = Callable[..., Any]

_IPPROTO_TCP = 6
_TCP_INFO = 11
_BYTES_RECEIVED = struct.Struct("Q").unpack_from  # at byte 128 of struct tcp_info
_SIOCINQ = 0x541B

_NOTE_NS = 5_000_000
"""How often the CPU time of the process is noted at most: with 130 threads that takes 1.7 us, and
more where they are not in the cache."""

_AT_ONCE_NS = 100_000
"""A note that took longer is of no moment in particular: the thread had to wait within it."""


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
        return consumed(self.tls_socket)


def consumed(sock: Any) -> int:
    """Bytes of a TCP stream that a process has taken: what the kernel has less what is unread."""
    unread = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), _SIOCINQ, unread)
    info = sock.getsockopt(_IPPROTO_TCP, _TCP_INFO, 192)
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
        """Rows of ``stamps.CPU_COLUMNS``."""
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

    def rows(self) -> dict[str, "array.array[int]"]:
        """The rows of messages that have ended, by side, one after the other."""
        return {"producer": self.producer_rows, "consumer": self.consumer_rows}

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


def closed(record: Record) -> Record:
    """A record as it is kept: its id as a number."""
    record[ID] = int(record[ID][:ID_DIGITS], 16)
    return record


def realtime_offset_ns() -> int:
    """CLOCK_REALTIME less CLOCK_MONOTONIC, to within the time of two clock readings."""
    readings = []
    for _ in range(50):
        before = now()
        real = time.time_ns()
        after = now()
        readings.append((after - before, real - (before + after) // 2))
    return min(readings)[1]
