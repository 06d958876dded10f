"""What happened in a history: its changes by version, each with its size and what explains it."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy

from omrig.compare import comparison, metrics, resample
from omrig.compare.comparison import Comparison
from omrig.compare.conclusion import Word
from omrig.compare.explanation import MOST, Explanation, Part, signed
from omrig.compare.metrics import Metric
from omrig.compare.resample import Estimate
from omrig.compare.runs import RunSet, StoredRun
from omrig.compare.table import by_name
from omrig.history import changes, figures
from omrig.history.reading import History, Point, Series
from omrig.model.columns import Floats

LEAD = ("p50", "throughput", "mean", "p99", "p90", "cpu", "memory")
"""In the order in which a change of several figures is told by one of them."""

_LARGEST = 500.0

_MUCH = 0.1
"""The part of a change below which a stage is no explanation of it."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A metric that changes with a version.

    ``before`` and ``after`` are the middles of the stretches at its sides, in the metric's unit;
    ``ratio`` is of the second to the first with its 95 % interval, None where there is none.
    """

    metric: Metric
    before: float
    after: float
    ratio: Estimate | None

    @property
    def is_clear(self) -> bool:
        """Whether its interval excludes no change: where it disagrees, neither is believed."""
        return self.ratio is None or self.ratio.low > 1 or self.ratio.high < 1

    @property
    def times(self) -> float:
        """By how much it changed, as a ratio."""
        return self.ratio.value if self.ratio else 1.0


@dataclasses.dataclass(frozen=True)
class Event:
    """The changes that begin with one version of one load.

    ``previous`` is the version before it that was measured. ``changes`` begin with the one that
    tells most. ``explanation`` is of the runs between the events around it, None where no stage
    explains it. ``apart`` says that none of the runs before it was made among those after it: what
    changed on the machine meanwhile counts, too.
    """

    series: Series
    at: int
    changes: tuple[Change, ...]
    word: Word
    explanation: Explanation | None
    apart: bool

    @property
    def version(self) -> str:
        """The one with which it begins."""
        return self.series.points[self.at].version

    @property
    def previous(self) -> str:
        """The one that was measured before it."""
        return self.series.points[self.at - 1].version

    @property
    def lead(self) -> Change:
        """The one that it is told by."""
        return self.changes[0]

    @property
    def size(self) -> float:
        """How large it is, for their order: of stages alone is below all others."""
        size = abs(float(numpy.log(max(self.lead.times, 1e-9))))
        return size if self.lead.metric.family == "headline" else size - _LARGEST


def of_history(history: History) -> list[Event]:
    """Everything that changed, the largest first."""
    known = [figures.of_series(series) for series in history.series]
    families: dict[str, dict[str, list[Floats]]] = {}
    places: dict[str, tuple[int, str, list[int]]] = {}
    for number, each in enumerate(known):
        for family, tested in figures.tested(each).items():
            for name, values in tested.items():
                there = [place for place, runs in enumerate(values) if len(runs)]
                key = f"{number} {name}"
                places[key] = (number, name, there)
                families.setdefault(family, {})[key] = [values[place] for place in there]
    begins: dict[int, dict[str, tuple[int, ...]]] = {}
    for key, found in changes.believed(families).items():
        number, name, there = places[key]
        begins.setdefault(number, {})[name] = tuple(there[place] for place in found)
    told = [
        event
        for number, by_metric in begins.items()
        for event in _of_series(history.series[number], known[number], by_metric)
    ]
    return sorted(told, key=lambda event: -event.size)


def too_few(history: History) -> list[str]:
    """Of each load whose runs are too few to call anything, why."""
    found = []
    for series in history.series:
        least = changes.least_p([len(point.runs) for point in series.points])
        if least > changes.LEVEL:
            runs = sum(len(point.runs) for point in series.points)
            name = f"{series.name}: " if series.name else ""
            found.append(
                f"{name}{runs} run{'s' if runs > 1 else ''} of {len(series.points)}"
                f" version{'s' if len(series.points) > 1 else ''} are too few to call a change:"
                " measure more versions, or more runs of each"
            )
    return found


def _of_series(
    series: Series,
    known: Mapping[str, Sequence[Floats]],
    by_metric: Mapping[str, tuple[int, ...]],
) -> list[Event]:
    changes_at: dict[int, list[Change]] = {}
    for name, places in by_metric.items():
        for at in places:
            change = _change(name, known[name], places, at)
            if change.is_clear:
                changes_at.setdefault(at, []).append(change)
    bounds = sorted(changes_at)
    headline = [
        at for at in bounds if any(each.metric.family == "headline" for each in changes_at[at])
    ]
    found = []
    for at in bounds:
        told = changes_at[at]
        around = headline if at in headline else bounds
        before = series.points[max((each for each in around if each < at), default=0) : at]
        after = series.points[at : min((each for each in around if each > at), default=None)]
        compared = comparison.compare(RunSet(_runs(before)), RunSet(_runs(after)))
        found.append(
            Event(
                series,
                at,
                tuple(sorted(told, key=_rank)),
                compared.call.word,
                explained(compared),
                _apart(before, after),
            )
        )
    return found


def explained(compared: Comparison) -> Explanation | None:
    """What compare says explains a change; else the one stage that makes up most of it.

    Of few runs a ratio is less sure than a difference: what took half a second and takes a
    millisecond, or two, has become half a second shorter for sure.
    """
    told = compared.explanation
    rows = by_name(compared.rows)
    end_to_end = rows.get(metrics.END_TO_END)
    whole = end_to_end.difference if end_to_end else None
    if whole is None or not whole.clear or (told and _is_much(told)):
        return told
    clear = [
        (row, row.difference)
        for row in compared.rows
        if row.metric.statistic == "mean" and row.difference and row.difference.clear
    ]
    row, most = max(clear, key=lambda each: each[1].value / whole.value, default=(None, None))
    if row is None or most is None or most.value / whole.value < MOST:
        return None
    stage, share = str(row.metric.stage), most.value / whole.value
    part = Part(stage, "mean", most.value, most.low, most.high, share)
    text = f"`{stage}` explains most of it: {signed(most.value)} of {signed(whole.value)} a message"
    return Explanation(part, part, None, whole.value, text)


def _is_much(told: Explanation) -> bool:
    parts = [part.share or 0.0 for part in (told.cause, told.shows_in) if part]
    return told.waiting is not None or max(parts) >= _MUCH


def _change(name: str, values: Sequence[Floats], places: Sequence[int], at: int) -> Change:
    begin = max((each for each in places if each < at), default=0)
    end = min((each for each in places if each > at), default=len(values))
    metric = _metric(name)
    before, after = (numpy.concatenate(list(part)) for part in (values[begin:at], values[at:end]))
    centres = [figures.centre(part) or 0.0 for part in (before, after)]
    ratio = None
    if (before > 0).all() and (after > 0).all():
        logs = resample.of_sets(numpy.log(before), numpy.log(after))
        ratio = _exponential(logs) if logs else None
    return Change(metric, centres[0], centres[1], ratio)


def _exponential(logs: Estimate) -> Estimate:
    value, low, high = (
        float(numpy.exp(min(each, _LARGEST))) for each in (logs.value, logs.low, logs.high)
    )
    return Estimate(value, low, high, logs.p)


def _metric(name: str) -> Metric:
    metric = metrics.find(name)
    if metric is None:
        raise ValueError(f"{name!r} is no metric")
    return metric


def _rank(change: Change) -> tuple[bool, int, float]:
    """Headline figures before stages, the telling ones before the others, then by size."""
    name = change.metric.name
    place = LEAD.index(name) if name in LEAD else len(LEAD)
    return (
        change.metric.family != "headline",
        place,
        -abs(float(numpy.log(max(change.times, 1e-9)))),
    )


def _runs(points: Sequence[Point]) -> tuple[StoredRun, ...]:
    runs = [stored for point in points for stored in point.runs]
    return tuple(sorted(runs, key=lambda stored: stored.started_s))


def _apart(before: Sequence[Point], after: Sequence[Point]) -> bool:
    ours, theirs = ([each for point in side for each in point.lasted_s] for side in (before, after))
    return max(ours) < min(theirs) or max(theirs) < min(ours)
