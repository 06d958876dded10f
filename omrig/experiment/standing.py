"""How a point of a sweep stands against the best one: the same, surely worse, or not decided.

All points are compared with the one that has done best so far, by rounds, and share the error rate;
where one looks after several numbers of rounds, so do the looks. That a point is worse is said with
a part for each pair of points: which one is the best is for chance to say where all are alike. That
it is the same within the margin is said with a part for each point but one: whichever is the best
in truth, it is that one which all others have to be close to.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy

from omrig.compare import metrics
from omrig.experiment import sequential
from omrig.model.columns import Floats
from omrig.model.sweep import Point, Span, Standing

Figures = Sequence[Mapping[str, float]]
"""The figures of runs, as :func:`omrig.compare.metrics.of_run` has them, by round."""

_LARGEST = 500.0
"""A logarithm beyond which nothing is known, and JSON has no number."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """How a sweep is judged.

    ``metric`` is what it goes by: throughput, or the mean latency where the rate is given, which
    say the same in a closed loop. ``margin`` is the loss that does not matter (0.05: 5 %).
    ``looks`` are the numbers of rounds after which one looks: one where it is fixed before.
    """

    metric: str
    margin: float
    looks: tuple[int, ...]

    @property
    def floor(self) -> float:
        """The ratio to the best from which on a point is the same as the best."""
        return 1 / (1 + self.margin)


def goodness(runs: Figures, metric: str) -> Floats:
    """The logarithm of a metric by round, turned so that more is better."""
    known = metrics.find(metric)
    sign = 1 if known and known.higher_is_better else -1
    found: Floats = sign * numpy.log(numpy.array([each[metric] for each in runs], numpy.float64))
    return found


def judged(point: Point, own: Floats, best: Floats, points: int, rule: Rule) -> Point:
    """How a point stands against the best of so many ``points``, with the :func:`goodness` of both.

    All points together err as often as one may.
    """
    logs = own - best
    value = float(logs.mean())
    known = ends(logs, rule.looks, points)
    if known is None:
        return dataclasses.replace(point, ratio=Span(value=exp(value)))
    standing = _standing(value, known, rule)
    needed = None
    if standing == "undecided":
        needed = _needed(value, float(logs.std(ddof=1)), len(logs), points, rule)
    return dataclasses.replace(
        point,
        ratio=Span(value=exp(value), low=exp(known[0]), high=exp(known[1])),
        standing=standing,
        needed=needed,
    )


def ends(logs: Floats, looks: Sequence[int], points: int) -> tuple[float, float] | None:
    """What a mean surely is above, and what it surely is below, where so many points are compared.

    Of the rounds up to the last look; None before the first.
    """
    reached = [look for look in looks if 2 <= look <= len(logs)]
    if not reached or points < 2:
        return None
    look = max(reached)
    level = sequential.levels(looks)[list(looks).index(look)]
    seen = logs[:look]
    low, _ = sequential.limits(seen, 2 * level / (points - 1))
    _, high = sequential.limits(seen, level / math.comb(points, 2))
    return float(low), float(high)


def is_as_good(point: Point, floor: float) -> bool:
    """Whether a point is taken to be the same as the best: surely, or as far as one can tell."""
    if point.standing == "undecided":
        return point.ratio is not None and point.ratio.value >= floor
    return point.standing in ("best", "same")


def exp(value: float) -> float:
    """The number of this logarithm, or the largest that is written."""
    return math.exp(max(-_LARGEST, min(value, _LARGEST)))


def _standing(value: float, known: tuple[float, float], rule: Rule) -> Standing:
    floor = math.log(rule.floor)
    if known[0] >= floor:
        return "same"
    # One that is surely worse, but perhaps by less than matters, is not decided.
    return "worse" if known[1] < 0 and value < floor else "undecided"


def _needed(value: float, spread: float, there: int, points: int, rule: Rule) -> int | None:
    """After how many rounds it would be decided if they went on like those there are."""
    goes_on = len(rule.looks) > 1
    for rounds in rule.looks if goes_on else _more_than(there):
        if rounds <= there:
            continue
        like = numpy.tile([-1.0, 1.0], rounds)[:rounds]
        like = value + spread * (like - like.mean()) / like.std(ddof=1)
        known = ends(like, rule.looks if goes_on else (rounds,), points)
        if known and _standing(value, known, rule) != "undecided":
            return rounds
    return None


def _more_than(there: int) -> Iterator[int]:
    """Numbers of rounds up to the most that there may be, each a tenth more than the last."""
    while (there := max(there + 1, round(1.1 * there))) <= sequential.LOOKS[-1]:
        yield there
