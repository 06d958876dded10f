"""Mode ``counts``: what each message takes that can be counted, the same on any machine.

Functions entered (:mod:`omrig.measured.profilers.entered`), AMQP methods, frames and bytes
(:mod:`omrig.measured.profilers.frames`), context switches and system calls. It stays in from before
the first connection to the end, as what is counted must not begin in the midst of a function.
"""

import resource
from pathlib import Path
from types import MappingProxyType

from omrig.measured.probes.stamp import clock
from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.measured.profilers.entered import SENDS, SERVES, Entered
from omrig.measured.profilers.frames import Frames
from omrig.model.counts import Recorded
from omrig.recordings import writer

_IO = Path("/proc/self/io")

_ONE_HOOK = "Python has one profile function, and both need it"


class CountsProfiler(Profiler):
    """Writes ``counts.json``, of which the accounting makes counts a message."""

    name = "counts"
    pausable = False
    refused_with = MappingProxyType({"yappi": _ONE_HOOK})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._entered = Entered()
        self._frames = Frames(self._entered)
        self._began: tuple[int, int, int | None] | None = None
        self._ended: tuple[int, int, int | None] | None = None

    def install(self) -> None:
        """Count frames and calls from now on."""
        self._frames.install()
        self._entered.install(native=self._run.executor == "threading")

    def start(self) -> None:
        """The load begins: its messages are told by when the load reads its clock."""
        begin, entered, mark = clock.begin, clock.entered, self._entered.mark

        def marked_begin(seq: int) -> int:
            mark(SENDS)
            return begin(seq)

        def marked_entered() -> int:
            mark(SERVES)
            return entered()

        clock.begin, clock.entered = marked_begin, marked_entered
        self._entered.begin()
        self._frames.enter("load")
        self._began = _of_kernel()

    def stop(self) -> None:
        """The load has ended; what its last message leaves to do still counts."""
        self._ended = _of_kernel()

    def save(self, folder: Path) -> list[Artefact]:
        """Write what was counted; nothing if the load never began."""
        self._entered.end()
        if self._began is None or self._ended is None:
            return []
        heartbeats = self._frames.apart("heartbeats")
        syscalls = None
        if self._began[2] is not None and self._ended[2] is not None:
            syscalls = self._ended[2] - self._began[2]
        counted = Recorded(
            frames={
                phase: {
                    direction: {method: tuple(each) for method, each in methods.items()}
                    for direction, methods in self._frames.of(phase).items()
                }
                for phase in ("start", "load")
            },
            waits=self._frames.apart("waits"),
            heartbeats=sum(heartbeats.values()),
            marks=self._entered.marks(),
            calls=self._entered.histograms(),
            waiting=self._entered.waiting(),
            switches_voluntary=self._ended[0] - self._began[0],
            switches_involuntary=self._ended[1] - self._began[1],
            syscalls=syscalls,
        )
        writer.save_counts(folder, counted.to_json())
        return []


def _of_kernel() -> tuple[int, int, int | None]:
    """Voluntary and involuntary context switches of this process so far, and system calls that
    read or write files; None where the kernel does not say."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        lines = dict(line.split(": ") for line in _IO.read_text().splitlines())
    except OSError:
        return used.ru_nvcsw, used.ru_nivcsw, None
    return used.ru_nvcsw, used.ru_nivcsw, int(lines["syscr"]) + int(lines["syscw"])
