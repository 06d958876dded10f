"""What all stamps of a process share in Python, whatever kind they are."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from omrig.measured.probes.records import CONSUMER, PRODUCER, Record, now
from omrig.measured.probes.rows import Next, Rows
from omrig.model.stamps import (
    CALL,
    CONSUMER_COLUMNS,
    CPU_BEGIN,
    CPU_COLUMNS,
    ID,
    ID_DIGITS,
    PRODUCER_COLUMNS,
    RETURN,
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
        self.sample = sample
        self.places = places
        self.sending: ContextVar[Any] = ContextVar("omrig_sending", default=None)
        self.received: ContextVar[Any] = ContextVar("omrig_received", default=None)
        self.generation = 0
        self._rows = (Rows(_WIDTHS[PRODUCER]), Rows(_WIDTHS[CONSUMER]))
        self._notes = Rows(len(CPU_COLUMNS))
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
                try:
                    self._notes.add((ended, used))
                except Exception as error:  # noqa: BLE001 - no fault of ours breaks a message
                    self.break_down(error)
        return time.thread_time_ns()

    def drain(self, side: str) -> bytes:
        """The rows of messages of a side that ended since the last time, as 64-bit numbers."""
        return self._rows[PRODUCER if side == "producer" else CONSUMER].drained()

    def drain_notes(self) -> bytes:
        """Rows of ``stamps.CPU_COLUMNS`` since the last time."""
        return self._notes.drained()

    def tables(self, producer_next: "Next | None", consumer_next: "Next | None") -> None:
        """Write rows into the chunks that these give, by side, and no more into memory.

        What a chunk is, :mod:`omrig.model.tables` says: writable, its header written already. The
        next is asked for when one is full. None: into memory again. Messages that are under way
        leave no row: what they belong to has ended, or had not begun.
        """
        self.generation += 1
        if producer_next is not None:
            self._forget()
        self._rows[PRODUCER].use(producer_next)
        self._rows[CONSUMER].use(consumer_next)

    def notes_table(self, following: "Next | None") -> None:
        """... the notes of the process' CPU time."""
        if following is not None:
            self._notes.forget()
        self._notes.use(following)

    def reset(self) -> None:
        """Turn the stamps off, and forget messages under way, rows, and where they went: after a
        fork, when all of that is the parent's."""
        self.on = False
        self.tables(None, None)
        self.notes_table(None)
        self._noted_at = 0
        self._notes.forget()
        self._forget()

    def _forget(self) -> None:
        for rows in self._rows:
            rows.forget()
        self.in_flight.clear()

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

    def open_sent(self) -> Record:
        """The record of a message that is about to be sent: what is being sent from here on."""
        record = Record(PRODUCER, self.generation)
        self.stamp_now(record, CALL)
        if self.native:
            record.row[CPU_BEGIN] = self.thread_cpu()
        self.begin_sending(record)
        return record

    def close_sent(self, record: Record) -> int:
        """Whatever became of it: its record is a row from now on. When that was is returned."""
        self.stamp_now(record, RETURN)
        ended = now()
        self.end_sending(record)
        # Without an id nothing was sent.
        if record.id is not None:
            self.in_flight.pop(record.id, None)
            self.keep(record)
        return ended

    def is_in_sample(self, message_id: str) -> bool:
        """Whether a message's record is kept: both sides agree without talking."""
        return self.sample <= 1 or int(message_id[:SAMPLE_DIGITS], 16) % self.sample == 0

    def keep(self, record: Record) -> None:
        """Its message has ended: the record is a row of numbers from now on."""
        if record.generation != self.generation:
            return
        row = record.row[: _WIDTHS[record.side]]
        row[ID] = 0 if record.id is None else int(record.id[:ID_DIGITS], 16)
        self._rows[record.side].add(row)
