"""Rows of numbers, one after the other: in memory until somebody drains them, or in a table."""

import _thread
from array import array
from collections.abc import Callable, Sequence

from omrig.model import tables

Next = Callable[[], memoryview]
"""What gives the next chunk of a table, as :mod:`omrig.model.tables` lays it out."""


class Rows:
    """Rows of ``width`` numbers."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._waiting = array("Q")
        self._next: Next | None = None
        self._words: memoryview | None = None
        # The system's own: it is never waited for.
        self._lock = _thread.allocate_lock()

    def use(self, following: Next | None) -> None:
        """Write rows into the chunks that ``following`` gives; None: keep them in memory."""
        self._next, self._words = following, None

    def add(self, row: Sequence[int]) -> None:
        """Keep a row. Raises what asking for the next chunk raises."""
        self._waiting.extend(row)
        # Whoever is writing may miss it, but not whoever comes next: nobody waits for anybody.
        if self._next is not None and self._lock.acquire(False):
            try:
                self._write()
            finally:
                self._lock.release()

    def drained(self) -> bytes:
        """What is in memory, which is there no more."""
        drained = self._waiting.tobytes()
        # By what was copied: a row may be added meanwhile.
        del self._waiting[: len(drained) // self._waiting.itemsize]
        return drained

    def forget(self) -> None:
        """Drop what is in memory; after a fork nobody holds the lock any more."""
        self._waiting = array("Q")
        self._lock = _thread.allocate_lock()

    def _write(self) -> None:
        following = self._next
        while self._waiting and following is not None:
            words = self._words
            if words is None or words[tables.ROWS] == words[tables.CAPACITY]:
                words = following().cast("Q")
                if following is not self._next:
                    return
                if words[tables.WIDTH] != self._width:
                    raise ValueError("a chunk was given that has no room for such rows")
                self._words = words
            there = words[tables.ROWS]
            room = (words[tables.CAPACITY] - there) * self._width
            taken = self._waiting[:room]
            begin = tables.HEADER + there * self._width
            words[begin : begin + len(taken)] = memoryview(taken)
            # They are there before they count.
            words[tables.ROWS] = there + len(taken) // self._width
            del self._waiting[: len(taken)]
