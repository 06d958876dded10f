"""What the instrument of a process consists of: the stamps, the connections, the watcher."""

import time
import weakref
from array import array
from typing import Any

from omrig.measured.probes.kinds import Kinds
from omrig.measured.probes.stamp import Link, Stamps, now
from omrig.model import places
from omrig.model.connections import CLOSED, LOST, OPENED


class State:
    """What all probes of a process share.

    ``stamping`` while connections are stamped; whether messages get records says ``stamps.on``.
    ``side`` is whose process it is, as in a profiler's context. One message in ``sample`` is kept;
    ``native`` threads have their CPU time stamped. ``enlarge`` in the rig's own processes: receive
    buffers are made large, and what the messages are the load knows itself. In a service's process
    neither is so, and ``kinds`` gives numbers for what they are, once there is one.
    """

    def __init__(
        self,
        watcher: Any,
        sample: int,
        native: bool = False,
        side: str = "both",
        enlarge: bool = True,
    ) -> None:
        self.stamps = Stamps(sample=sample, native=native, places=places.tables(side))
        self.stamping = False
        self.watcher = watcher
        self.sample = sample
        self.enlarge = enlarge
        self.kinds: Kinds | None = None
        self.links = 0
        self.transports: weakref.WeakSet[Any] = weakref.WeakSet()
        self.blocked: list[tuple[int, str]] = []
        self.connections: dict[int, list[tuple[int, str, str]]] = {}
        """What happened to each connection, by its number: when, what, and at which address."""
        self.receive_buffer_bytes = 0
        self.failures: list[str] = []
        """What went wrong in the instrument itself, and did not break a message."""
        self.lost_stages: set[str] = set()
        self._rows: dict[str, array[int]] = {"producer": array("Q"), "consumer": array("Q")}
        self._cpu_notes: array[int] = array("Q")

    def forget(self) -> None:
        """Forget all connections and what happened to them: after a fork they are the parent's."""
        self.links = 0
        self.transports.clear()
        self.connections.clear()
        self.blocked.clear()
        self.stamping = False

    def rows(self) -> dict[str, "array[int]"]:
        """The rows of messages that have ended, by side, one after the other."""
        for side, rows in self._rows.items():
            rows.frombytes(self.stamps.drain(side))
        return self._rows

    def cpu_notes(self) -> "array[int]":
        """Rows of ``model.stamps.CPU_COLUMNS``."""
        self._cpu_notes.frombytes(self.stamps.drain_notes())
        return self._cpu_notes

    def new_link(self, tls_socket: Any = None) -> Link:
        """A link with the next number."""
        self.links += 1
        return Link(self.links, tls_socket)

    def note_connection(self, number: int, transport: Any) -> None:
        """A connection to an address of the broker was made."""
        address = f"{transport.host}:{transport.port}"
        self.connections.setdefault(number, []).append((now(), OPENED, address))

    def note_closing(self, number: int, transport: Any) -> None:
        """... or is closed, by us, or because it was found to be lost."""
        noted = self.connections.get(number)
        if noted and noted[-1][1] == OPENED:
            # py-amqp marks it when a read or a write fails.
            what = CLOSED if transport.connected else LOST
            noted.append((now(), what, noted[-1][2]))

    def note_blocked(self, reason: str) -> None:
        """The broker takes no more from a connection."""
        self.blocked.append((now(), reason))

    def note_unblocked(self) -> None:
        """... or does again."""
        self.blocked.append((now(), ""))


def realtime_offset_ns() -> int:
    """CLOCK_REALTIME less CLOCK_MONOTONIC, to within the time of two clock readings."""
    readings = []
    for _ in range(50):
        before = now()
        real = time.time_ns()
        after = now()
        readings.append((after - before, real - (before + after) // 2))
    return min(readings)[1]
