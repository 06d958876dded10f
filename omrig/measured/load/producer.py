"""The producer: one process, many workers that compete for oslo.messaging's resources."""

import dataclasses
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from omrig.measured import progress
from omrig.measured.executors.base import Executor
from omrig.measured.load import deadline, rpc
from omrig.measured.load.side import DRAIN_S, POLL_S, Stop, member, now_ns, told
from omrig.measured.load.workers import STOP_GRACE_S, Workers
from omrig.measured.measurement import Measurement
from omrig.model import events, payload, slices
from omrig.model.errors import RunError
from omrig.model.events import Emit
from omrig.model.patterns import CATCH_UP_S, PATTERNS
from omrig.model.plan import Plan
from omrig.recordings import writer

HELLO_TIMEOUT_S = 1.0
"""How long one try of the handshake waits for a consumer."""

HELLO_LATE_S = 5.0
"""So much longer than ``--wait`` may the handshake take where the driver cannot even send."""

CONTROL_TIMEOUT_S = 60.0
"""How long the consumer may take to turn its profilers on or off."""

_DRAIN_POLL_S = 0.01


class Producer:
    """Sends exactly the asked number of messages and keeps when each began and ended."""

    name = "producer"

    def __init__(self, plan: Plan, executor: Executor, emit: Emit, stop: Stop) -> None:
        self._plan = plan
        self._pattern = PATTERNS[plan.load.pattern]
        self._executor = executor
        self._emit = emit
        self._stop = stop
        self._id = uuid.uuid4().hex
        self._total = plan.load.messages or 0
        self._workers = Workers(plan, executor, stop)
        self._slices: list[dict[str, Any]] = []
        self._slicing: dict[str, Any] | None = None
        self._consumer: dict[str, Any] = {}

    def connect(self, transport: Any) -> None:
        """Make the client; no message is sent."""
        self._client = rpc.client(transport, self._plan)
        arguments = payload.build(self._plan.load.size_bytes)
        self._send = rpc.sender(self._pattern, self._client, self._id, arguments)
        self._catch_up = rpc.catching_up(self._pattern, self._client, self._id)

    def run(self, measurement: Measurement) -> None:
        """Find the consumer, warm up, send the load.

        Raises ``RunError`` when no consumer answers or no warm-up message
        gets through.
        """
        found = deadline.within(
            self._executor,
            self._stop,
            self._plan.load.wait_s + HELLO_LATE_S,
            self._find_consumer,
            "the producer could not ask for a consumer",
        )
        if not found:
            return
        if self._plan.load.warmup:
            self._emit(events.Phase(self.name, "warm-up"))
            self._workers.warm_up(self._send, self._emit)
        if self._stop.requested:
            return
        self._control("begin")
        self._emit(events.Phase(self.name, "load"))
        over = threading.Event()
        progress.report(self._executor, self._emit, self, measurement, over)
        measurement.start()
        for each in self._divide(measurement):
            self._send_slice(measurement, each)
        measurement.stop()
        if self._workers.left_behind:
            error = self._workers.left_behind[0]
            raise RunError(
                f"the consumer did not get through {self._pattern.ahead} {self._pattern.noun}s of a"
                f" worker within {CATCH_UP_S:g} s: {type(error).__name__}"
            ) from error
        over.set()
        self._emit(events.Progress(self.name, self.progress()))

    def progress(self) -> dict[str, int]:
        """Messages sent, ended well and failed so far; those of busy workers have not ended."""
        return self._workers.progress()

    def recent_ns(self) -> list[int]:
        """Latencies of messages that ended since the last time, in ns: all, or evenly chosen."""
        return self._workers.recent_ns()

    def _divide(self, measurement: Measurement) -> list[slices.Slice]:
        """The load in slices, where a side has profilers whose cost is to be measured."""
        plan = self._plan
        offers = {
            "producer": measurement.offer(plan.profiling.twin),
            "consumer": self._consumer["offer"],
        }
        slow_only = any(offer["slow"] for offer in offers.values())
        modes = {side: offer["slow" if slow_only else "all"] for side, offer in offers.items()}
        asked = slow_only or any(offer["twin"] for offer in offers.values())
        if not asked or not any(modes.values()):
            return slices.whole(self._total)
        needed = slices.twin_messages(plan.load.workers)
        self._slicing = {"modes": modes, "slow_only": slow_only, "reason": None}
        if self._total < needed:
            self._slicing["reason"] = (
                f"{self._total:,} messages of {plan.load.workers:,} workers are too few to compare"
                f" slices of them; -m {needed} or more would do"
            )
            return slices.whole(self._total)
        return slices.divide(self._total, plan.load.workers, sparing=slow_only)

    def _send_slice(self, measurement: Measurement, each: slices.Slice) -> None:
        if self._stop.requested:
            return
        about = dataclasses.asdict(each)
        served = self._switch(measurement, each)
        if self._stop.requested:
            return
        self._slices.append(about)
        used = time.process_time()
        self._workers.load(each.first, each.end, self._send, self._catch_up)
        about["producer_cpu_seconds"] = time.process_time() - used
        # After the last slice a consumer that has what it wanted is gone.
        if not self._sliced() or self._stop.requested or each.end == self._total:
            return
        if not self._pattern.replies:
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
        about = dataclasses.asdict(each) if begins else None
        answer = self._control("profile", on=each.profiled, begins=about, slicing=self._slicing)
        return None if answer is None else float(answer)

    def _drain(self, each: slices.Slice) -> int | None:
        """Wait until the consumer has received the casts of a slice.

        When that was, on our clock; None when they did not come or it cannot tell.
        """
        ended = self._workers.ended[each.first : each.end]
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

    def save(self, folder: Path, measurement: Measurement) -> None:
        """Write what was measured so far into ``folder``."""
        about = {
            "side": self.name,
            **told(member(self.name)),
            "run_id": self._plan.run_id,
            "producer_id": self._id,
            "requested": self._total,
            "sent": self._workers.sent,
            "done": self._total - self._workers.ended.count(0),
            "errors": self._workers.errors.by_name(),
            "error_examples": self._workers.errors.examples(),
            "usage": measurement.usage.summary(),
            "telling_cpu_seconds": measurement.progress_seconds,
            "consumer": self._consumer,
            "offer": measurement.offer(self._plan.profiling.twin),
            "slices": self._slices if self._sliced() else [],
            "slicing": self._slicing,
            "stopped": self._stop.requested,
        }
        writer.save_recording(folder, about, self._workers.columns())

    def _find_consumer(self) -> None:
        end = time.monotonic() + self._plan.load.wait_s
        hello = self._client.prepare(timeout=HELLO_TIMEOUT_S)
        failure = "no answer"
        while not self._stop.requested:
            try:
                self._consumer = hello.call(
                    {},
                    "hello",
                    producer=self._id,
                    messages=self._total,
                    about=told(member(self.name)),
                )
            except Exception as error:
                if deadline.is_hopeless(error):
                    raise RunError(deadline.words(error)) from error
                failure = f"{type(error).__name__}"
            else:
                if "offer" not in self._consumer:
                    raise RunError(
                        "the consumer is of another version of omrig; use one for both sides"
                    )
                return
            left = end - time.monotonic()
            if left <= 0:
                server = self._plan.transport.served_by
                who = f"{server}," if server else "the consumer"
                raise deadline.NoAnswer(
                    f"{who} did not answer within {self._plan.load.wait_s:g} s ({failure})", ""
                )
            self._emit(events.Waiting(self.name, round(left, 1)))

    def _control(self, method: str, **arguments: Any) -> Any:
        """The consumer's answer; None when it is not there in the grace after a request to stop.

        Raises ``RunError`` when the consumer does not answer.
        """
        client = self._client.prepare(timeout=max(CONTROL_TIMEOUT_S, self._plan.load.wait_s))
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
