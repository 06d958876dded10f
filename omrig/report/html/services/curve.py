"""Latency by percentile as a curve that needs no script: points in percent of a box."""

import dataclasses
import math
from collections.abc import Sequence

from omrig.report.html.bars import Tick, ticks

_NINES = (50.0, 90.0, 99.0, 99.9, 99.99)
"""The percentiles that have a mark on the axis, where there are as many messages."""

_WHOLE = 100.0

_ROUNDING = 1e-6

_APART = 9.0
"""Marks nearer to each other than this, in percent of the axis, would lie upon each other."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A percentile, how long that took in ns, and where it lies from the left and the bottom."""

    percentile: float
    value_ns: int
    left: float
    bottom: float

    @property
    def name(self) -> str:
        """The percentile as people say it."""
        return "max" if self.percentile == _WHOLE else f"p{self.percentile:g}"


@dataclasses.dataclass(frozen=True)
class Curve:
    """Each step of the axis to the right is another nine; ``path`` is in a box of 100 by 100."""

    points: list[Point]
    path: str
    percentiles: list[Tick]
    times: list[Tick]


def draw(distribution: Sequence[tuple[float, int]], count: int) -> Curve | None:
    """The curve of ``count`` messages; None where there is none to be seen."""
    if len(distribution) < 2:
        return None
    longest = max(value for _, value in distribution)
    end = _nines(_WHOLE, count)
    if longest <= 0 or end <= 0:
        return None
    points = [
        Point(
            percentile,
            value,
            round(min(_WHOLE, 100 * _nines(percentile, count) / end), 2),
            round(100 * value / longest, 2),
        )
        for percentile, value in distribution
        if percentile == _WHOLE or _is_known(percentile, count)
    ]
    path = "L".join(f"{point.left:g} {100 - point.bottom:g}" for point in points)
    return Curve(points, f"M{path}", _marks(count, end), ticks(longest))


def _is_known(percentile: float, count: int) -> bool:
    """Whether more of so many messages than the longest one are beyond it."""
    return count * (100 - percentile) > 100 * (1 + _ROUNDING)


def _nines(percentile: float, count: int) -> float:
    """Where a percentile lies: 1 at 90 %, 2 at 99 %; the last of ``count`` messages at the end."""
    beyond = max(1 - percentile / 100, 1 / max(2, count))
    return math.log10(1 / beyond)


def _marks(count: int, end: float) -> list[Tick]:
    marks = [
        Tick(f"{each:g} %", round(100 * _nines(each, count) / end, 2))
        for each in _NINES
        if _is_known(each, count)
    ]
    apart = [mark for mark in marks if _WHOLE - mark.left >= _APART]
    return [*apart, Tick("max", _WHOLE)]
