"""The producer: one process, many workers that compete for oslo.messaging's resources."""

import dataclasses
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omrig.measured import progress
from omrig.measured.executors.base import Executor
from omrig.measured.load import deadline, traffic
from omrig.measured.load.ahead import Ahead
from omrig.measured.load.behaviour import Answered
from omrig.measured.load.control import PATIENCE_S, Answers, Control
from omrig.measured.load.delivery import Deliveries
from omrig.measured.load.messaging import Messaging
from omrig.measured.load.side import DRAIN_S, Stop, member, now_ns, told
from omrig.measured.load.workers import Workers
from omrig.measured.measurement import Measurement
from omrig.model import events, patterns, slices
from omrig.model.errors import RunError
from omrig.model.events import BEGIN_AT, Emit
from omrig.model.pace import Pace
from omrig.model.patterns import CATCH_UP_S
from omrig.model.plan import Plan
from omrig.model.units import NS
from omrig.model.values import Json
from omrig.recordings import writer

_DRAIN_POLL_S = 0.01


class Producer:
    """Sends exactly the asked number of messages and keeps when each began and ended."""

    def __init__(
        self, plan: Plan, executor: Executor, emit: Emit, stop: Stop, control: Control
    ) -> None:
        self.name = plan.names("producer")[0]
        self._plan = plan
        self._control = control
        self._patterns = plan.load.patterns
        self._executor = executor
        self._emit = emit
        self._stop = stop
        self._id = uuid.uuid4().hex
        self._total = plan.load.messages or 0
        self._answered = Answered(plan)
        self._traffic = traffic.decide(plan.load, f"{plan.run_id} {self.name}", self._total)
        self._workers = Workers(plan, executor, stop)
        self._slices: list[dict[str, Any]] = []
        self._slicing: dict[str, Any] | None = None
        self._consumers: dict[str, Any] = {}
        self._deliveries: Deliveries | None = None

    def connect(self, messaging: Messaging) -> None:
        """Make the client; no message is sent."""
        self._deliveries = messaging.deliveries
        self._send = self._answered.taken(
            self._traffic.sender(
                lambda pattern, payload: messaging.sender(
                    pattern, self._id, payload, self._answered.client
                )
            )
        )

    def run(self, measurement: Measurement) -> None:
        """Present itself, warm up, send the load.

        Raises ``RunError`` when no consumer answers or no warm-up message
        gets through.
        """
        if not self._present():
            return
        ahead = Ahead(
            self._plan.load,
            self._sent_well,
            lambda: self._ask("received"),
            self._traffic.deliveries(len(self._consumers)),
        )
        if self._plan.load.warmup:
            self._emit(events.Phase(self.name, "warm-up"))
            self._workers.warm_up(self._send, self._emit)
            self._settle()
            self._await_warm_up()
        if self._stop.requested or (begun := self._ask("begin")) is None:
            return
        if self._deliveries:
            self._deliveries.begin()
        self._emit(events.Phase(self.name, "load"))
        self._wait_for(begun)
        over = threading.Event()
        progress.report(self._executor, self._emit, self, measurement, over)
        measurement.start()
        for each in self._divide(measurement):
            self._send_slice(measurement, each, ahead)
        measurement.stop()
        self._settle()
        if self._workers.left_behind:
            error = self._workers.left_behind[0]
            if isinstance(error, RunError):
                raise error
            raise RunError(
                f"the consumer did not get through what workers had sent ahead within"
                f" {CATCH_UP_S:g} s: {type(error).__name__}"
            ) from error
        over.set()
        self._emit(events.Progress(self.name, self.progress()))

    def progress(self) -> dict[str, int]:
        """Messages sent, ended well and failed so far; those of busy workers have not ended."""
        return self._workers.progress()

    def recent_ns(self) -> list[int]:
        """Latencies of messages that ended since the last time, in ns: all, or evenly chosen.

        None of a mix: a percentile of several patterns would say nothing.
        """
        return [] if len(self._patterns) > 1 else self._workers.recent_ns()

    def _divide(self, measurement: Measurement) -> list[slices.Slice]:
        """The load in slices, where a side has profilers whose cost is to be measured."""
        plan = self._plan
        offers = {
            "producer": measurement.offer(plan.profiling.twin),
            "consumer": next(iter(self._consumers.values()))["offer"],
        }
        slow_only = any(offer["slow"] for offer in offers.values())
        modes = {side: offer["slow" if slow_only else "all"] for side, offer in offers.items()}
        asked = slow_only or any(offer["twin"] for offer in offers.values())
        if not asked or not any(modes.values()):
            return slices.whole(self._total)
        needed = slices.twin_messages(plan.load.workers)
        self._slicing = {"modes": modes, "slow_only": slow_only, "reason": None}
        if plan.load.producers > 1 or plan.load.consumers > 1:
            self._slicing["reason"] = (
                "slices of the load are compared between one producer and one consumer only"
            )
            return slices.whole(self._total)
        if plan.pace != Pace():
            self._slicing["reason"] = (
                "slices of a load are compared where it is as fast as it can be and has an end:"
                " without --rate, --ramp, --duration and --think-time"
            )
            return slices.whole(self._total)
        if self._total < needed:
            self._slicing["reason"] = (
                f"{self._total:,} messages of {plan.load.workers:,} workers are too few to compare"
                f" slices of them; -m {needed} or more would do"
            )
            return slices.whole(self._total)
        return slices.divide(self._total, plan.load.workers, sparing=slow_only)

    def _send_slice(self, measurement: Measurement, each: slices.Slice, ahead: Ahead) -> None:
        if self._stop.requested:
            return
        about = dataclasses.asdict(each)
        served = self._switch(measurement, each)
        if self._stop.requested:
            return
        self._slices.append(about)
        used = time.process_time()
        self._workers.load(each.first, each.end, self._send, ahead.wait)
        about["producer_cpu_seconds"] = time.process_time() - used
        # After the last slice a consumer that has what it wanted is gone.
        if not self._sliced() or self._stop.requested or each.end == self._total:
            return
        if not patterns.all_reply(self._patterns):
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
        answers = self._ask("profile", on=each.profiled, begins=about, slicing=self._slicing)
        return None if answers is None else sum(float(str(used)) for used in answers.values())

    def _drain(self, each: slices.Slice) -> int | None:
        """Wait until the consumer has received the casts of a slice.

        When that was, on our clock; None when they did not come or it cannot tell.
        """
        ended = self._workers.ended[each.first : each.end]
        expected = len(ended) - ended.count(0)
        best, since = -1, time.monotonic()
        while not self._stop.requested:
            answers = self._ask("received", first=each.first, end=each.end)
            if answers is None:
                return None
            counts = [int(str(count)) for count in answers.values()]
            received = patterns.arrived(self._patterns, counts)
            if received >= expected:
                return now_ns()
            if received > best:
                best, since = received, time.monotonic()
            elif time.monotonic() - since > DRAIN_S:
                return None
            time.sleep(_DRAIN_POLL_S)
        return None

    def save(self, folder: Path, measurement: Measurement) -> None:
        """Write what was measured so far into ``folder``."""
        delivery = self._deliveries.result() if self._deliveries else None
        about = {
            "side": "producer",
            "member": self.name,
            **told(member("producer")),
            "run_id": self._plan.run_id,
            "producer_id": self._id,
            "requested": self._plan.load.messages,
            "sent": self._workers.sent if delivery is None else delivery.reported,
            "done": self._workers.done,
            **self._answered.about(),
            "errors": {**self._workers.errors.by_name(), **(delivery.failed if delivery else {})},
            "error_examples": self._workers.errors.examples(),
            "usage": measurement.usage.summary(),
            "telling_cpu_seconds": measurement.progress_seconds,
            "consumers": self._consumers,
            "offer": measurement.offer(self._plan.profiling.twin),
            "slices": self._slices if self._sliced() else [],
            "slicing": self._slicing,
            "stopped": self._stop.requested,
        }
        if delivery is not None:
            about["delivery"] = delivery.to_json()
        if pacing := self._workers.pacing():
            about["pacing"] = pacing
        kinds = traffic.columns(self._plan.load, self._traffic, self._total)
        writer.save_recording(folder, about, self._workers.columns() | kinds)

    def _settle(self) -> None:
        """Wait until a driver that sends in the background has sent what it was given."""
        if self._deliveries:
            self._deliveries.settle(self._stop, self._plan.load.patience_s)

    def _present(self) -> bool:
        """Tell the consumers who sends how much; False when the run is to end."""
        answers = self._ask(
            "hello", messages=self._plan.load.messages, about=told(member("producer"))
        )
        if answers is not None and not answers:
            raise deadline.NoAnswer("the consumer is gone")
        self._consumers = dict(answers or {})
        return answers is not None

    def _await_warm_up(self) -> None:
        """Wait until all that was sent ahead of the load has arrived.

        Raises ``RunError`` when it does not within the patience of the plan.
        """
        sent = 0 if patterns.all_reply(self._patterns) else self._workers.warmed
        end = time.monotonic() + self._plan.load.patience_s
        arrived = 0
        while arrived < sent and not self._stop.requested:
            answers = self._ask("warmed")
            if answers is None:
                return
            counts = [int(str(count)) for count in answers.values()]
            arrived = patterns.arrived(self._patterns, counts)
            if arrived < sent and time.monotonic() > end:
                raise deadline.NoAnswer(
                    f"{arrived} of {sent} messages of the warm-up reached the consumer"
                    f" within {self._plan.load.patience_s:g} s"
                )
            time.sleep(_DRAIN_POLL_S)

    def _wait_for(self, begun: Mapping[str, Json]) -> None:
        """Wait for the instant at which all producers begin, where there are several."""
        at_ns = begun.get(BEGIN_AT)
        if at_ns is not None:
            time.sleep(max(0, int(str(at_ns)) - now_ns()) / NS)

    def _sent_well(self) -> int:
        return self._workers.progress()["done"]

    def _ask(self, method: str, **arguments: Json) -> Answers | None:
        """The consumers' answers; None when there are none in the grace after a request to stop."""
        patience_s = max(PATIENCE_S, self._plan.load.wait_s)
        return self._control.ask(method, {"producer": self._id, **arguments}, patience_s)
