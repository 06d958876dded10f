"""Whose turn it is: when the next call may be made, and to which server."""

import threading
from collections.abc import Callable

from omrig.measured.load.side import POLL_S, Stop, now_ns
from omrig.model.units import NS


class Turns:
    """Turns of ``servers`` servers for workers that share them, ``rate`` a second at most.

    A server whose call is under way has none, nor one that has been :meth:`done` for good. A turn
    that nobody could take is lost: calls that were held up are not made up for. ``lasts_s`` is for
    how long there are turns, from the first on.
    """

    def __init__(
        self,
        servers: int,
        rate: float,
        lasts_s: float,
        stop: Stop,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self._between_ns = int(NS / rate)
        self._lasts_ns = int(lasts_s * NS)
        self._stop = stop
        self._clock = clock
        self._due_ns = 0
        self._ends_ns = 0
        # In order of how long ago each was asked.
        self._free = list(range(servers))
        self._under_way = 0
        self._changed = threading.Condition()

    def take(self) -> int | None:
        """Wait for the next turn: the number of its server; None when there is none any more."""
        with self._changed:
            while not self._stop.requested:
                now = self._clock()
                self._ends_ns = self._ends_ns or now + self._lasts_ns
                if now >= self._ends_ns or not (self._free or self._under_way):
                    return None
                if self._free and now >= self._due_ns:
                    self._due_ns = now + self._between_ns
                    self._under_way += 1
                    return self._free.pop(0)
                self._wait(now)
        return None

    def done(self, server: int, again: bool) -> None:
        """The call to a server has ended; whether it is to have another turn."""
        with self._changed:
            self._under_way -= 1
            if again:
                self._free.append(server)
            self._changed.notify_all()

    def _wait(self, now: int) -> None:
        left_ns = self._ends_ns - now
        if self._free:
            left_ns = min(left_ns, self._due_ns - now)
        # In pieces: a signal handler that asks for the end wakes nobody.
        self._changed.wait(min(max(left_ns, 0) / NS, POLL_S))
