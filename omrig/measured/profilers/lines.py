"""Mode ``lines``: which lines of the driver take the time, with line_profiler.

All functions of the targets (``--target``, ``targets.codes``) are registered, and all
threads and greenlets are seen (``targets.tracing``). A line's time is wall time, with
that of everything the line calls. How much of it the greenlet or thread did not run is found out
beside (``targets.waits``), and lines are ranked by the rest.
"""

import importlib
import linecache
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple

from omrig.formats import lines as text
from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.measured.profilers.targets import codes, line_stages, tracing
from omrig.measured.profilers.targets import waits as switches
from omrig.model import by_stage
from omrig.model.profiling import OPTIONS, TARGETS
from omrig.model.values import Json
from omrig.recordings import writer

LPROF, TEXT, SUMMARY = "lines.lprof", "lines.txt", "profile.lines.json"

SUMMARISED = 100
"""So many of the hottest lines are told."""

_CALIBRATIONS = 5
_CALIBRATION_LOOPS = 500

_Label = tuple[str, int, str]
"""File, first line and qualified name of a function, as line_profiler has them."""


class LinesProfiler(Profiler):
    """Writes ``lines.lprof`` for line_profiler's viewer, ``lines.txt`` and a summary."""

    name = "lines"
    options = OPTIONS["lines"]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        own = [target for target in context.profiling.value(TARGETS) if codes.has_code(target)]
        self._targets = own or codes.default_targets(context.scheme)
        self._every_thread = tracing.EveryThread(context.executor)
        self._switches = switches.make(context.executor)
        self._codes: list[CodeType] = []
        self._whereabouts = context.whereabouts
        self._stages: line_stages.LineStages | None = None
        self._recorded = Recorded()
        self._hit_cost_ns = 0
        self._profiler: Any = None
        self._on = False

    @staticmethod
    def check_targets(targets: Sequence[str]) -> set[str]:
        """Those of the targets that are about code."""
        own = {target for target in targets if codes.has_code(target)}
        for target in own:
            codes.locate(target)
        return own

    def install(self) -> None:
        """Register all functions of the targets.

        Raises ``UsageError`` where a target cannot be imported.
        """
        self._every_thread.install()
        places = [place for target in self._targets for place in codes.locate(target)]
        self._codes = codes.instrument(places, _registered)
        if self._whereabouts:
            self._stages = line_stages.LineStages(places, _registered, self._whereabouts)
            self._codes += self._stages.codes
        self._hit_cost_ns = self._cost_of_a_hit()

    def start(self) -> None:
        """Begin to time lines."""
        # A new one each time: an old one would go on with the lines that were under way when it was
        # stopped, as if no time had passed.
        self._profiler = _profiler_of(self._codes)
        self._every_thread.start(self._profiler, self._codes)
        self._switches.start(self._codes)
        if self._stages:
            self._stages.start()
        self._on = True

    def stop(self) -> None:
        """End timing; a line that is under way is not counted."""
        if not self._on:
            return
        self._on = False
        if self._stages:
            self._stages.stop()
        waits = self._switches.stop()
        self._every_thread.stop()
        self._recorded.add(self._profiler.get_stats().timings, waits)

    def save(self, folder: Path) -> list[Artefact]:
        """Write the files; nothing if ``start`` was never called."""
        if self._profiler is None:
            return []
        summary = self._summary()
        writer.write_json(folder / SUMMARY, summary)
        stats = self._recorded.stats()
        stats.to_file(folder / LPROF)
        with writer.writing(folder / TEXT) as file:
            text.write(file, summary, self._about())
            stats.print(file, output_unit=1e-6, stripzeros=True, config=False)
        return [
            Artefact(LPROF, "line_profiler", "python -m line_profiler -z {path}"),
            Artefact(TEXT, "text", "less {path}"),
        ]

    def _about(self) -> str:
        side = "both sides" if self._run.side == "both" else f"the {self._run.side}"
        python = platform.python_version()
        return f"Lines of {side}, executor {self._run.executor}, Python {python}"

    def _summary(self) -> dict[str, Json]:
        lines = self._recorded.lines()
        total = sum(line.time_ns for line in lines)
        switched_out = sum(line.switched_out_ns for line in lines)
        return {
            "unit": "ns",
            "targets": self._targets,
            "functions_registered": self._recorded.functions,
            "functions_hit": self._recorded.functions_hit,
            "total_ns": total,
            "switched_out_ns": switched_out,
            "switched_out_exact": self._switches.exact,
            "hit_cost_ns": self._hit_cost_ns,
            "lines": [
                {
                    "file": line.file,
                    "line": line.line,
                    "function": line.function,
                    "hits": line.hits,
                    "time_ns": line.time_ns,
                    "switched_out_ns": line.switched_out_ns,
                    "share": line.ran_ns / max(1, total - switched_out),
                    "source": _source(line),
                    "switched_out": line.switched_out_ns > 0,
                }
                for line in lines[:SUMMARISED]
            ],
            **self._by_stage(lines),
        }

    def _by_stage(self, lines: "Sequence[Line]") -> dict[str, Json]:
        if self._stages is None:
            return {}
        ran = (
            line_stages.Ran(line.file, line.line, line.function, line.ran_ns, _source(line))
            for line in lines
        )
        return {by_stage.KEY: self._stages.found(ran).to_json()}

    def _cost_of_a_hit(self) -> int:
        """The time of a line that does nothing, in ns: the profiler's own."""
        code = _nothing.__code__
        always = self._stages and self._stages.always
        code = self._stages.counting(code) if self._stages and always else _registered(code)
        costs: list[float] = []
        # The least, as nothing but other processes can make it more.
        for _ in range(_CALIBRATIONS):
            profiler = _profiler_of([code])
            self._every_thread.start(profiler, [code])
            FunctionType(code, globals())(_CALIBRATION_LOOPS)
            self._every_thread.stop()
            (timings,) = profiler.get_stats().timings.values()
            costs.append(sum(time for *_, time in timings) / sum(hits for _, hits, _ in timings))
        return round(min(costs))


def _nothing(loops: int) -> None:
    for _ in range(loops):
        pass


# line_profiler


def _library() -> Any:
    """The module of line_profiler.

    On Python 3.12 and newer its other core, which the environment can choose, would trace every
    line of the process.
    """
    os.environ["LINE_PROFILER_CORE"] = "new" if hasattr(sys, "monitoring") else "legacy"
    return importlib.import_module("line_profiler.line_profiler")


def _registered(code: CodeType) -> CodeType:
    """The code as line_profiler knows it again: with a number of NOPs at its end, all its own."""
    function = _function_of(code)
    _library().LineProfiler().add_function(function)
    return function.__code__


def _profiler_of(found: Sequence[CodeType]) -> Any:
    """A line profiler that knows code that was registered before."""
    profiler = _library().LineProfiler()
    for code in found:
        profiler.add_function(_function_of(code))
    return profiler


def _function_of(code: CodeType) -> FunctionType:
    """A function that nobody calls: the library takes functions only."""
    return FunctionType(code, {}, closure=tuple(CellType() for _ in code.co_freevars))


# What was recorded


class Line(NamedTuple):
    """What became of one line of one function. Times in ns."""

    file: str
    line: int
    function: str
    hits: int
    time_ns: int
    """Wall time."""
    switched_out_ns: int
    """The part of it in which the greenlet or thread is known not to have run."""

    @property
    def ran_ns(self) -> int:
        """The rest of it."""
        return self.time_ns - self.switched_out_ns


def _source(line: Line) -> str:
    return linecache.getline(line.file, line.line).strip()


class Recorded:
    """The sums over all periods between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self._timings: dict[_Label, dict[int, tuple[int, int]]] = {}
        self._waits: dict[_Label, dict[int, int]] = {}

    def add(
        self, timings: Mapping[_Label, Sequence[tuple[int, int, int]]], waits: switches.Waits
    ) -> None:
        """Add a period: line, hits and ns of each function, and the waits in them."""
        for label, lines in timings.items():
            sums = self._timings.setdefault(label, {})
            for line, hits, time in lines:
                hits_before, time_before = sums.get(line, (0, 0))
                sums[line] = hits_before + hits, time_before + time
        for code, waits_of_code in waits.items():
            label = (code.co_filename, code.co_firstlineno, code.co_qualname)
            waits_before = self._waits.setdefault(label, {})
            for line, wait in waits_of_code.items():
                waits_before[line] = waits_before.get(line, 0) + wait

    @property
    def functions(self) -> int:
        """How many functions are known; those of one name on one line count as one."""
        return len(self._timings)

    @property
    def functions_hit(self) -> int:
        """How many of them were called."""
        return sum(1 for lines in self._timings.values() if lines)

    def lines(self) -> list[Line]:
        """Every line that was hit, the one that ran longest first."""
        found = [
            # The wait of a line that did not begin or end within a period is known, its time not.
            Line(file, line, name, hits, time, min(time, self._wait((file, first, name), line)))
            for (file, first, name), lines in self._timings.items()
            for line, (hits, time) in lines.items()
        ]
        return sorted(found, key=lambda line: (-line.ran_ns, -line.time_ns, line))

    def _wait(self, label: _Label, line: int) -> int:
        return self._waits.get(label, {}).get(line, 0)

    def stats(self) -> Any:
        """All of it as line_profiler keeps it in files."""
        timings = {
            label: [(line, *counted) for line, counted in sorted(lines.items())]
            for label, lines in self._timings.items()
        }
        return _library().LineStats(timings, 1e-9)
