"""What a sweep found: figures by point, which are as good as the best, the knee, and which to take.

Pure: figures of runs in, a :class:`~omrig.model.sweep.Sweep` out.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy

from omrig.compare import resample
from omrig.experiment import reasons, sequential, standing
from omrig.experiment.recommending import recommended
from omrig.experiment.standing import Rule, exp
from omrig.model.sweep import Factor, Point, PointStage, Span, Sweep

SHOWN = ("throughput", "mean", "p50", "p99", "cpu")
"""The figures of a point."""

Runs = Mapping[int, Mapping[str, float]]
"""The figures of a point's runs by round, as :func:`omrig.compare.metrics.of_run` has them."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of a point; ``failed`` says why no more of it was."""

    name: str
    levels: tuple[str, ...]
    runs: Runs
    failed: str | None = None


def common(measured: Sequence[Measured]) -> list[int]:
    """The rounds that all points have a run of which did not fail."""
    whole = [set(each.runs) for each in measured if each.failed is None]
    return sorted(set.intersection(*whole)) if whole else []


def found(
    factors: Sequence[Factor],
    measured: Sequence[Measured],
    buckets: Mapping[str, str],
    rule: Rule,
    load: str,
) -> Sweep:
    """What a sweep has found; ``buckets`` are by stage, ``load`` is the load in words.

    Points that failed have figures, and are not compared. Raises ``ValueError`` where there is no
    round of which all others have a run.
    """
    rounds = common(measured)
    if not rounds:
        raise ValueError("no round was measured to its end")
    figures = {
        each.name: [each.runs[number] for number in rounds]
        for each in measured
        if each.failed is None
    }
    goodness = {name: standing.goodness(runs, rule.metric) for name, runs in figures.items()}
    best = max(goodness, key=lambda name: float(goodness[name].mean()))
    points = [_point(each, buckets) for each in measured]
    points = [
        standing.judged(each, goodness[each.name], goodness[best], len(goodness), rule)
        if each.name in goodness
        else each
        for each in points
    ]
    points = [
        dataclasses.replace(each, standing="best", needed=None) if each.name == best else each
        for each in points
    ]
    chosen, knee = recommended(factors, points, best, rule.floor)
    needed = [each.needed for each in points if each.standing == "undecided"]
    sweep = Sweep(
        metric=rule.metric,
        margin=rule.margin,
        alpha=sequential.ALPHA,
        rounds=len(rounds),
        load=load,
        factors=tuple(factors),
        points=tuple(points),
        best=best,
        recommended=chosen,
        knee=knee,
        decided=not needed,
        needed=max(each or 0 for each in needed) if needed and all(needed) else None,
        text="",
    )
    told = reasons.text(sweep, figures)
    along = _along(sweep, measured, buckets, rule) if len(factors) > 1 else []
    notes = (*along, *reasons.notes(sweep, figures, rule))
    return dataclasses.replace(sweep, text=told, notes=notes)


def _along(
    sweep: Sweep, measured: Sequence[Measured], buckets: Mapping[str, str], rule: Rule
) -> list[str]:
    """What a grid says of each factor by itself, the others being as is recommended."""
    told = []
    chosen = sweep.point(sweep.recommended).levels
    for place, factor in enumerate(sweep.factors):
        others = [*chosen[:place], *chosen[place + 1 :]]
        line = [
            dataclasses.replace(each, levels=(each.levels[place],))
            for each in measured
            if [*each.levels[:place], *each.levels[place + 1 :]] == others
        ]
        fixed = ", ".join(
            f"{each.name}={level}"
            for each, level in zip(sweep.factors, chosen, strict=True)
            if each is not factor
        )
        if len([each for each in line if each.failed is None]) > 1:
            alone = found([factor], line, buckets, rule, sweep.load)
            told.append(f"of {factor.name} alone, with {fixed}, {reasons.briefly(alone)}")
    return told


def _point(measured: Measured, buckets: Mapping[str, str]) -> Point:
    runs = [measured.runs[number] for number in sorted(measured.runs)]
    taken = reasons.shares(runs)
    stages = [
        PointStage(
            name=name,
            bucket=buckets[name],
            mean=_span([each.get(f"stage.{name}", 0.0) for each in runs]),
            share=taken[name],
        )
        for name in buckets
        if name in taken
    ]
    return Point(
        name=measured.name,
        levels=measured.levels,
        rounds=len(runs),
        figures={
            name: _span([each[name] for each in runs])
            for name in SHOWN
            if runs and all(name in each for each in runs)
        },
        stages=tuple(stages),
        standing="failed" if measured.failed is not None else "undecided",
        failed=measured.failed,
    )


def _span(values: Sequence[float]) -> Span:
    """The mean and its interval: geometric where all values are above 0, as ratios are."""
    array = numpy.array(values, numpy.float64)
    in_logs = bool((array > 0).all())
    estimate = resample.of_mean(numpy.log(array) if in_logs else array)
    if estimate is None:
        return Span(value=float(array.mean()))
    ends = [estimate.value, estimate.low, estimate.high]
    value, low, high = map(exp, ends) if in_logs else ends
    return Span(value=value, low=low, high=high)
