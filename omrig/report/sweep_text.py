"""How every renderer of a sweep says its figures."""

from omrig.compare.metrics import find
from omrig.model import units
from omrig.model.sweep import Point, Span, Sweep

MOST_STAGES = 3
"""Stages that a table of points has room for."""

_STANDINGS = {
    "best": "best",
    "same": "the same",
    "worse": "worse",
    "undecided": "undecided",
    "failed": "failed",
}


def levels(point: Point) -> str:
    """The levels of a point."""
    return ", ".join(point.levels)


def factors(sweep: Sweep) -> str:
    """The names of what is varied."""
    return ", ".join(factor.name for factor in sweep.factors)


def rate(span: Span | None) -> str:
    """A throughput in msg/s, without its unit."""
    return f"{span.value:,.1f}" if span else "-"


def duration(span: Span | None) -> str:
    """A mean of durations."""
    return units.duration(span.value) if span else "-"


def interval_of_rate(span: Span | None) -> str:
    """The interval of a throughput; empty where there is none."""
    if span is None or span.low is None or span.high is None:
        return ""
    return f"{span.low:,.0f} to {span.high:,.0f}"


def standing(sweep: Sweep, point: Point) -> str:
    """How a point stands against the best one, or that it is the one to take."""
    if point.name != sweep.recommended:
        return _STANDINGS[point.standing]
    return "recommended?" if point.standing == "undecided" else "recommended"


def share(point: Point, stage: str) -> str:
    """The share of a stage at a point, in percent."""
    found = [each.share for each in point.stages if each.name == stage]
    return f"{100 * found[0]:.1f} %" if found else "-"


def stages_that_change(sweep: Sweep) -> list[str]:
    """The stages whose share differs most from point to point, the one that does most first."""
    shares: dict[str, list[float]] = {}
    staged = [point for point in sweep.measured if point.stages]
    for point in staged:
        for stage in point.stages:
            shares.setdefault(stage.name, []).append(stage.share)
    spread = {
        name: max(values) - (min(values) if len(values) == len(staged) else 0.0)
        for name, values in shares.items()
    }
    return sorted(spread, key=lambda name: -spread[name])[:MOST_STAGES]


def method(sweep: Sweep) -> str:
    """What the words of a table mean."""
    known = find(sweep.metric)
    what = known.label if known else sweep.metric
    return (
        f"{rounds(sweep.rounds)} of all points; the same: {what} is surely within"
        f" {100 * sweep.margin:g} % of the best; worse: surely not as good as the best"
    )


def rounds(count: int) -> str:
    """So many rounds."""
    return f"{count} round" if count == 1 else f"{count} rounds"


def ratio(point: Point) -> str:
    """The ratio to the best, with what it surely is between."""
    span = point.ratio
    if span is None:
        return ""
    if span.low is None or span.high is None or point.standing == "best":
        return f"{span.value:.3f}"
    return f"{span.value:.3f} ({span.low:.3f} to {min(span.high, _MANY):.3f})"


_MANY = 1000.0
"""A ratio beyond which the number itself says nothing."""
