"""The lines of targets by stage: what a line took is divided by how often it began in each.

That is exact for a line that began in one stage and ended in it. A line that calls what goes on to
another stage has time of both, which cannot be told apart: it is in none, and is named.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import NamedTuple

from omrig.measured.profilers.targets import codes, counted
from omrig.measured.profilers.whereabouts import NO_MESSAGE, NOT_LEARNED, Whereabouts
from omrig.model.by_stage import ByStage, Tally
from omrig.model.stages import BY_NAME

HOW = (
    "the time that a line ran, with what it calls, in the stage in which it began; lines that began"
    " in several are divided by how often"
)

LEADS_ON = "on lines that call what goes on to other stages, so that their time is of several"

UNCOUNTED = "on lines of calls that had begun before the measurement"

_WAITS = frozenset({"amqp", "backpressure", "confirm", "scheduler", "executor"})
"""The buckets of stages in which a message waits: no line runs long for them."""

Registered = Callable[[CodeType], CodeType]


class Ran(NamedTuple):
    """A line, and how long it ran."""

    file: str
    line: int
    function: str
    ran_ns: int
    source: str


class LineStages:
    """Counts the lines of ``places`` by stage between :meth:`start` and :meth:`stop`.

    ``registered`` makes of a code one that the line profiler knows; ``codes`` are these. Where
    asking for the stage is itself traced, on Python 3.11 if that is no function of C, it makes a
    line several times as dear: then only the first period is counted (``always`` is False).
    """

    def __init__(
        self, places: Sequence[codes.Place], registered: Registered, whereabouts: Whereabouts
    ) -> None:
        self._whereabouts = whereabouts
        self._registered = registered
        self._counts: list[tuple[CodeType, counted.Counts]] = []
        self._twins = codes.Twins(places, self.counting)
        self.codes = self._twins.codes
        self.always = hasattr(sys, "monitoring") or not isinstance(whereabouts.where, FunctionType)
        self._begun = False

    def counting(self, code: CodeType) -> CodeType:
        """The code with its lines counted; code that cannot be changed so stays as it is."""
        counts = counted.Counts(len(self._whereabouts.places))
        try:
            made = counted.counting(code, self._whereabouts.where, counts)
        except ValueError:
            return self._registered(code)
        self._counts.append((code, counts))
        return self._registered(made)

    def start(self) -> None:
        """Count from now on."""
        if self.always or not self._begun:
            self._twins.put_in()
        self._begun = True

    def stop(self) -> None:
        """Do not count any more; then it costs nothing either."""
        self._twins.take_out()

    def found(self, lines: Iterable[Ran]) -> ByStage:
        """These lines by stage."""
        leads = self._leads()
        if not leads:
            return ByStage(kind="lines", how=HOW, failed=NOT_LEARNED)
        began, tally, sources = self._began(), Tally(), dict[tuple[str, int], str]()
        for line in lines:
            if line.ran_ns <= 0:
                continue
            place = (line.file, line.function, line.line)
            sources[line.file, line.line] = line.source
            _share_out(
                tally, line, list(self._parts(began.get(place, []))), leads.get(place, set())
            )
        return tally.summary("lines", HOW, sources)

    def _parts(self, counts: Sequence[int]) -> Iterator[tuple[str | None, float]]:
        """The stages in which a line began, and the share of each."""
        whole = sum(counts)
        for number, count in enumerate(counts):
            if count:
                yield self._whereabouts.stage(number), count / whole

    def _began(self) -> dict[tuple[str, str, int], list[int]]:
        found: dict[tuple[str, str, int], list[int]] = {}
        for code, counts in self._counts:
            for line, of_line in counts.by_line().items():
                place = (code.co_filename, code.co_qualname, line)
                before = found.get(place, [0] * len(of_line))
                found[place] = [one + other for one, other in zip(before, of_line, strict=True)]
        return found

    def _leads(self) -> dict[tuple[str, str, int], set[str]]:
        """By place of a line: the stages to which messages went on while it was calling."""
        found: dict[tuple[str, str, int], set[str]] = {}
        for passages in self._whereabouts.passed():
            for stage, stack, _ in passages:
                # A stamp at the end of a line of its own function changes nothing for that line.
                for level in stack[:-1]:
                    place = (level.file, level.function, level.line)
                    found.setdefault(place, set()).add(stage)
        return found


def _share_out(
    tally: Tally, line: Ran, parts: Sequence[tuple[str | None, float]], leads: set[str]
) -> None:
    code = (line.function, line.file, line.line)
    if not parts:
        tally.leave(UNCOUNTED, line.ran_ns)
    for stage, share in parts:
        weight = share * line.ran_ns
        if stage is None:
            tally.leave(NO_MESSAGE, weight)
        elif others := {other for other in leads - {stage} if _runs(other)}:
            tally.lead_on(stage, code, weight, others, LEADS_ON)
        else:
            tally.add(stage, code, weight)
            if share < 1:
                tally.divided += weight


def _runs(stage: str) -> bool:
    """Whether code runs in a stage, and does not only wait."""
    known = BY_NAME.get(stage)
    return known is not None and known.side != "wire" and known.bucket not in _WAITS
