"""Which point of a sweep to take, and where the knee is; doc/recipes.rst says the rule in words."""

import itertools
from collections.abc import Sequence

from omrig.experiment.standing import is_as_good
from omrig.model.sweep import Factor, Point


def recommended(
    factors: Sequence[Factor], points: Sequence[Point], best: str, floor: float
) -> tuple[str, str | None]:
    """The name of the point to take, and the level at the knee, which is None without one.

    Of one factor of numbers: going down from the best level, the last one that is, like all
    between, the same as the best. Where that is every level, and wherever the levels are no
    numbers: the option's default if it is the same as the best, else the smallest number, or the
    best. Of a grid: of all points the same as the best, the one whose numbers are smallest, by
    their ranks added up.
    """
    alive = [point for point in points if point.failed is None]
    as_good = [point for point in alive if is_as_good(point, floor)]
    if len(factors) > 1:
        return min(as_good, key=lambda point: _rank(factors, point)).name, None
    (factor,) = factors
    defaults = [point.name for point in as_good if point.levels[0] == factor.default]
    if not factor.is_numeric:
        return (defaults or [best])[0], None
    if len(as_good) == len(alive):
        return (defaults or [alive[0].name])[0], None
    at = [point.name for point in alive].index(best)
    down = itertools.takewhile(lambda point: is_as_good(point, floor), reversed(alive[: at + 1]))
    start = list(down)[-1]
    is_at_end = start in (alive[0], alive[-1])
    return start.name, None if is_at_end else start.levels[0]


def _rank(factors: Sequence[Factor], point: Point) -> tuple[int, int, float]:
    """Small numbers come first, then levels that are defaults, then what is better."""
    both = list(zip(factors, point.levels, strict=True))
    numbers = sum(each.levels.index(level) for each, level in both if each.is_numeric)
    changed = sum(level != each.default for each, level in both if each.default is not None)
    return numbers, changed, -(point.ratio.value if point.ratio else 0.0)
