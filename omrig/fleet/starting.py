"""When all begin: the offset of a host's clock from exchanges, and how long before they are told.

An exchange is a line to the host and its answer. The host's clock was read between the two, so with
the middle for it the offset is wrong by half of the round trip at most; the fastest one counts.
"""

import collections
import dataclasses
import threading
from collections.abc import Iterable

from omrig.model.units import NS

EXCHANGES = 20
"""So many are made before the load, and of so many that came last the fastest counts: clocks
drift apart meanwhile."""

LEAST_AHEAD_S = 0.5
"""So long before the load begins its instant is told, and ..."""

ROUND_TRIPS_AHEAD = 10
"""... as many of the slowest round trips."""

_MOST_WAITED_FOR = 100


@dataclasses.dataclass(frozen=True)
class Offset:
    """By how much a host's CLOCK_MONOTONIC is ahead of the coordinator's, and the round trip of the
    exchange that says so, both in ns."""

    offset_ns: int
    round_trip_ns: int


class Exchanges:
    """Those with one host. Its methods are called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[int, int] = {}
        self._last: collections.deque[Offset] = collections.deque(maxlen=EXCHANGES)

    def __len__(self) -> int:
        return len(self._last)

    def asked(self, number: int, now_ns: int) -> None:
        """Exchange ``number`` begins, on the coordinator's clock."""
        with self._lock:
            self._sent[number] = now_ns
            if len(self._sent) > _MOST_WAITED_FOR:
                # Of a host that answers no more.
                self._sent.pop(next(iter(self._sent)))

    def answered(self, number: int, host_ns: int, now_ns: int) -> None:
        """It ends: the host read ``host_ns`` on its clock; what was not asked is passed over."""
        with self._lock:
            sent_ns = self._sent.pop(number, None)
            if sent_ns is not None:
                round_trip_ns = now_ns - sent_ns
                middle_ns = sent_ns + round_trip_ns // 2
                self._last.append(Offset(host_ns - middle_ns, round_trip_ns))

    def fastest(self) -> Offset | None:
        """What the fastest exchange says; None where none came back."""
        with self._lock:
            return min(self._last, key=lambda each: each.round_trip_ns, default=None)

    def slowest_ns(self) -> int:
        """How long the slowest of the last exchanges took."""
        with self._lock:
            return max((each.round_trip_ns for each in self._last), default=0)


def ahead_s(round_trips_ns: Iterable[int]) -> float:
    """So long before the load its instant is told to hosts with these round trips."""
    return LEAST_AHEAD_S + ROUND_TRIPS_AHEAD * max(round_trips_ns, default=0) / NS
