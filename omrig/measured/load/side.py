"""What producer and consumer have in common: recording, counting, saying how far they are."""

import contextlib
import os
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from omrig.measured.executors.base import Executor
from omrig.measured.profilers.base import Profiler
from omrig.model import redaction
from omrig.model.events import Emit

POLL_S = 0.25
"""How often a side looks whether it has to stop: a signal handler cannot wake it safely."""

SHUT_DOWN_S = 3.0
"""How long a side may take to close what it opened: a dead broker must not hold it."""

DRAIN_S = 5.0
"""Casts of which none arrived for so long will not come any more."""

PROGRESS_S = 0.5
"""How often a side says how far it is."""

_ERROR_EXAMPLES = 5

# Lines shorter than what a pipe takes in one piece: other threads write to it, too.
_LATENCIES_A_LINE = 200
_ROWS_A_LINE = 6

now_ns = time.perf_counter_ns

T = TypeVar("T")


class Stop:
    """The request to stop, set by a signal handler and read by every worker."""

    requested = False

    def request(self, *_: object) -> None:
        """Ask for the end; safe in a signal handler."""
        self.requested = True


class Errors:
    """Failures by exception name, with the text of the first few."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._examples: list[str] = []

    def add(self, error: BaseException) -> None:
        """Count a failure; called by any thread."""
        name = type(error).__name__
        self._names.append(name)
        if len(self._examples) < _ERROR_EXAMPLES:
            text = " ".join(str(error).split())
            self._examples.append(redaction.redact(f"{name}: {text}"))

    def __len__(self) -> int:
        return len(self._names)

    def by_name(self) -> dict[str, int]:
        """How many failures of each exception name."""
        return dict(Counter(self._names))

    def examples(self) -> list[str]:
        """The first few failures, in words."""
        return list(self._examples)


class Usage:
    """CPU time and context switches of this process from :meth:`start` to :meth:`stop`.

    Several such times add up.
    """

    def __init__(self) -> None:
        self._since: tuple[int, resource.struct_rusage] | None = None
        self._used: Counter[str] = Counter()
        self._peak_bytes = 0

    def start(self) -> None:
        """Take the first reading."""
        self._since = now_ns(), resource.getrusage(resource.RUSAGE_SELF)

    def stop(self) -> None:
        """Take the last reading, if there was a first."""
        if self._since is None:
            return
        (began_ns, before), self._since = self._since, None
        after = resource.getrusage(resource.RUSAGE_SELF)
        self._peak_bytes = after.ru_maxrss * 1024
        self._used.update(
            wall_ns=now_ns() - began_ns,
            user_us=round(1e6 * (after.ru_utime - before.ru_utime)),
            system_us=round(1e6 * (after.ru_stime - before.ru_stime)),
            voluntary=after.ru_nvcsw - before.ru_nvcsw,
            involuntary=after.ru_nivcsw - before.ru_nivcsw,
        )

    @contextlib.contextmanager
    def left_out(self) -> Iterator[None]:
        """What the block uses does not count."""
        running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if running:
                self.start()

    def summary(self) -> dict[str, Any] | None:
        """Wall and CPU seconds, context switches, and the process' peak resident memory so far."""
        if not self._used:
            return None
        return {
            "wall_seconds": self._used["wall_ns"] / 1e9,
            "cpu_user_seconds": self._used["user_us"] / 1e6,
            "cpu_system_seconds": self._used["system_us"] / 1e6,
            "peak_rss_bytes": self._peak_bytes,
            "voluntary_context_switches": self._used["voluntary"],
            "involuntary_context_switches": self._used["involuntary"],
        }


class Measurement:
    """The profilers and the usage counters around the measured load: on once, off once.

    In between :meth:`profile` may take profilers out and in.
    """

    def __init__(self, profilers: Sequence[Profiler]) -> None:
        self.profilers = profilers
        self.usage = Usage()
        self.telling_seconds = 0.0
        """CPU time of saying how far the side is, so far."""
        self._running = False
        self._over = False
        self._on: list[Profiler] = []

    def start(self) -> None:
        """Begin, unless it has begun before."""
        if self._running or self._over:
            return
        self._running = True
        self._switch(self.profilers, True)
        self.usage.start()

    def stop(self) -> None:
        """End, if it has begun."""
        if not self._running:
            return
        self._running = False
        self._over = True
        self.usage.stop()
        self._switch(self.profilers, False)

    def profile(self, on: bool, slow_only: bool = False) -> None:
        """Have the profilers on or off from now on, with ``slow_only`` those that slow the run.

        What cannot be stopped and started stays on, and nothing is done before the beginning or
        after the end.
        """
        if not self._running:
            return
        with self.usage.left_out():
            self._switch(self._switchable(slow_only), on)

    def recent(self) -> dict[str, list[list[int]]]:
        """What the profilers can show already of messages that ended since the last time."""
        found: dict[str, list[list[int]]] = {}
        for profiler in self.profilers:
            found |= profiler.recent()
        return found

    def offer(self, twin: bool) -> dict[str, Any]:
        """The modes that can be compared in slices of the load, and whether that is asked for."""
        return {
            "slow": [each.name for each in self._switchable(slow_only=True)],
            "all": [each.name for each in self._switchable(slow_only=False)],
            "lasting": [each.name for each in self.profilers if not each.pausable],
            "twin": twin,
        }

    def _switchable(self, slow_only: bool) -> list[Profiler]:
        return [
            each for each in self.profilers if each.pausable and (each.is_slow or not slow_only)
        ]

    def _switch(self, chosen: Sequence[Profiler], on: bool) -> None:
        for profiler in chosen if on else reversed(chosen):
            if (profiler in self._on) == on:
                continue
            if on:
                profiler.start()
                self._on.append(profiler)
            else:
                profiler.stop()
                self._on.remove(profiler)


def who_i_am() -> dict[str, Any]:
    """What the other side and the run folder are told about this process."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    }


def report_progress(
    executor: Executor, emit: Emit, side: Any, measurement: Measurement, over: threading.Event
) -> None:
    """Say every half second, from a native thread, how far ``side`` is, until ``over`` is set."""

    def loop() -> None:
        while not over.is_set():
            emit("progress", side=side.name, **side.progress())
            for few in _pieces(side.recent_ns(), _LATENCIES_A_LINE):
                emit("latencies", side=side.name, latencies_ns=few)
            for name, rows in measurement.recent().items():
                for some in _pieces(rows, _ROWS_A_LINE):
                    emit("rows", side=name, rows=some)
            measurement.telling_seconds = time.thread_time()
            executor.native_sleep(PROGRESS_S)

    executor.start_native_thread(loop, "omrig progress")


def _pieces(values: list[T], length: int) -> Iterator[list[T]]:
    for begin in range(0, len(values), length):
        yield values[begin : begin + length]
