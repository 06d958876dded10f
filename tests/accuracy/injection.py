"""Faults and memory of known size, put into the measured processes by two profiler modes.

The modes come from a distribution of their own (``bench.Bench`` makes it), which sees this file
alone. They go in before the probes, so that these see the slow functions as the
driver's own.
"""

import functools
import json
import mmap
import os
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.model.units import MS

FAULT = "OMRIG_FAULT"
"""The environment variable that tells the mode what to do: JSON with ``kind``, ``side`` and ``ms``,
``mark``, a file that it makes when the load begins, and ``stops``, a file for when it stopped."""

HELD = "held.json"
"""What the mode leaves in a side's folder: ns by which it held each message."""

BLOCK = 10
"""Messages after which the fault is turned on or off. The first of a block does not count: the one
before it may still be felt."""

SETTLE_S = 0.001
"""How long a thread sleeps before it is slow. The one that has just woken it (with a reply, with a
message) is not done yet: it would get the interpreter's lock when the slow function lets go of it,
and do the rest while another stage waits, the likelier the longer the function was slow."""

PLANTED = "OMRIG_PLANTED"
"""The environment variable that says what to plant: JSON, either ``{"leak": bytes, "side": name}``,
kept of each message, or ``{"burst": bytes, "seq": n}``, taken by the consumer at message n, or
``{"publish_ms": ms, "side": name}``, burnt whenever a message is published, or ``{"more": what,
"times": n, "side": name}``, done n times whenever one is: ``declare`` (a passive one), ``ack`` (of
nothing) or ``call`` (of a function of Python)."""

TAKEN = "taken.json"
"""What the mode leaves in the consumer's folder: when the burst began and ended, in seconds since
the epoch."""

LEAK_S = 0.002

STOPPER = """
import os, signal, sys, time
process, stops, held_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
for _ in range(stops):
    time.sleep(1)
    try:
        os.kill(process, signal.SIGSTOP)
        began = time.monotonic_ns()
        time.sleep(held_s)
        ended = time.monotonic_ns()
        os.kill(process, signal.SIGCONT)
    except ProcessLookupError:
        break
    print(began, ended, flush=True)
"""
"""What stops a process now and then, from outside, and prints when in ns of CLOCK_MONOTONIC."""

STOPS = 4

ROOM_BYTES = 1 << 30
"""Address space for the leak; of it only what was written is memory."""


def faulty(seq: Any) -> bool:
    """Whether the fault is on for the message of this sequence number."""
    return isinstance(seq, int) and seq >= 0 and seq // BLOCK % 2 == 1


def burn(milliseconds: float) -> None:
    """Use the CPU for so long, in Python, without yielding to other greenlets."""
    end = time.perf_counter_ns() + int(milliseconds * MS)
    while time.perf_counter_ns() < end:
        pass


def compute(numbers: int) -> int:
    """Use the CPU in one call of C: a loop would weigh more where each of its turns is profiled."""
    return sum(range(numbers))


def numbers_in(milliseconds: float) -> int:
    """How many numbers :func:`compute` adds in so long, here and now; at the fastest of some."""
    numbers, took = 200_000, []
    for _ in range(10):
        begin = time.perf_counter_ns()
        compute(numbers)
        took.append(time.perf_counter_ns() - begin)
    return int(milliseconds * MS * numbers / min(took))


def on_serialize(act: Callable[[Any], None]) -> None:
    """Call ``act`` with the sequence number of each message while the driver serialises it."""
    from oslo_messaging._drivers import common

    original = common.jsonutils

    def dumps(message: Any, *args: Any, **kwargs: Any) -> Any:
        # The endpoint answers with the sequence number.
        # A call or cast, a notification, or a reply.
        sent = message.get("args", message.get("payload"))
        act(sent.get("seq") if sent is not None else message.get("result"))
        return original.dumps(message, *args, **kwargs)

    # Within the function that is stamped: what stands around it is not seen by its stamps.
    common.jsonutils = types.SimpleNamespace(**{**vars(original), "dumps": dumps})


def on_endpoint(act: Callable[[Any], None]) -> None:
    """Call ``act`` with the sequence number of each message while its endpoint runs."""
    from omrig.measured.load import consumer

    original = consumer.Endpoint.message

    def message(endpoint: Any, ctxt: Any, seq: int, producer: str, **payload: Any) -> int:
        # The original says when it was entered.
        answer = original(endpoint, ctxt, seq, producer, **payload)
        act(seq)
        return answer

    consumer.Endpoint.message = message  # type: ignore[method-assign,assignment]


def on_publish(act: Callable[[], object]) -> None:
    """Call ``act`` whenever the driver publishes a message, on a connection that it holds."""
    from oslo_messaging._drivers import impl_rabbit

    original = impl_rabbit.Connection._publish

    def _publish(connection: Any, *args: Any, **kwargs: Any) -> Any:
        act()
        return original(connection, *args, **kwargs)

    impl_rabbit.Connection._publish = _publish


def more_declares(connection: Any, routing_key: str) -> None:
    """Declare the queue that is published to once more, which is a round trip."""
    connection.channel.queue_declare(queue=routing_key, passive=True)


def more_acks(connection: Any, _routing_key: str) -> None:
    """Acknowledge all that this channel still has to, which is nothing."""
    connection.channel.basic_ack(0, multiple=True)


def more_calls(_connection: Any, _routing_key: str) -> None:
    """Nothing but a call of a function."""


MORE: dict[str, Callable[[Any, str], None]] = {
    "declare": more_declares,
    "ack": more_acks,
    "call": more_calls,
}


def publish_with_more(what: str, times: int) -> None:
    """Have the driver do something so often whenever it publishes a message."""
    from oslo_messaging._drivers import impl_rabbit

    original, act = impl_rabbit.Connection._publish, MORE[what]

    def _publish(
        connection: Any, exchange: Any, msg: Any, routing_key: Any = None, *args: Any, **more: Any
    ) -> Any:
        for _ in range(times):
            act(connection, routing_key)
        return original(connection, exchange, msg, routing_key, *args, **more)

    impl_rabbit.Connection._publish = _publish


class Faults(Profiler):
    """Mode `faults`: slows the process down as the environment says, and measures nothing."""

    name = "faults"
    coexists_with = frozenset({"stages"})
    pausable = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._fault = json.loads(os.environ.get(FAULT, "{}"))
        self._producer = context.side == "producer"
        self._mine = context.side == self._fault.get("side")
        self._ms = self._fault.get("ms", 0.0)
        self._native = context.executor == "threading"
        self._on = False
        self._over = False
        self._burnt: dict[int, int] = {}

    def install(self) -> None:
        """Replace the function that the fault is in."""
        if self._mine and self._fault["kind"] == "serialize":
            on_serialize(self._burn)
        elif self._mine and self._fault["kind"] == "work":
            on_serialize(self._work)
        elif self._mine and self._fault["kind"] == "endpoint":
            on_endpoint(self._burn)
        elif self._mine and self._fault["kind"] == "hog":
            (on_serialize if self._producer else on_endpoint)(self._turn)

    def start(self) -> None:
        """Say that the load begins; let the hog loose."""
        if self._producer and self._fault.get("mark"):
            Path(self._fault["mark"]).touch()
        if self._mine and self._fault["kind"] == "hog":
            # A greenlet where the executor is eventlet: it has patched both names.
            threading.Thread(target=self._hog, daemon=True).start()
        if self._mine and self._fault["kind"] == "stop":
            self._be_stopped()

    def stop(self) -> None:
        """Tame the hog."""
        self._over = True

    def save(self, folder: Path) -> list[Artefact]:
        """Write how long each message was held, in ns by sequence number."""
        (folder / HELD).write_text(json.dumps(self._burnt))
        return []

    def _be_stopped(self) -> None:
        arguments = [str(os.getpid()), str(STOPS), str(self._ms / 1000)]
        to_file = (os.POSIX_SPAWN_OPEN, 1, self._fault["stops"], os.O_WRONLY | os.O_CREAT, 0o644)
        # Not subprocess, of which eventlet patches the half.
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", STOPPER, *arguments],
            os.environ,
            file_actions=[to_file],
        )

    def _burn(self, seq: Any) -> None:
        # All messages are held, the faulty ones twice as long. A pause of any length has effects of
        # its own (other processes' cores fall asleep, other threads are owed the interpreter's
        # lock), real and no matter of the stage: so they are on both sides of the comparison.
        if isinstance(seq, int) and seq >= 0:
            begin = time.perf_counter_ns()
            if self._native:
                time.sleep(SETTLE_S)
            burn(self._ms * (2 if faulty(seq) else 1))
            # On a busy machine it is longer than asked for: other processes' turn came meanwhile.
            self._burnt[seq] = time.perf_counter_ns() - begin

    def _work(self, _seq: Any) -> None:
        # So much of it and not so long: the same part of a message at any speed of the core.
        compute(self._fault["numbers"])

    def _turn(self, seq: Any) -> None:
        self._on = faulty(seq)

    def _hog(self) -> None:
        while not self._over:
            if self._on:
                burn(self._ms)
            time.sleep(0.005)


class Planted(Profiler):
    """Leaks or takes memory, or uses the CPU, as the environment says."""

    name = "planted"
    coexists_with = frozenset({"none", "counts", "memory-lines", "yappi", "lines", "pyspy"})
    pausable = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._planted = json.loads(os.environ[PLANTED])
        self._side = context.side
        self._taken: tuple[float, float] | None = None
        self._kept: bytes | None = None
        self._on = False

    def install(self) -> None:
        """Replace the function that shall leak."""
        if "leak" in self._planted and self._planted["side"] == self._side:
            # Not from malloc, which first hands out again what others have freed: an honest leak
            # begins late, and its size is known only in the long run.
            self._room = mmap.mmap(-1, ROOM_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            producer = self._side == "producer"
            (on_serialize if producer else on_endpoint)(self._leak)
        elif "burst" in self._planted and self._side == "consumer":
            on_endpoint(self._burst)
        elif "more" in self._planted and self._planted["side"] == self._side:
            publish_with_more(self._planted["more"], self._planted["times"])
        elif "publish_ms" in self._planted and self._planted["side"] == self._side:
            numbers = numbers_in(self._planted["publish_ms"])
            on_publish(functools.partial(compute, numbers))

    def start(self) -> None:
        """The load begins: the warm-up leaks nothing."""
        self._on = True

    def stop(self) -> None:
        """Nothing leaks any more."""
        self._on = False

    def save(self, folder: Path) -> list[Artefact]:
        """Write when the burst was."""
        (folder / TAKEN).write_text(json.dumps(self._taken))
        return []

    def _leak(self, seq: Any) -> None:
        if self._on and isinstance(seq, int) and seq >= 0:
            self._room.write(b"x" * self._planted["leak"])
            # The load is to last long enough for samples, however fast the machine.
            time.sleep(LEAK_S)

    def _burst(self, seq: Any) -> None:
        if seq == self._planted["seq"]:
            began = time.time()
            self._kept = b"x" * self._planted["burst"]
            self._taken = began, time.time()
