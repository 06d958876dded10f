"""What a sweep found: the figures of each point, the knee, and the one that is recommended."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from omrig.model.values import Value

Standing = Literal["best", "same", "worse", "undecided", "failed"]
"""Of a point against the best one: the same within the margin, surely worse, not decided yet, or
without runs that could be compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Factor(Value):
    """What a sweep varies: an option and its levels.

    ``flag`` is ``--set`` for an option of oslo.messaging's, ``--vary`` for one of ``omrig run``.
    Levels that are numbers are in ascending order, others as they were given. ``default`` is that
    level which the option has unless it is set, None where it is not among them.
    """

    name: str
    flag: str
    levels: tuple[str, ...]
    is_numeric: bool
    default: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span(Value):
    """A mean and its 95 % interval, which is None of fewer than two runs."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointStage(Value):
    """A stage at a point: its mean in ns, and its ``share`` of all stages (0 to 1)."""

    name: str
    bucket: str
    mean: Span
    share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point(Value):
    """A configuration of a sweep: a level of each factor, in their order.

    ``name`` is its folder's, ``rounds`` how many runs it has. ``figures`` are ``throughput`` in
    msg/s, ``mean``, ``p50``, ``p99`` and ``cpu`` (a message) in ns, as far as the runs have them.
    ``ratio`` is of the metric that the sweep goes by to that of the best point, by rounds, with an
    interval that all comparisons of the sweep share. ``needed`` are the rounds, all together, after
    which it would probably be decided, None where that is out of reach or needless. ``failed`` says
    why it was not measured to the end.
    """

    name: str
    levels: tuple[str, ...]
    rounds: int
    figures: Mapping[str, Span]
    stages: tuple[PointStage, ...] = ()
    standing: Standing = "undecided"
    ratio: Span | None = None
    needed: int | None = None
    failed: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep(Value):
    """A factor or a grid of them, measured on one broker.

    ``metric`` is what it goes by, ``load`` the load in words. ``best`` and ``recommended`` are
    names of points; ``knee`` is the level beyond which nothing is gained, None where there is none
    among the levels. ``decided`` is whether every other point is the same as the best within the
    ``margin`` (0.05: 5 %) or surely worse; ``needed`` how many rounds that would take. ``text`` is
    the recommendation with its reason, ``notes`` what else is to be known of it, a sentence each.
    """

    metric: str
    margin: float
    alpha: float
    rounds: int
    load: str
    factors: tuple[Factor, ...]
    points: tuple[Point, ...]
    best: str
    recommended: str
    knee: str | None
    decided: bool
    needed: int | None
    text: str
    notes: tuple[str, ...] = ()
    schema: int = 1

    def point(self, name: str) -> Point:
        """The point of this name."""
        return next(point for point in self.points if point.name == name)

    @property
    def measured(self) -> tuple[Point, ...]:
        """The points that were measured to the end."""
        return tuple(point for point in self.points if point.failed is None)
