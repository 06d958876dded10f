"""What all stamps of a process share in Python, whatever kind they are."""

import time
from array import array
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from omrig.measured.probes.records import CONSUMER, PRODUCER, Record, now
from omrig.model.stamps import (
    CONSUMER_COLUMNS,
    ID,
    ID_DIGITS,
    PRODUCER_COLUMNS,
    SAMPLE_DIGITS,
)

_NOTE_NS = 5_000_000
"""How often the CPU time of the process is noted at most: with 130 threads that takes 1.7 us, and
more where they are not in the cache."""

_AT_ONCE_NS = 100_000
"""A note that took longer is of no moment in particular: the thread had to wait within it."""

_WIDTHS = (len(PRODUCER_COLUMNS), len(CONSUMER_COLUMNS))


class Shared:
    """What all stamps of a process share, and what they do to it.

    Messages get records while ``on``. One in ``sample`` is kept; both sides agree by the message's
    id. With ``native`` threads the CPU time of threads is stamped as well: system calls, of use
    only there. ``places`` are, for the producer's record, the consumer's and what was just
    received, by column which stage the code is in after that column's stamp;
    0 is none. ``made`` counts stamps; ``failure`` is why they were turned off for good, and are
    ``broken``.
    """

    def __init__(self, *, sample: int, native: bool, places: tuple[bytes, bytes, bytes]) -> None:
        self.on = False
        self.broken = False
        self.failure: str | None = None
        self.native = native
        self.made = 0
        self.in_flight: dict[str, Record] = {}
        self._sample = sample
        self.places = places
        self.sending: ContextVar[Any] = ContextVar("omrig_sending", default=None)
        self.received: ContextVar[Any] = ContextVar("omrig_received", default=None)
        self._rows = (array("Q"), array("Q"))
        self._notes: array[int] = array("Q")
        self._noted_at = 0
        self._learner: Callable[[Any, int], None] | None = None

    def learn(self, learner: "Callable[[Any, int], None] | None") -> None:
        """Tell ``learner`` the record and the new place whenever its code goes on to another;
        None: nobody any more."""
        self._learner = learner

    def go_on(self, record: Record, place: int) -> None:
        """The code that works on this message is in another place."""
        record.place = place
        if self._learner is not None:
            self._learner(record, place)

    def thread_cpu(self) -> int:
        """CPU time of the thread in ns; now and then that of the process is noted, too.

        Here, where the process runs anyway: another process would have to wake up for it, and those
        it interrupts hold the interpreter's lock (200 times a second that was 5 % of a message's
        CPU). 0 with green threads, of which it says nothing.
        """
        if not self.native:
            return 0
        began = now()
        if began - self._noted_at > _NOTE_NS:
            used = time.process_time_ns()
            ended = now()
            if ended - began < _AT_ONCE_NS:
                self._noted_at = ended
                self._notes.extend((ended, used))
        return time.thread_time_ns()

    def drain(self, side: str) -> bytes:
        """The rows of messages of a side that ended since the last time, as 64-bit numbers."""
        return _drained(self._rows[PRODUCER if side == "producer" else CONSUMER])

    def drain_notes(self) -> bytes:
        """Rows of ``stamps.CPU_COLUMNS`` since the last time."""
        return _drained(self._notes)

    # What stamps have in common

    def break_down(self, error: Exception) -> None:
        """Turn all stamps off for good, and keep why."""
        self.broken = True
        self.on = False
        if self.failure is None:
            try:
                self.failure = repr(error)
            except Exception:  # noqa: BLE001 - somebody else's, and no fault of ours breaks a message
                self.failure = type(error).__name__

    def stamp_now(self, record: Record, column: int) -> None:
        """The message is at ``column`` now."""
        # As go_on does it: a call more for each stamp is what a stamp costs.
        record.place = self.places[record.side][column]
        if self._learner is not None:
            self._learner(record, record.place)
        record.row[column] = now()
        self.made += 1

    def begin_sending(self, record: Record) -> None:
        """The record becomes the one that is being sent; what was that before is kept in it."""
        record.outer = self.sending.get()
        self.sending.set(record)

    def end_sending(self, record: Record) -> None:
        """... and is it no more."""
        outer, record.outer = record.outer, None
        self.sending.set(outer)

    def is_in_sample(self, message_id: str) -> bool:
        """Whether a message's record is kept: both sides agree without talking."""
        return self._sample <= 1 or int(message_id[:SAMPLE_DIGITS], 16) % self._sample == 0

    def keep(self, record: Record) -> None:
        """Its message has ended: the record is a row of numbers from now on."""
        row = record.row[: _WIDTHS[record.side]]
        row[ID] = 0 if record.id is None else int(record.id[:ID_DIGITS], 16)
        self._rows[record.side].extend(row)


def _drained(rows: "array[int]") -> bytes:
    drained = rows.tobytes()
    # By what was copied: a row may be added meanwhile.
    del rows[: len(drained) // rows.itemsize]
    return drained
