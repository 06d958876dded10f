"""The workers of a producer.

In a closed loop each sends when its last message has ended, in an open loop when the next message
is due. Which of the two it is is decided before the load, and costs a message of the other nothing.
"""

import array
import functools
import itertools
import operator
import threading
import time
from collections.abc import Callable, Iterator

from omrig.measured.executors.base import Executor
from omrig.measured.load import deadline, pacer
from omrig.measured.load.pacer import Pacer
from omrig.measured.load.rpc import Send
from omrig.measured.load.side import POLL_S, Errors, Stop, now_ns
from omrig.measured.load.tally import MORE
from omrig.measured.probes.stamp import clock
from omrig.model import events, failures
from omrig.model.errors import RunError
from omrig.model.events import Emit
from omrig.model.plan import Plan
from omrig.model.units import NS
from omrig.model.values import Json

CatchUp = Callable[[], None]
"""Waits until the consumers have kept up; returns at once where they have."""

STOP_GRACE_S = 1.5
"""How long calls under way may still get their reply after the request to stop."""

RECENT_LATENCIES = 400
"""So many are told at a time, at most."""


UNCOUNTED = 1 << 62
"""More messages than any load has: of one that ends with its time."""


class Workers:
    """Send messages by number and keep when each began and ended.

    ``started`` and ``ended`` are :func:`time.perf_counter_ns` by sequence number, ``ended`` 0 for a
    message that has not ended well. ``left_behind`` is why workers gave up: the consumer did not
    catch up with what they had sent ahead. ``pacer`` says when messages of an open loop are due.
    """

    def __init__(self, plan: Plan, executor: Executor, stop: Stop) -> None:
        self._plan = plan
        self._executor = executor
        self._stop = stop
        pace, total = plan.pace, plan.load.messages or 0
        self.pacer: Pacer | None = None
        if pace.is_open:
            self.pacer = pacer.of_plan(plan, stop)
        # Shared by the workers: taking the next number is atomic, so exactly these are sent.
        self._sequence = iter(range(0))
        self._begun = 0
        # By sequence number; an end of 0 has not come. 16 bytes a message.
        self.started = array.array("Q", bytes(8 * total))
        self.ended = array.array("Q", bytes(8 * total))
        self._failed: dict[int, int] = {}
        self._looked_at = 0
        self._open: list[int] = []
        self._busy = 0
        self._growing = threading.Lock()
        self._over_ns = 0
        # Of an open loop, in which most workers may have nothing to do.
        self._numbers = itertools.count(1)
        self._begun_now = 0
        self._is_over = False
        self._under_way: list[None] = []
        self._held_ns: list[int] = []
        self.errors = Errors()
        self.left_behind: list[Exception] = []
        self.warmed = 0
        """Messages of the warm-up that were sent, and answered where they are calls."""

    @property
    def sent(self) -> int:
        """How many messages have been begun."""
        if self.pacer:
            return len(self.started) - self.started.count(0)
        return self._taken

    @property
    def done(self) -> int:
        """How many messages have ended well."""
        return len(self.ended) - self.ended.count(0)

    @property
    def _taken(self) -> int:
        """How many numbers have been taken by a worker."""
        return self._begun - operator.length_hint(self._sequence)

    def progress(self) -> dict[str, int]:
        """Messages sent, ended well and failed so far; those of busy workers have not ended."""
        if self.pacer and self._is_over:
            sent, busy = self.sent, len(self._under_way)
        elif self.pacer:
            sent, busy = self._begun_now, len(self._under_way)
        else:
            sent, busy = self._taken, self._busy
        errors = len(self.errors)
        return {"sent": sent, "done": max(0, sent - errors - busy), "errors": errors}

    def recent_ns(self) -> list[int]:
        """Latencies of messages that ended since the last time, in ns: all, or evenly chosen."""
        taken = min(self._taken, len(self.ended))
        step = 1 + (taken - self._looked_at) // RECENT_LATENCIES
        self._open.extend(range(self._looked_at, taken, step))
        self._looked_at = taken
        began, ended = self.pacer.due_ns if self.pacer else self.started.__getitem__, self.ended
        latencies = [ended[seq] - began(seq) for seq in self._open if ended[seq]]
        self._open = [seq for seq in self._open if not ended[seq]]
        return latencies

    def columns(self) -> dict[str, "array.array[int]"]:
        """What is kept of each message, and of those that failed."""
        # At once: who still has a message under way may fail meanwhile.
        failed = list(self._failed.items())
        used = len(self.started) if self._plan.load.messages else self.sent
        intended = {"intended_ns": self.pacer.intended_ns()} if self.pacer else {}
        return {
            "start_ns": self.started[:used],
            "end_ns": self.ended[:used],
            "failed_seq": array.array("Q", [seq for seq, _ in failed]),
            "failed_ns": array.array("Q", [at for _, at in failed]),
            **intended,
            **self._failed_kinds([seq for seq, _ in failed]),
        }

    def pacing(self) -> dict[str, Json] | None:
        """When an open loop began, and how long its workers waited for the consumer to catch up,
        added up; None of a closed one."""
        if self.pacer is None:
            return None
        return {"began_ns": self.pacer.began_ns, "held_ns": sum(self._held_ns)}

    def _failed_kinds(self, failed: list[int]) -> dict[str, "array.array[int]"]:
        """Which error each failure was, where messages differ."""
        if not (self._plan.load.mix or self._plan.load.sizes):
            return {}
        kinds = self.errors.by_seq()
        return {"failed_kind": array.array("I", [failures.kind(kinds[seq]) for seq in failed])}

    def warm_up(self, send: Send, emit: Emit) -> None:
        """Send the messages before the load.

        Raises ``RunError`` when none gets through.
        """
        count = self._plan.load.warmup
        warming = WarmUp(self._plan, emit)

        def warm() -> None:
            while (number := warming.next()) is not None and not self._stop.requested:
                try:
                    # Negative: the consumer does not count it.
                    send(-1 - number)
                except Exception as error:  # noqa: BLE001 - judged below, by the thread that waits
                    warming.failed(error)
                else:
                    warming.got_through()

        self._run(min(self._plan.load.workers, count), warm, warming.judge)
        warming.judge()
        self.warmed = warming.through

    def load(self, first: int, end: int, send: Send, catch_up: CatchUp) -> None:
        """Send the messages from ``first`` to before ``end``, or until the load's time is over;
        ``catch_up`` waits for the consumer where workers may not run far ahead of it."""
        if self._plan.load.messages is None:
            end = UNCOUNTED
        self._sequence, self._begun = iter(range(first, end)), end
        self._run(self._plan.load.workers, functools.partial(self._loop(), send, catch_up))
        self._is_over = True

    def _loop(self) -> Callable[[Send, CatchUp], None]:
        """What a worker does with the load, which begins now."""
        pace = self._plan.pace
        if self.pacer:
            self.pacer.begin()
            return functools.partial(self._load_of, self._paced)
        if pace.duration_s is None and pace.think_time_s is None:
            return self._load
        lasts_s = float("inf") if pace.duration_s is None else pace.duration_s
        self._over_ns = now_ns() + int(min(lasts_s * NS, UNCOUNTED))
        return functools.partial(self._load_of, self._timed)

    def _run(
        self, count: int, target: Callable[[], None], look: Callable[[], None] | None = None
    ) -> None:
        """Run ``target`` in ``count`` workers until all end, or the stop's grace is over.

        ``look`` is called now and then meanwhile, and ends it by raising something.
        """
        ended: list[None] = []
        all_ended = threading.Event()

        def work() -> None:
            try:
                target()
            finally:
                ended.append(None)
                self._busy = count - len(ended)
                if len(ended) == count:
                    all_ended.set()

        self._busy = count
        for _ in range(count):
            self._executor.spawn(work, "producer worker")
        stop_at = None
        while not all_ended.wait(POLL_S):
            if look and not self._stop.requested:
                look()
            if self._stop.requested:
                stop_at = stop_at or time.monotonic() + STOP_GRACE_S
                if time.monotonic() > stop_at:
                    return

    def _load(self, send: Send, catch_up: CatchUp) -> None:
        stop, sequence = self._stop, self._sequence
        started, ended, failed = self.started, self.ended, self._failed
        every = self._looks_every()
        begin, end = clock.begin, clock.end
        for number in itertools.count(1):
            seq = None if stop.requested else next(sequence, None)
            if seq is None:
                return
            started[seq] = begin(seq)
            try:
                send(seq)
            except Exception as error:  # noqa: BLE001 - counted by name, the load goes on
                at = end()
                # First what it was: whoever reads when it was knows what.
                self.errors.add(error, seq)
                failed[seq] = at
            else:
                ended[seq] = end()
            if every and number % every == 0 and not self._caught_up(catch_up):
                return

    def _looks_every(self) -> int:
        """After how many messages a worker sees whether the consumers keep up; 0 for never."""
        limits = (pattern.ahead for pattern in self._plan.load.patterns)
        return min((limit for limit in limits if limit), default=0) // 2

    def _load_of(self, numbers: Callable[[], Iterator[int]], send: Send, catch_up: CatchUp) -> None:
        """As :meth:`_load`, with the messages whose turn ``numbers`` says it is."""
        started, ended, failed = self.started, self.ended, self._failed
        every = self._looks_every()
        begin, end, under_way = clock.begin, clock.end, self._under_way
        for number, seq in enumerate(numbers(), 1):
            self._begun_now = next(self._numbers)
            under_way.append(None)
            started[seq] = begin(seq)
            try:
                send(seq)
            except Exception as error:  # noqa: BLE001 - counted by name, the load goes on
                at = end()
                self.errors.add(error, seq)
                failed[seq] = at
            else:
                ended[seq] = end()
            under_way.pop()
            if every and number % every == 0:
                since = now_ns()
                if not self._caught_up(catch_up):
                    return
                self._held_ns.append(now_ns() - since)

    def _paced(self) -> Iterator[int]:
        """The messages that are due, for one worker, each of them when it is."""
        wait = self.pacer.wait if self.pacer else bool
        for seq in self._sequence:
            if self._stop.requested:
                return
            if wait(seq):
                yield seq

    def _timed(self) -> Iterator[int]:
        """The messages of a closed loop for one worker, until its time is over."""
        think_s = self._plan.pace.think_time_s
        while not self._stop.requested and now_ns() < self._over_ns:
            seq = next(self._sequence, None)
            if seq is None:
                return
            if seq >= len(self.started):
                self._grow(seq)
            yield seq
            if think_s:
                self._think(think_s)

    def _think(self, seconds: float) -> None:
        """Wait before the next message, no longer than the load lasts."""
        until = min(now_ns() + int(seconds * NS), self._over_ns)
        while not self._stop.requested and (left := until - now_ns()) > 0:
            time.sleep(min(left / NS, POLL_S))

    def _grow(self, seq: int) -> None:
        """Make room for a message, and for more of them."""
        with self._growing:
            while seq >= len(self.started):
                # Last what is looked at: whoever sees room finds it in both.
                self.ended.frombytes(bytes(8 * MORE))
                self.started.frombytes(bytes(8 * MORE))

    def _caught_up(self, catch_up: CatchUp) -> bool:
        """Wait for the consumers; False when they do not come as far."""
        try:
            catch_up()
        except Exception as error:  # noqa: BLE001 - told when the load has ended
            self.left_behind.append(error)
            return False
        return True


class WarmUp:
    """What became of the messages before the load: shared by the workers that send them."""

    def __init__(self, plan: Plan, emit: Emit) -> None:
        self._plan = plan
        self._emit = emit
        self._numbers = iter(range(plan.load.warmup))
        self._through: list[None] = []
        self._failures = Errors()
        self._hopeless: list[Exception] = []
        self._seen, self._moved_at = 0, time.monotonic()

    def next(self) -> int | None:
        """The number of the next message; None when there is none, or none has a chance."""
        return None if self._is_hopeless() else next(self._numbers, None)

    def got_through(self) -> None:
        """A message was sent, and answered where it is a call."""
        self._through.append(None)

    def failed(self, error: Exception) -> None:
        """A message was not."""
        self._failures.add(error)
        if deadline.is_hopeless(error):
            self._hopeless.append(error)

    @property
    def through(self) -> int:
        """How many were sent, and answered where they are calls."""
        return len(self._through)

    def judge(self) -> None:
        """Raise ``RunError`` when the load would not get through."""
        if self._is_hopeless():
            raise RunError(f"no warm-up message got through: {deadline.words(self._hopeless[0])}")
        if len(self._failures) == self._plan.load.warmup:
            raise RunError(f"every warm-up message failed: {self._failures.examples()[0]}")
        if len(self._through) != self._seen:
            self._seen, self._moved_at = len(self._through), time.monotonic()
            self._emit(events.Moved("producer"))
        if time.monotonic() - self._moved_at > self._plan.load.patience_s:
            more = "further " if self._through else ""
            raise deadline.late(f"no {more}warm-up message got through", self._plan.load.patience_s)

    def _is_hopeless(self) -> bool:
        return bool(self._hopeless) and not self._through
