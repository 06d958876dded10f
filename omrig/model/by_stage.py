"""Which code had the time of which stage: what a profiler found, put beside the stage model."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Self

from omrig.model.stages import BY_NAME
from omrig.model.values import UNLESS_NONE, Json, Value

Kind = Literal["functions", "lines", "samples", "memory"]
"""What was shared out: the own time of functions, the time that lines ran, samples by the function
on top of the stack, or the memory that lines took."""

KEY = "by_stage"
"""Under this name it is in the summary of a profiler."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Code(Value):
    """A function, or a line with its ``source``, and its ``share`` (0 to 1) of its stage.

    ``leads_to`` are the stages that a line goes on to before it ends: its time is also theirs.
    """

    function: str
    file: str | None = None
    line: int | None = None
    share: float
    source: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    leads_to: tuple[str, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InStage(Value):
    """A stage: its ``share`` (0 to 1) of the profile, and the ``code`` that had most of that.

    ``leading_on`` are lines that begin in the stage and lead on to others; they are no part of
    ``share``, and each one's own share is of the profile.
    """

    stage: str
    share: float
    code: tuple[Code, ...] = ()
    leading_on: tuple[Code, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unassigned(Value):
    """A ``share`` (0 to 1) of the profile that is in no stage, and the ``reason``."""

    reason: str
    share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByStage(Value):
    """A profile by the stages of messages, in the order of the stage model.

    Its shares and those of ``unassigned`` add up to 1. ``how`` says in a sentence how code was put
    into stages. ``divided_share`` of the profile is of lines that ran in several stages, and was
    divided among them by how often. ``failed`` is why there is nothing.
    """

    kind: Kind
    how: str
    stages: tuple[InStage, ...] = ()
    unassigned: tuple[Unassigned, ...] = ()
    divided_share: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    failed: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @classmethod
    def of_summary(cls, summary: Mapping[str, Json]) -> Self | None:
        """What a profiler's summary says of stages; None where it says nothing.

        Raises ``ValueError`` where that is not as it should be.
        """
        found = summary.get(KEY)
        return None if found is None else cls.from_json(found)

    def of(self, stage: str) -> InStage | None:
        """What is known of a stage; None where no code was found in it."""
        return next((each for each in self.stages if each.stage == stage), None)

    @property
    def unassigned_share(self) -> float:
        """How much of the profile is in no stage."""
        return sum(each.share for each in self.unassigned)


Found = tuple[str, str | None, int | None]
"""Code that was found: function, file and line."""

MOST = 10
"""So many functions or lines are kept of each stage."""


class Tally:
    """Adds up weights, all of one unit, by stage and code."""

    def __init__(self) -> None:
        self._in_stages: dict[str, dict[Found, float]] = {}
        self._leading: dict[str, dict[Found, tuple[float, tuple[str, ...]]]] = {}
        self._unassigned: dict[str, float] = {}
        self.divided = 0.0
        """The weight that was divided among stages."""

    def add(self, stage: str, code: Found, weight: float) -> None:
        """Add to what a piece of code had in a stage."""
        of_stage = self._in_stages.setdefault(stage, {})
        of_stage[code] = of_stage.get(code, 0.0) + weight

    def leave(self, reason: str, weight: float) -> None:
        """Add to what cannot be assigned for this reason."""
        self._unassigned[reason] = self._unassigned.get(reason, 0.0) + weight

    def lead_on(
        self, stage: str, code: Found, weight: float, others: Collection[str], reason: str
    ) -> None:
        """As :meth:`leave`; and name the code, which began in a stage and went on to others."""
        self.leave(reason, weight)
        of_stage = self._leading.setdefault(stage, {})
        before, _ = of_stage.get(code, (0.0, ()))
        of_stage[code] = before + weight, _in_order(others)

    def summary(
        self, kind: Kind, how: str, sources: Mapping[tuple[str, int], str] | None = None
    ) -> ByStage:
        """Everything that was added, as shares; ``sources`` are the words of lines."""
        whole = sum(sum(codes.values()) for codes in self._in_stages.values())
        whole += sum(self._unassigned.values())
        if whole <= 0:
            return ByStage(kind=kind, how=how, failed="nothing was measured")
        names = _in_order({*self._in_stages, *self._leading})
        divided = self.divided / whole if kind == "lines" else None
        return ByStage(
            kind=kind,
            how=how,
            stages=tuple(self._in_stage(name, whole, sources or {}) for name in names),
            unassigned=tuple(
                Unassigned(reason=reason, share=weight / whole)
                for reason, weight in sorted(self._unassigned.items(), key=lambda each: -each[1])
                if weight > 0
            ),
            divided_share=divided,
        )

    def _in_stage(
        self, stage: str, whole: float, sources: Mapping[tuple[str, int], str]
    ) -> InStage:
        codes = self._in_stages.get(stage, {})
        total = sum(codes.values())
        leading = self._leading.get(stage, {})
        return InStage(
            stage=stage,
            share=total / whole,
            code=tuple(
                _code(code, weight / total, sources)
                for code, weight in _heaviest(codes)
                if weight > 0
            ),
            leading_on=tuple(
                _code(code, weight / whole, sources, leading[code][1])
                for code, weight in _heaviest({code: each[0] for code, each in leading.items()})
                if weight > 0
            )
            or None,
        )


def _heaviest(codes: Mapping[Found, float]) -> list[tuple[Found, float]]:
    return sorted(codes.items(), key=lambda each: (-each[1], str(each[0])))[:MOST]


def _code(
    code: Found,
    share: float,
    sources: Mapping[tuple[str, int], str],
    leads_to: tuple[str, ...] | None = None,
) -> Code:
    function, file, line = code
    source = sources.get((file, line)) if file and line else None
    return Code(
        function=function, file=file, line=line, share=share, source=source, leads_to=leads_to
    )


def _in_order(stages: Collection[str]) -> tuple[str, ...]:
    known: Sequence[str] = list(BY_NAME)
    return tuple(
        sorted(stages, key=lambda name: (known.index(name) if name in known else len(known), name))
    )
