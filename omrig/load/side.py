"""What producer and consumer have in common: recording, counting, saying how far they are."""

import array
import json
import os
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omrig import redaction
from omrig.executors import Executor
from omrig.load.events import Emit
from omrig.profilers import Profiler

POLL_S = 0.25
"""How often a side looks whether it has to stop: a signal handler cannot wake it safely."""

SHUT_DOWN_S = 3.0
"""How long a side may take to close what it opened: a dead broker must not hold it."""

PROGRESS_S = 0.5
"""How often a side says how far it is."""

_ERROR_EXAMPLES = 5

now_ns = time.perf_counter_ns


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
    """CPU time and context switches of this process between :meth:`start` and :meth:`stop`."""

    def __init__(self) -> None:
        self._began_ns = self._ended_ns = 0
        self._before: resource.struct_rusage | None = None
        self._after: resource.struct_rusage | None = None

    def start(self) -> None:
        """Take the first reading."""
        self._began_ns = now_ns()
        self._before = resource.getrusage(resource.RUSAGE_SELF)

    def stop(self) -> None:
        """Take the last reading."""
        self._ended_ns = now_ns()
        self._after = resource.getrusage(resource.RUSAGE_SELF)

    def summary(self) -> dict[str, Any] | None:
        """Wall and CPU seconds, context switches, and the process' peak resident memory so far."""
        if self._before is None or self._after is None:
            return None
        before, after = self._before, self._after
        return {
            "wall_seconds": (self._ended_ns - self._began_ns) / 1e9,
            "cpu_user_seconds": round(after.ru_utime - before.ru_utime, 6),
            "cpu_system_seconds": round(after.ru_stime - before.ru_stime, 6),
            "peak_rss_bytes": after.ru_maxrss * 1024,
            "voluntary_context_switches": after.ru_nvcsw - before.ru_nvcsw,
            "involuntary_context_switches": after.ru_nivcsw - before.ru_nivcsw,
        }


class Measurement:
    """The profilers and the usage counters around the measured load: on once, off once.

    In between :meth:`profile` may take the profilers out and in.
    """

    def __init__(self, profilers: Sequence[Profiler]) -> None:
        self.profilers = profilers
        self.usage = Usage()
        self._running = False
        self._over = False
        self._profiling = False

    def start(self) -> None:
        """Begin, unless it has begun before."""
        if self._running or self._over:
            return
        self._running = True
        self.profile(True)
        self.usage.start()

    def stop(self) -> None:
        """End, if it has begun."""
        if not self._running:
            return
        self._running = False
        self._over = True
        self.usage.stop()
        self.profile(False)

    def profile(self, on: bool) -> None:
        """Have the profilers on or off from now on."""
        if on == self._profiling:
            return
        self._profiling = on
        if on:
            for profiler in self.profilers:
                profiler.start()
        else:
            for profiler in reversed(self.profilers):
                profiler.stop()


def who_i_am() -> dict[str, Any]:
    """What the other side and the run folder are told about this process."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    }


def report_progress(executor: Executor, emit: Emit, side: Any, over: threading.Event) -> None:
    """Say every half second, from a native thread, how far ``side`` is, until ``over`` is set."""

    def loop() -> None:
        while not over.is_set():
            emit("progress", side=side.name, **side.progress())
            executor.native_sleep(PROGRESS_S)

    executor.start_native_thread(loop, "omrig progress")


def save_recording(
    folder: Path, about: dict[str, Any], columns: dict[str, "array.array[int]"]
) -> None:
    """Write ``side.json`` and ``messages.npz`` into the folder of a side.

    ``columns`` are :func:`time.perf_counter_ns` readings by sequence number, 0 for none.
    """
    import numpy

    arrays: dict[str, Any] = {
        name: numpy.frombuffer(column, dtype="<u8") for name, column in columns.items()
    }
    with (folder / "messages.npz").open("wb") as file:
        numpy.savez(file, **arrays)
    (folder / "side.json").write_text(redaction.redact(json.dumps(about, indent=1)) + "\n")
