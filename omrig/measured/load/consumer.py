"""The consumer: a real oslo.messaging RPC server in a real event loop, one process."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omrig.measured import progress
from omrig.measured.executors.base import Executor
from omrig.measured.load.behaviour import Behaving
from omrig.measured.load.messaging import Messaging
from omrig.measured.load.side import POLL_S, SHUT_DOWN_S, Stop, member, now_ns, told
from omrig.measured.load.tally import Tally
from omrig.measured.measurement import Measurement
from omrig.measured.probes.stamp import clock
from omrig.model import events
from omrig.model.events import Emit
from omrig.model.plan import Plan
from omrig.model.values import Json
from omrig.recordings import writer

SWITCH_TIMEOUT_S = 50.0
"""How long the main thread may take to turn the profilers on or off; a producer waits longer."""


class Endpoint:
    """What producers send messages to, and nothing else."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def message(
        self, ctxt: Any, seq: int, producer: str, at_ns: int | None = None, **payload: Any
    ) -> int:
        """One message of the load, or of the warm-up when ``seq`` is negative.

        It came at ``at_ns``, or now. Raises :class:`Stray`, as an expected exception, for a message
        of whoever has not presented itself: it is counted, and not served.
        """
        tally = self.tally
        try:
            if seq < 0:
                tally.warmed[producer].append(None)
                return seq
            column = tally.received[producer]
            entered_ns = at_ns or clock.entered()
            again = column[seq]
            if not again:
                column[seq] = entered_ns
        except (KeyError, IndexError) as error:
            if isinstance(error, IndexError) and tally.make_room(producer, seq):
                return self.message(ctxt, seq, producer)
            tally.out_of_range.append(None)
            if isinstance(error, KeyError):
                tally.foreign.append(None)
                _refuse(producer)
            return seq
        if again:
            tally.again(producer, seq)
        tally.last = number = next(tally.numbers)
        wanted = tally.wanted
        if wanted is not None and number >= wanted:
            tally.wake.set()
        return seq


class Stray(Exception):
    """A message of another run."""


def _refuse(producer: str) -> None:
    import oslo_messaging

    try:
        raise Stray(f"producer {producer} is of another run than this consumer")
    except Stray as error:
        # The server logs no traceback of it then, and the sender has it all the same.
        raise oslo_messaging.ExpectedException from error


class Consumer:
    """Serves messages until it has as many as asked for, or is stopped."""

    def __init__(
        self, plan: Plan, executor: Executor, emit: Emit, stop: Stop, offer: dict[str, Any]
    ) -> None:
        self.name = plan.names("consumer")[0]
        self._plan = plan
        self._executor = executor
        self._emit = emit
        self._stop = stop
        self.offer = offer
        self._tally = Tally(plan.load.messages)
        self._behaving = Behaving(plan)
        self._messaging: Messaging | None = None
        self._asked: tuple[bool, bool] | None = None
        self._done = threading.Event()
        self.producers: dict[str, dict[str, Any]] = {}
        self._slices: list[dict[str, Any]] = []
        self._slicing: dict[str, Any] | None = None
        self._ended = "stopped"

    def connect(self, messaging: Messaging) -> None:
        """Start the servers; when this returns their queues exist.

        Raises what oslo.messaging raises when it cannot listen.
        """
        self._messaging = messaging
        if self._behaving.nested:
            self._behaving.connect(messaging.rpc_transport())
        messaging.serve(self._behaving.endpoint(Endpoint(self._tally)))

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
            if self._messaging:
                self._messaging.stop_serving()
            self._behaving.stop()

        self._executor.spawn(shut_down, "main").join(seconds)

    def answer(self, method: str, arguments: Mapping[str, Json]) -> Json:
        """What a producer, or whoever started this process, wants of it beside the load.

        Raises ``KeyError`` for what it does not know.
        """
        answers: dict[str, Callable[..., Json]] = {
            "hello": self._hello,
            "warmed": lambda producer: len(self._tally.warmed[producer]),
            "begin": self._begin,
            "profile": self._profile,
            "received": self._tally.arrived,
            "expect": self._expect,
        }
        return answers[method](**arguments)

    def _hello(self, producer: str, messages: int | None, about: dict[str, Any]) -> Json:
        """A producer presents itself and how many messages it will send; None where only its time
        says."""
        self._tally.expect(producer, messages)
        self._behaving.expect(producer, messages, about["pid"])
        self.producers[producer] = about
        return {**told(member("consumer")), "offer": self.offer}

    def _begin(self, producer: str) -> None:
        """All have warmed up: the load begins when this returns."""
        self._ask(True)

    def _profile(
        self,
        producer: str,
        on: bool,
        begins: dict[str, Any] | None,
        slicing: dict[str, Any],
    ) -> float:
        """A producer compares slices of load with and without profilers: CPU seconds so far.

        ``begins`` is the slice that it sends next (:class:`omrig.model.slices.Slice`), None where
        one has ended; ``slicing`` says what is compared.
        """
        self._ask(on, bool(slicing["slow_only"]))
        used = time.process_time()
        self._note_slice(producer, begins, slicing, used)
        return used

    def _expect(self, messages: int | None) -> None:
        """So many messages will come in all, whatever the plan said; None: no more of them."""
        if messages is None:
            self._tally.finished = True
        else:
            self._tally.want(messages)
        self._tally.wake.set()

    def _ask(self, profiling: bool, slow_only: bool = False) -> None:
        """Have the main thread turn the profilers on or off, and wait."""
        self._done.clear()
        self._asked = profiling, slow_only
        self._tally.wake.set()
        self._done.wait(SWITCH_TIMEOUT_S)

    def _note_slice(
        self,
        producer: str,
        begins: dict[str, Any] | None,
        slicing: dict[str, Any],
        cpu_seconds: float,
    ) -> None:
        """A slice of a producer's load begins, or the last one has ended.

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
        """Messages of the load received so far, each of them once."""
        tally = self._tally
        return {"received": tally.last - len(tally.duplicated) - tally.redelivered}

    def _of_notifications(self) -> dict[str, Json]:
        """What only a listener of notifications counts, where there was any of it."""
        tally = self._tally
        counts: dict[str, Json] = {}
        if tally.requeued:
            counts |= {"requeued": tally.requeued, "redelivered": tally.redelivered}
        if tally.batches:
            counts["batches"] = len(tally.batches)
        return counts

    def recent_ns(self) -> list[int]:
        """Nothing: how long a message took, its producer knows."""
        return []

    def save(self, folder: Path, measurement: Measurement) -> None:
        """Write what was measured so far into ``folder``."""
        unique = self._tally.unique()
        about = {
            "side": "consumer",
            "member": self.name,
            **told(member("consumer")),
            "run_id": self._plan.run_id,
            "requested": self._plan.load.messages,
            "received": unique,
            "duplicated": len(self._tally.duplicated),
            "out_of_range": len(self._tally.out_of_range),
            "foreign": len(self._tally.foreign),
            **self._of_notifications(),
            "producers": self.producers,
            "usage": measurement.usage.summary(),
            "telling_cpu_seconds": measurement.progress_seconds,
            "offer": self.offer,
            "slices": self._slices,
            "slicing": self._slicing,
            "ended": self._ended,
            "stopped": self._stop.requested,
            **self._behaving.about(),
            **(self._messaging.about() if self._messaging else {}),
        }
        writer.save_recording(
            folder,
            about,
            {
                f"received_ns.{producer}": column
                for producer, column in self._tally.received.items()
            },
        )
        self._behaving.save(folder)
