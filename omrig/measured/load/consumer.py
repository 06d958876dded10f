"""The consumer: a real oslo.messaging RPC server in a real event loop, one process."""

import array
import threading
import time
from pathlib import Path
from typing import Any

from omrig.measured import progress
from omrig.measured.executors.base import Executor
from omrig.measured.load import rpc
from omrig.measured.load.side import POLL_S, SHUT_DOWN_S, Stop, member, now_ns, told
from omrig.measured.load.tally import Tally
from omrig.measured.measurement import Measurement
from omrig.measured.probes.stamp import clock
from omrig.model import events
from omrig.model.events import Emit
from omrig.model.plan import Plan
from omrig.recordings import writer

SWITCH_TIMEOUT_S = 50.0
"""How long the main thread may take to turn the profilers on or off; a producer waits longer."""


class Endpoint:
    """What producers call. Its public methods are the rig's protocol."""

    def __init__(self, tally: Tally, consumer: "Consumer") -> None:
        self._tally = tally
        self._consumer = consumer
        self._wanted = tally.wanted or 0

    def hello(
        self, ctxt: Any, producer: str, messages: int, about: dict[str, Any]
    ) -> dict[str, Any]:
        """A producer presents itself and how many messages it will send."""
        self._tally.received.setdefault(producer, array.array("Q", bytes(8 * messages)))
        self._consumer.producers[producer] = about
        return {**told(member(Consumer.name)), "offer": self._consumer.offer}

    def begin(self, ctxt: Any, producer: str) -> None:
        """A producer has warmed up: its load begins when this returns."""
        self._consumer.ask(True)

    def profile(
        self,
        ctxt: Any,
        producer: str,
        on: bool,
        begins: dict[str, Any] | None = None,
        slicing: dict[str, Any] | None = None,
    ) -> float:
        """A producer compares slices of load with and without profilers: CPU seconds so far.

        ``begins`` is the slice that it sends next (:class:`omrig.model.slices.Slice`), None where
        one has ended; ``slicing`` says what is compared.
        """
        self._consumer.ask(on, bool(slicing and slicing["slow_only"]))
        used = time.process_time()
        if slicing:
            self._consumer.note_slice(producer, begins, slicing, used)
        return used

    def received(self, ctxt: Any, producer: str, first: int, end: int) -> int:
        """How many of the messages from ``first`` to before ``end`` arrived."""
        part = self._tally.received[producer][first:end]
        return len(part) - part.count(0)

    def arrived(self, ctxt: Any, producer: str, number: int) -> tuple[bool, int]:
        """Whether this message of a producer arrived, and how many messages have in all."""
        return self._tally.received[producer][number] > 0, self._tally.last

    def message(self, ctxt: Any, seq: int, producer: str, **payload: Any) -> int:
        """One message of the load, or of the warm-up when ``seq`` is negative."""
        if seq < 0:
            return seq
        tally = self._tally
        try:
            column = tally.received[producer]
            again = column[seq]
            column[seq] = clock.entered()
        except (KeyError, IndexError) as error:
            tally.out_of_range.append(None)
            if isinstance(error, KeyError):
                tally.foreign.append(None)
            return seq
        if again:
            tally.duplicated.append(None)
        tally.last = number = next(tally.numbers)
        if number >= self._wanted > 0:
            tally.wake.set()
        return seq


class Consumer:
    """Serves messages until it has as many as asked for, or is stopped."""

    name = "consumer"

    def __init__(
        self, plan: Plan, executor: Executor, emit: Emit, stop: Stop, offer: dict[str, Any]
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._emit = emit
        self._stop = stop
        self.offer = offer
        self._tally = Tally(plan.load.messages)
        self._asked: tuple[bool, bool] | None = None
        self._done = threading.Event()
        self.producers: dict[str, dict[str, Any]] = {}
        self._slices: list[dict[str, Any]] = []
        self._slicing: dict[str, Any] | None = None
        self._ended = "stopped"

    def connect(self, transport: Any) -> None:
        """Start the server; when this returns its queues exist.

        Raises what oslo.messaging raises when it cannot listen.
        """
        self._server = rpc.serve(transport, self._plan, Endpoint(self._tally, self))

    def run(self, measurement: Measurement) -> None:
        """Serve until the count is reached, ``--idle`` is over or a stop is requested."""
        over = threading.Event()
        progress.report(self._executor, self._emit, self, measurement, over)
        last, last_change, idle_s = 0, time.monotonic(), self._plan.load.idle_s
        while not self._stop.requested:
            self._tally.wake.wait(POLL_S)
            self._tally.wake.clear()
            if self._asked is not None:
                measurement.start()
                measurement.profile(*self._asked)
                self._asked = None
                self._done.set()
            if self._tally.complete():
                self._ended = "count"
                break
            if self._tally.last != last:
                last, last_change = self._tally.last, time.monotonic()
            elif last and idle_s and time.monotonic() - last_change > idle_s:
                self._ended = "idle"
                break
        # The server takes up to a second to notice that it has to stop: no part of the load.
        measurement.usage.stop()
        # The last replies are still to be sent, and measured.
        self.shut_down_within(SHUT_DOWN_S)
        measurement.stop()
        over.set()
        self._emit(events.Progress(self.name, self.progress()))

    def shut_down_within(self, seconds: float) -> None:
        """Stop listening and let the messages under way be answered, for so long at most."""

        def shut_down() -> None:
            self._server.stop()
            self._server.wait()

        self._executor.spawn(shut_down, "main").join(seconds)

    def ask(self, profiling: bool, slow_only: bool = False) -> None:
        """Called by the endpoint: have the main thread turn the profilers on or off, and wait."""
        self._done.clear()
        self._asked = profiling, slow_only
        self._tally.wake.set()
        self._done.wait(SWITCH_TIMEOUT_S)

    def note_slice(
        self,
        producer: str,
        begins: dict[str, Any] | None,
        slicing: dict[str, Any],
        cpu_seconds: float,
    ) -> None:
        """Called by the endpoint: a slice of a producer's load begins, or the last one has ended.

        ``cpu_seconds`` is what this process has used so far.
        """
        self._slicing = slicing
        if begins is not None:
            about = {**begins, "producer": producer, "at_ns": now_ns(), "cpu_before": cpu_seconds}
            self._slices.append(about)
        elif self._slices:
            about = self._slices[-1]
            about["consumer_cpu_seconds"] = cpu_seconds - about["cpu_before"]

    def progress(self) -> dict[str, int]:
        """Messages of the load received so far, duplicates included."""
        return {"received": self._tally.last}

    def recent_ns(self) -> list[int]:
        """Nothing: how long a message took, its producer knows."""
        return []

    def save(self, folder: Path, measurement: Measurement) -> None:
        """Write what was measured so far into ``folder``."""
        unique = self._tally.unique()
        about = {
            "side": self.name,
            **told(member(self.name)),
            "run_id": self._plan.run_id,
            "requested": self._plan.load.messages,
            "received": unique,
            "duplicated": len(self._tally.duplicated),
            "out_of_range": len(self._tally.out_of_range),
            "foreign": len(self._tally.foreign),
            "producers": self.producers,
            "usage": measurement.usage.summary(),
            "telling_cpu_seconds": measurement.progress_seconds,
            "offer": self.offer,
            "slices": self._slices,
            "slicing": self._slicing,
            "ended": self._ended,
            "stopped": self._stop.requested,
        }
        writer.save_recording(
            folder,
            about,
            {
                f"received_ns.{producer}": column
                for producer, column in self._tally.received.items()
            },
        )
