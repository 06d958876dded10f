"""Mode ``memory-lines``: which lines of chosen functions the memory of the process grows in.

The tables are memory_profiler's. Its own tracer keeps one stack of lines for the whole process,
which mixes up greenlets and threads; here every call has its own. The resident memory of the whole
process is read before and after each line, so a line also has what other threads took meanwhile,
and one that yields what all greenlets took until it went on.

Slow: every call in the process asks whether it is one of those, and every line of those reads
``/proc``. With one function of 40 lines a message takes 1.5 to 1.9 times the CPU.

On Linux 6.2 to 6.15 each core counts what is resident up to some hundred KiB late.
"""

import linecache
import os
import resource
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any, TextIO

from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.measured.profilers.targets import codes, tracing
from omrig.measured.profilers.whereabouts import NO_MESSAGE, NOWHERE, Whereabouts
from omrig.model import by_stage
from omrig.model.errors import UsageError
from omrig.model.profiling import OPTIONS, TARGETS
from omrig.model.values import Json
from omrig.recordings import writer

TEXT, SUMMARY = "memory_lines.txt", "profile.memory-lines.json"

SUMMARISED = 100
"""So many of the lines with the largest increments are told."""

SLOW = (
    "memory-lines slows every call of the process, and those of the targets most: read the"
    " memory, not the times"
)

OTHERS = (
    "a line's increment is what the whole process took meanwhile, other threads included, and on a"
    " line that yields all other greenlets"
)

HOW = "what a line took in the stage in which it began, that of what it calls included"

_MEBIBYTE = float(1 << 20)
_PAGE_BYTES = resource.getpagesize()

_Trace = Callable[[FrameType, str, object], Any]


class MemoryLinesProfiler(Profiler):
    """Writes ``memory_lines.txt`` and a summary."""

    name = "memory-lines"
    refused_with = {"lines": "both need the trace function of every thread"}  # noqa: RUF012
    # Threads that exist can be traced only if they were from their beginning.
    pausable = False
    options = OPTIONS["memory-lines"]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        targets = context.profiling.value(TARGETS)
        self._targets = [target for target in targets if codes.has_code(target)]
        self._threads = tracing.native_threading(context.executor)
        self._recorded = Recorded(self._threads.Lock(), context.whereabouts)
        self._started = False

    @staticmethod
    def check_targets(targets: Sequence[str]) -> set[str]:
        """Those of the targets that are about code."""
        own = {target for target in targets if codes.has_code(target)}
        if not own:
            raise UsageError(
                "--profile memory-lines: reading the memory at every line is too slow for a whole"
                " driver; name the functions with --target MODULE:FUNCTION"
            )
        for target in own:
            codes.locate(target)
        return own

    def install(self) -> None:
        """Trace this thread, its greenlets and all threads that are to come.

        Raises ``UsageError`` where a target cannot be imported.
        """
        places = [place for target in self._targets for place in codes.locate(target)]
        for code in codes.instrument(places, lambda code: code):
            self._recorded.register(code)
        self._threads.settrace(self._recorded.trace)
        sys.settrace(self._recorded.trace)

    def start(self) -> None:
        """Begin to note what lines take."""
        self._started = True
        self._recorded.on = True

    def stop(self) -> None:
        """End it; a line that is under way is not counted."""
        self._recorded.on = False
        self._threads.settrace(None)
        sys.settrace(None)

    def save(self, folder: Path) -> list[Artefact]:
        """Write the files; nothing if ``start`` was never called."""
        if not self._started:
            return []
        summary = {"targets": self._targets, **self._recorded.summary(), "notes": [SLOW, OTHERS]}
        writer.write_json(folder / SUMMARY, summary)
        with writer.writing(folder / TEXT) as file:
            file.write(
                f"Memory by line of the {self._run.side}, executor {self._run.executor}\n"
                f"{', '.join(self._targets)}: {summary['functions_registered']} functions found,"
                f" {summary['functions_hit']} called\n{SLOW}\n{OTHERS}\n\n"
            )
            self._recorded.write(file)
        return [Artefact(TEXT, "text", "less {path}")]


class Recorded:
    """What each line took, in all threads and greenlets."""

    def __init__(self, lock: "threading.Lock", whereabouts: Whereabouts | None = None) -> None:
        self.on = False
        self._lock = lock
        self._whereabouts = whereabouts
        self._where = whereabouts.where if whereabouts else _nowhere
        self._codes: list[CodeType] = []
        # By the address of the code, as to compare two would take longer than the call.
        self._lines: dict[int, dict[int, _Line]] = {}
        self._statm = os.open("/proc/self/statm", os.O_RDONLY)

    def register(self, code: CodeType) -> None:
        """Look at the lines of this function."""
        self._codes.append(code)
        self._lines[id(code)] = {}

    def trace(self, frame: FrameType, _event: str, _argument: object) -> _Trace | None:
        """What ``sys.settrace`` takes: asked at every call in the process."""
        if not self.on:
            return None
        lines = self._lines.get(id(frame.f_code))
        return None if lines is None else self._tracer(lines)

    def _tracer(self, lines: "dict[int, _Line]") -> _Trace:
        """A trace function for one call; ``lines`` are those of its function."""
        line, number, before = 0, NOWHERE, self._resident()

        def trace(frame: FrameType, event: str, _argument: object) -> _Trace | None:
            nonlocal line, number, before
            if not self.on:
                return None
            if event in ("line", "return"):
                now = self._resident()
                if line:
                    with self._lock:
                        lines.setdefault(line, _Line()).add(now - before, now, number)
                line, number, before = frame.f_lineno, self._where(), now
            return trace

        return trace

    def _resident(self) -> int:
        """In bytes. Not read through psutil, which takes ten times as long."""
        return int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE_BYTES

    def summary(self) -> dict[str, object]:
        """The lines with the largest increments, and how many functions there are."""
        rows = [
            (code, line, found)
            for code in self._codes
            for line, found in self._lines[id(code)].items()
        ]
        rows.sort(key=lambda row: -row[2].taken_bytes)
        return {
            "functions_registered": len(self._codes),
            "functions_hit": sum(1 for lines in self._lines.values() if lines),
            "lines": [
                {
                    "file": code.co_filename,
                    "line": line,
                    "function": code.co_qualname,
                    "hits": found.hits,
                    "increment_bytes": found.taken_bytes,
                    "peak_rss_bytes": found.peak_bytes,
                    "source": linecache.getline(code.co_filename, line).strip(),
                }
                for code, line, found in rows[:SUMMARISED]
            ],
            **self._by_stage(rows),
        }

    def _by_stage(self, rows: "Sequence[tuple[CodeType, int, _Line]]") -> dict[str, Json]:
        if self._whereabouts is None:
            return {}
        tally, sources = by_stage.Tally(), dict[tuple[str, int], str]()
        for code, line, found in rows:
            file = code.co_filename
            sources[file, line] = linecache.getline(file, line).strip()
            for number, taken_bytes in found.by_number.items():
                # What was given back is not what a line took.
                if taken_bytes <= 0:
                    continue
                stage = self._whereabouts.stage(number)
                if stage is None:
                    tally.leave(NO_MESSAGE, taken_bytes)
                else:
                    tally.add(stage, (code.co_qualname, file, line), taken_bytes)
        return {by_stage.KEY: tally.summary("memory", HOW, sources).to_json()}

    def write(self, file: TextIO) -> None:
        """The functions with their source, as memory_profiler shows them."""
        # Only now: it brings a good deal with it, and its memory is not the load's.
        import memory_profiler

        code_map = memory_profiler.CodeMap(include_children=False, backend="psutil")
        # A function shows the lines of those within it, if it is there first.
        for code in sorted(self._codes, key=lambda code: code.co_qualname.count("<locals>")):
            code_map.add(code)
        for code in self._codes:
            for line, found in self._lines[id(code)].items():
                taken, peak, hits = code_map[code].get(line, (0.0, 0.0, 0))
                code_map[code][line] = (
                    taken + found.taken_bytes / _MEBIBYTE,
                    max(peak, found.peak_bytes / _MEBIBYTE),
                    hits + found.hits,
                )
        memory_profiler.show_results(SimpleNamespace(code_map=code_map), file, precision=3)


def _nowhere() -> int:
    return NOWHERE


class _Line:
    """The sum of what a line took, the most that was resident after it, and how often it ran."""

    __slots__ = ("by_number", "hits", "peak_bytes", "taken_bytes")

    def __init__(self) -> None:
        self.taken_bytes = self.peak_bytes = self.hits = 0
        self.by_number: dict[int, int] = {}

    def add(self, taken_bytes: int, resident_bytes: int, number: int = NOWHERE) -> None:
        """Add one run of the line, which began in the stage with this number."""
        self.by_number[number] = self.by_number.get(number, 0) + taken_bytes
        self.taken_bytes += taken_bytes
        self.peak_bytes = max(self.peak_bytes, resident_bytes)
        self.hits += 1
