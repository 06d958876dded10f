"""The workers of a producer: a closed loop, in which each sends when its last message has ended."""

import array
import functools
import itertools
import operator
import threading
import time
from collections.abc import Callable

from omrig.measured.executors.base import Executor
from omrig.measured.load import deadline
from omrig.measured.load.rpc import Send
from omrig.measured.load.side import POLL_S, Errors, Stop
from omrig.measured.probes.stamp import clock
from omrig.model import events, failures
from omrig.model.errors import RunError
from omrig.model.events import Emit
from omrig.model.plan import Plan

CatchUp = Callable[[], None]
"""Waits until the consumers have kept up; returns at once where they have."""

STOP_GRACE_S = 1.5
"""How long calls under way may still get their reply after the request to stop."""

RECENT_LATENCIES = 400
"""So many are told at a time, at most."""


class Workers:
    """Send messages by number and keep when each began and ended.

    ``started`` and ``ended`` are :func:`time.perf_counter_ns` by sequence number, ``ended`` 0 for a
    message that has not ended well. ``left_behind`` is why workers gave up: the consumer did not
    catch up with what they had sent ahead.
    """

    def __init__(self, plan: Plan, executor: Executor, stop: Stop) -> None:
        self._plan = plan
        self._executor = executor
        self._stop = stop
        total = plan.load.messages or 0
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
        self.errors = Errors()
        self.left_behind: list[Exception] = []
        self.warmed = 0
        """Messages of the warm-up that were sent, and answered where they are calls."""

    @property
    def sent(self) -> int:
        """How many messages have been begun."""
        return self._begun - operator.length_hint(self._sequence)

    def progress(self) -> dict[str, int]:
        """Messages sent, ended well and failed so far; those of busy workers have not ended."""
        sent, errors = self.sent, len(self.errors)
        return {"sent": sent, "done": max(0, sent - errors - self._busy), "errors": errors}

    def recent_ns(self) -> list[int]:
        """Latencies of messages that ended since the last time, in ns: all, or evenly chosen."""
        sent = self.sent
        step = 1 + (sent - self._looked_at) // RECENT_LATENCIES
        self._open.extend(range(self._looked_at, sent, step))
        self._looked_at = sent
        started, ended = self.started, self.ended
        latencies = [ended[seq] - started[seq] for seq in self._open if ended[seq]]
        self._open = [seq for seq in self._open if not ended[seq]]
        return latencies

    def columns(self) -> dict[str, "array.array[int]"]:
        """What is kept of each message, and of those that failed."""
        # At once: who still has a message under way may fail meanwhile.
        failed = list(self._failed.items())
        return {
            "start_ns": self.started,
            "end_ns": self.ended,
            "failed_seq": array.array("Q", [seq for seq, _ in failed]),
            "failed_ns": array.array("Q", [at for _, at in failed]),
            **self._failed_kinds([seq for seq, _ in failed]),
        }

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
        """Send the messages from ``first`` to before ``end``; ``catch_up`` waits for the consumer
        where workers may not run far ahead of it."""
        self._sequence, self._begun = iter(range(first, end)), end
        self._run(self._plan.load.workers, functools.partial(self._load, send, catch_up))

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
        limits = (pattern.ahead for pattern in self._plan.load.patterns)
        ahead = min((limit for limit in limits if limit), default=0)
        every = ahead // 2
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
