"""The producer: one process, many workers that compete for oslo.messaging's resources."""

import array
import dataclasses
import itertools
import operator
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omrig.measured.executors.base import Executor
from omrig.measured.load import deadline, rpc
from omrig.measured.load.side import (
    DRAIN_S,
    POLL_S,
    Errors,
    Measurement,
    Stop,
    now_ns,
    report_progress,
    who_i_am,
)
from omrig.model import payload, slices
from omrig.model.errors import RunError
from omrig.model.events import Emit
from omrig.model.patterns import CATCH_UP_S, PATTERNS
from omrig.model.plan import Plan, twin_messages
from omrig.recordings import writer

HELLO_TIMEOUT_S = 1.0
"""How long one try of the handshake waits for a consumer."""

HELLO_LATE_S = 5.0
"""So much longer than ``--wait`` may the handshake take where the driver cannot even send."""

STOP_GRACE_S = 1.5
"""How long calls under way may still get their reply after the request to stop."""

CONTROL_TIMEOUT_S = 60.0
"""How long the consumer may take to turn its profilers on or off."""

RECENT_LATENCIES = 400
"""So many are told at a time, at most."""

_DRAIN_POLL_S = 0.01


class _WarmUp:
    """What became of the messages before the load: shared by the workers that send them."""

    def __init__(self, plan: Plan, emit: Emit) -> None:
        self._plan = plan
        self._emit = emit
        self._numbers = iter(range(plan.warmup))
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

    def judge(self) -> None:
        """Raise ``RunError`` when the load would not get through."""
        if self._is_hopeless():
            raise RunError(f"no warm-up message got through: {deadline.words(self._hopeless[0])}")
        if len(self._failures) == self._plan.warmup:
            raise RunError(f"every warm-up message failed: {self._failures.examples()[0]}")
        if len(self._through) != self._seen:
            self._seen, self._moved_at = len(self._through), time.monotonic()
            self._emit("moved", side="producer")
        if time.monotonic() - self._moved_at > self._plan.patience_s:
            more = "further " if self._through else ""
            raise deadline.late(f"no {more}warm-up message got through", self._plan.patience_s)

    def _is_hopeless(self) -> bool:
        return bool(self._hopeless) and not self._through


class Producer:
    """Sends exactly the asked number of messages and keeps when each began and ended."""

    name = "producer"

    def __init__(self, plan: Plan, executor: Executor, emit: Emit, stop: Stop) -> None:
        self._plan = plan
        self._executor = executor
        self._emit = emit
        self._stop = stop
        self._id = uuid.uuid4().hex
        self._total = plan.messages or 0
        # Shared by the workers: taking the next number is atomic, so exactly these are sent.
        self._sequence = iter(range(0))
        self._slices: list[dict[str, Any]] = []
        self._slicing: dict[str, Any] | None = None
        # By sequence number; an end of 0 has not come. 16 bytes a message.
        self._started = array.array("Q", bytes(8 * self._total))
        self._ended = array.array("Q", bytes(8 * self._total))
        self._failed: dict[int, int] = {}
        self._looked_at = 0
        self._open: list[int] = []
        self._busy = 0
        self._errors = Errors()
        self._left_behind: list[Exception] = []
        self._consumer: dict[str, Any] = {}

    def connect(self, transport: Any) -> None:
        """Make the client; no message is sent."""
        import oslo_messaging

        self._transport = transport
        # get_rpc_client came with oslo.messaging 14.1.
        make = getattr(oslo_messaging, "get_rpc_client", oslo_messaging.RPCClient)
        self._client = make(
            transport,
            oslo_messaging.Target(exchange=self._plan.exchange, topic=self._plan.queue_topic),
            timeout=self._plan.timeout_s,
        )
        arguments = payload.build(self._plan.size_bytes)
        # A prepared context is what services keep and call.
        self._send = rpc.sender(self._plan.pattern, self._client.prepare(), self._id, arguments)

    def run(self, measurement: Measurement) -> None:
        """Find the consumer, warm up, send the load.

        Raises ``RunError`` when no consumer answers or no warm-up message
        gets through.
        """
        found = deadline.within(
            self._executor,
            self._stop,
            self._plan.wait_s + HELLO_LATE_S,
            self._find_consumer,
            "the producer could not ask for a consumer",
        )
        if not found:
            return
        self._warm_up()
        if self._stop.requested:
            return
        self._control("begin")
        self._emit("phase", side=self.name, phase="load")
        over = threading.Event()
        report_progress(self._executor, self._emit, self, measurement, over)
        measurement.start()
        for each in self._divide(measurement):
            self._send_slice(measurement, each)
        measurement.stop()
        if self._left_behind:
            error, pattern = self._left_behind[0], PATTERNS[self._plan.pattern]
            raise RunError(
                f"the consumer did not get through {pattern.ahead} {pattern.noun}s of a worker"
                f" within {CATCH_UP_S:g} s: {type(error).__name__}"
            ) from error
        over.set()
        self._emit("progress", side=self.name, **self.progress())

    def progress(self) -> dict[str, int]:
        """Messages sent, ended well and failed so far; those of busy workers have not ended."""
        sent, errors = self._sent(), len(self._errors)
        return {"sent": sent, "done": max(0, sent - errors - self._busy), "errors": errors}

    def recent_ns(self) -> list[int]:
        """Latencies of messages that ended since the last time, in ns: all, or evenly chosen."""
        sent = self._sent()
        step = 1 + (sent - self._looked_at) // RECENT_LATENCIES
        self._open.extend(range(self._looked_at, sent, step))
        self._looked_at = sent
        started, ended = self._started, self._ended
        latencies = [ended[seq] - started[seq] for seq in self._open if ended[seq]]
        self._open = [seq for seq in self._open if not ended[seq]]
        return latencies

    def _divide(self, measurement: Measurement) -> list[slices.Slice]:
        """The load in slices, where a side has profilers whose cost is to be measured."""
        plan, consumer = self._plan, self._consumer.get("offer", {})
        offers = {"producer": measurement.offer(plan.profiling.twin), "consumer": consumer}
        slow_only = any(offer.get("slow") for offer in offers.values())
        modes = {
            side: offer.get("slow" if slow_only else "all", []) for side, offer in offers.items()
        }
        asked = slow_only or any(offer.get("twin") for offer in offers.values())
        if not asked or not any(modes.values()):
            return slices.whole(self._total)
        needed = twin_messages(plan.workers)
        self._slicing = {"modes": modes, "slow_only": slow_only, "reason": None}
        if self._total < needed:
            self._slicing["reason"] = (
                f"{self._total:,} messages of {plan.workers:,} workers are too few to compare"
                f" slices of them; -m {needed} or more would do"
            )
            return slices.whole(self._total)
        return slices.divide(self._total, plan.workers, sparing=slow_only)

    def _send_slice(self, measurement: Measurement, each: slices.Slice) -> None:
        if self._stop.requested:
            return
        about = dataclasses.asdict(each)
        served = self._switch(measurement, each)
        if self._stop.requested:
            return
        self._slices.append(about)
        used = time.process_time()
        self._sequence = iter(range(each.first, each.end))
        self._work(self._plan.workers, self._load)
        about["producer_cpu_seconds"] = time.process_time() - used
        # After the last slice a consumer that has what it wanted is gone.
        if not self._sliced() or self._stop.requested or each.end == self._total:
            return
        if not PATTERNS[self._plan.pattern].replies:
            about["drained_ns"] = self._drain(each)
        spent = self._consumer_cpu(each, begins=False)
        if served is not None and spent is not None:
            about["consumer_cpu_seconds"] = spent - served

    def _sliced(self) -> bool:
        return self._slicing is not None and self._slicing["reason"] is None

    def _switch(self, measurement: Measurement, each: slices.Slice) -> float | None:
        """Turn the profilers of both sides on or off; the consumer's CPU seconds so far."""
        if self._slicing is None or self._slicing["reason"]:
            return None
        measurement.profile(each.profiled, self._slicing["slow_only"])
        return self._consumer_cpu(each, begins=True)

    def _consumer_cpu(self, each: slices.Slice, begins: bool) -> float | None:
        if self._slicing is None:
            return None
        if "offer" in self._consumer:
            about = dataclasses.asdict(each) if begins else None
            answer = self._control("profile", on=each.profiled, begins=about, slicing=self._slicing)
        elif self._slicing["slow_only"]:
            # A consumer of an older omrig would take its stages out as well.
            return None
        else:
            answer = self._control("profile", on=each.profiled)
        return None if answer is None else float(answer)

    def _drain(self, each: slices.Slice) -> int | None:
        """Wait until the consumer has received the casts of a slice.

        When that was, on our clock; None when they did not come or it cannot tell.
        """
        if "offer" not in self._consumer:
            return None
        ended = self._ended[each.first : each.end]
        expected = len(ended) - ended.count(0)
        best, since = -1, time.monotonic()
        while not self._stop.requested:
            received = self._control("received", first=each.first, end=each.end)
            if received is None or received >= expected:
                return None if received is None else now_ns()
            if received > best:
                best, since = received, time.monotonic()
            elif time.monotonic() - since > DRAIN_S:
                return None
            time.sleep(_DRAIN_POLL_S)
        return None

    def _sent(self) -> int:
        begun = self._slices[-1]["end"] if self._slices else 0
        return int(begun) - operator.length_hint(self._sequence)

    def save(self, folder: Path, measurement: Measurement) -> None:
        """Write what was measured so far into ``folder``."""
        about = {
            "side": self.name,
            **who_i_am(),
            "run_id": self._plan.run_id,
            "producer_id": self._id,
            "requested": self._total,
            "sent": self._sent(),
            "done": self._total - self._ended.count(0),
            "errors": self._errors.by_name(),
            "error_examples": self._errors.examples(),
            "usage": measurement.usage.summary(),
            "telling_cpu_seconds": measurement.telling_seconds,
            "consumer": self._consumer,
            "offer": measurement.offer(self._plan.profiling.twin),
            "slices": self._slices if self._sliced() else [],
            "slicing": self._slicing,
            "stopped": self._stop.requested,
        }
        columns = {"start_ns": self._started, "end_ns": self._ended}
        writer.save_recording(folder, about, columns | self._failures())

    def _failures(self) -> dict[str, "array.array[int]"]:
        # At once: who still has a message under way may fail meanwhile.
        failed = list(self._failed.items())
        return {
            "failed_seq": array.array("Q", [seq for seq, _ in failed]),
            "failed_ns": array.array("Q", [at for _, at in failed]),
        }

    def _find_consumer(self) -> None:
        end = time.monotonic() + self._plan.wait_s
        hello = self._client.prepare(timeout=HELLO_TIMEOUT_S)
        failure = "no answer"
        while not self._stop.requested:
            try:
                self._consumer = hello.call(
                    {}, "hello", producer=self._id, messages=self._total, about=who_i_am()
                )
                return
            except Exception as error:
                if deadline.is_hopeless(error):
                    raise RunError(deadline.words(error)) from error
                failure = f"{type(error).__name__}"
            left = end - time.monotonic()
            if left <= 0:
                who = f"{self._plan.served_by}," if self._plan.served_by else "the consumer"
                raise deadline.NoAnswer(
                    f"{who} did not answer within {self._plan.wait_s:g} s ({failure})", ""
                )
            self._emit("waiting", side=self.name, left_s=round(left, 1))

    def _control(self, method: str, **arguments: Any) -> Any:
        """The consumer's answer; None when it is not there in the grace after a request to stop.

        Raises ``RunError`` when the consumer does not answer.
        """
        client = self._client.prepare(timeout=max(CONTROL_TIMEOUT_S, self._plan.wait_s))
        answers: list[Any] = []
        failures: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(client.call({}, method, producer=self._id, **arguments))
            except Exception as error:  # noqa: BLE001 - raised below, by the thread that waits
                failures.append(error)

        worker = self._executor.spawn(ask, "main")
        stop_at = None
        while not worker.join(POLL_S):
            if self._stop.requested:
                stop_at = stop_at or time.monotonic() + STOP_GRACE_S
                if time.monotonic() > stop_at:
                    return None
        if failures:
            raise RunError(
                f"the consumer did not answer {method!r}: {type(failures[0]).__name__}"
            ) from failures[0]
        return answers[0]

    def _warm_up(self) -> None:
        if not self._plan.warmup:
            return
        self._emit("phase", side=self.name, phase="warm-up")
        warming = _WarmUp(self._plan, self._emit)

        def warm() -> None:
            while (number := warming.next()) is not None and not self._stop.requested:
                try:
                    # Negative: the consumer does not count it.
                    self._send(-1 - number)
                except Exception as error:  # noqa: BLE001 - judged below, by the thread that waits
                    warming.failed(error)
                else:
                    warming.got_through()

        self._work(min(self._plan.workers, self._plan.warmup), warm, warming.judge)
        warming.judge()

    def _work(self, count: int, target: Any, look: Callable[[], None] | None = None) -> None:
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

    def _load(self) -> None:
        send, stop, sequence = self._send, self._stop, self._sequence
        started, ended, failed = self._started, self._ended, self._failed
        ahead = PATTERNS[self._plan.pattern].ahead
        for number in itertools.count(1):
            seq = None if stop.requested else next(sequence, None)
            if seq is None:
                return
            started[seq] = now_ns()
            try:
                send(seq)
            except Exception as error:  # noqa: BLE001 - counted by name, the load goes on
                failed[seq] = now_ns()
                self._errors.add(error)
            else:
                ended[seq] = now_ns()
            if ahead and number % ahead == 0 and not self._caught_up():
                return

    def _caught_up(self) -> bool:
        """Wait for the consumer; False when it does not come."""
        try:
            rpc.catch_up(self._client, self._id)
        except Exception as error:  # noqa: BLE001 - told when the load has ended
            self._left_behind.append(error)
            return False
        return True
