"""Two runs or sets of runs beside each other: a row a metric, with how sure its change is."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy

from omrig.compare import message_counts, metrics, resample
from omrig.compare.metrics import Metric
from omrig.compare.resample import Estimate
from omrig.compare.runs import Messages, StoredRun
from omrig.model.columns import Floats
from omrig.model.values import Json

SLICES = 20
"""Parts into which a run is cut when it is all there is of its side."""

MIN_SLICE_MESSAGES = 5
"""Fewer messages a slice say nothing of its percentiles."""

MIN_PAIRS = 3
"""Fewer runs a side are not taken as pairs, and are too few to trust."""

FAMILY_LEVEL = 0.025
"""The probability that a family of rows calls anything where nothing differs.

There are two, headline and stages: together they call at most one in twenty comparisons of the
same with the same.
"""

Only = Literal["BASE", "NEW"]
"""The side that has something which the other has not."""

Slices = tuple[Mapping[str, Floats], Mapping[str, Floats]]
"""What :func:`omrig.compare.metrics.of_slices` says of BASE and of NEW."""


@dataclasses.dataclass(frozen=True)
class Design:
    """What the values of a row are, and so how they are compared.

    ``pairs`` are runs of both sides in turn, ``sets`` are runs each side by itself, ``slices`` are
    the parts of a single run a side.
    """

    kind: Literal["pairs", "sets", "slices"]
    base_runs: int
    new_runs: int

    @property
    def text(self) -> str:
        """In words."""
        if self.kind == "pairs":
            return f"{self.base_runs} interleaved pairs"
        if self.kind == "slices":
            return "one run each"
        if self.base_runs == self.new_runs:
            return f"{self.base_runs} runs each"
        return f"{self.base_runs} and {self.new_runs} runs"


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric on both sides.

    ``base`` and ``new`` are means of the runs in the metric's unit: geometric where all values are
    positive, so that they belong to ``ratio``. ``ratio`` is of new to base, ``difference`` in the
    unit; each None where too little is known. ``absolute`` is of ``new`` alone. ``significant`` is
    None where the row was not tested: it is a detail, or there is nothing to test. ``only`` is the
    side that has this stage, where the other has none of that name. ``exact`` rows are of counts
    that every run of a side has alike: they changed if they differ, and no interval says more.
    """

    metric: Metric
    base: float
    new: float
    ratio: Estimate | None
    difference: Estimate | None
    absolute: Estimate | None
    significant: bool | None = None
    only: Only | None = None
    exact: bool = False

    @property
    def tested(self) -> Estimate | None:
        """What decides whether it changed."""
        return self.ratio or self.difference

    @property
    def change(self) -> float:
        """In which direction it changed: below, at or above 0."""
        return self.new - self.base


def design_of(base: Sequence[StoredRun], new: Sequence[StoredRun]) -> Design:
    """Pairs where the runs of both sides came in turn, slices where there is one run each."""
    if len(base) == len(new) == 1:
        return Design("slices", 1, 1)
    starts = sorted([(run.started_s, 0) for run in base] + [(run.started_s, 1) for run in new])
    sides = [side for _, side in starts]
    in_turn = all(
        {one, other} == {0, 1} for one, other in zip(sides[::2], sides[1::2], strict=False)
    )
    if len(base) == len(new) >= MIN_PAIRS and in_turn:
        return Design("pairs", len(base), len(new))
    return Design("sets", len(base), len(new))


def build(
    base: Sequence[StoredRun], new: Sequence[StoredRun], slices: Slices | None = None
) -> list[Row]:
    """A row for each metric that all runs have, in the order of the results.

    A stage that some runs do not have took no time there: the stages of a run are all there is of
    its messages, and so are its AMQP methods. ``slices`` are of the only run of each side; without
    them such a comparison has no intervals.
    """
    design = design_of(base, new)
    figures = [_figures(side) for side in (base, new)]
    exact = frozenset.intersection(*(metrics.exact(each.result) for each in (*base, *new)))
    rows = []
    for name in _compared(figures[0] + figures[1]):
        metric = metrics.find(name)
        if metric:
            ours, theirs = (
                numpy.array([each.get(name, 0.0) for each in side], float) for side in figures
            )
            if name in exact and all(len(set(each)) == 1 for each in (ours, theirs)):
                rows.append(_exact(metric, float(ours[0]), float(theirs[0])))
                continue
            parts = _parts(slices, name) if slices else (None, None)
            row = compared(metric, ours, theirs, design, parts)
            rows.append(dataclasses.replace(row, only=_only(name, figures)))
    return judged(rows)


def _exact(metric: Metric, base: float, new: float) -> Row:
    """A row of counts that are the same in any run: nothing of it is by chance."""

    def sure(value: float) -> Estimate:
        return Estimate(value, value, value, float(base == new))

    ratio = sure(new / base) if base else None
    return Row(
        metric, base, new, ratio, sure(new - base), sure(new), significant=base != new, exact=True
    )


def not_compared(base: Sequence[StoredRun], new: Sequence[StoredRun]) -> list[str]:
    """The metrics that some runs have and others have not."""
    figures = _figures(base) + _figures(new)
    compared = set(_compared(figures))
    return sorted({name for each in figures for name in each} - compared)


def _figures(side: Sequence[StoredRun]) -> list[dict[str, float]]:
    return [metrics.of_run(stored.result) for stored in side]


def _compared(figures: Sequence[Mapping[str, float]]) -> list[str]:
    """The names of what is compared, in the order of the run that has most."""
    staged = all(metrics.END_TO_END in each for each in figures)
    counted = all(message_counts.has_amqp(each) for each in figures)
    names = dict.fromkeys(name for each in sorted(figures, key=len, reverse=True) for name in each)
    return [
        name
        for name in names
        if all(name in each for each in figures)
        or (staged and _is_of_stages(name))
        or (counted and message_counts.is_of_method(name))
    ]


def _is_of_stages(name: str) -> bool:
    return name.startswith(("stage.", "bucket."))


def _only(name: str, figures: Sequence[Sequence[Mapping[str, float]]]) -> Only | None:
    base, new = (any(name in each for each in side) for side in figures)
    return None if base and new else "BASE" if base else "NEW"


def _parts(slices: Slices, name: str) -> tuple[Floats | None, Floats | None]:
    base, new = (each.get(name) for each in slices)
    if _is_of_stages(name) and (base is None) != (new is None):
        nothing = numpy.zeros(SLICES)
        return nothing if base is None else base, nothing if new is None else new
    return base, new


def slices_of(
    runs: tuple[StoredRun, StoredRun], messages: tuple[Messages | None, Messages | None]
) -> Slices | None:
    """The slices of two runs; None where one has too few messages, or no record of them."""
    base, new = messages
    if not base or not new:
        return None
    if min(len(base.ended_ns), len(new.ended_ns)) < SLICES * MIN_SLICE_MESSAGES:
        return None
    return (
        metrics.of_slices(runs[0].result, base, SLICES),
        metrics.of_slices(runs[1].result, new, SLICES),
    )


def compared(
    metric: Metric,
    base: Floats,
    new: Floats,
    design: Design,
    slices: tuple[Floats | None, Floats | None],
) -> Row:
    """The row of a metric whose values are those of the runs of each side; not judged yet.

    ``slices`` are those of the only run of each side, where the ``design`` is of such.
    """
    # What is nothing on both sides has not changed, whatever a test would say of it.
    if not base.any() and not new.any():
        return Row(metric, 0.0, 0.0, None, None, None)
    everything = [each for each in (base, new, *slices) if each is not None]
    positive = all((each > 0).all() for each in everything)
    difference = _estimate(base, new, design, slices)
    ratio, absolute = None, _of_one(new, slices[1])
    if positive:
        parts = tuple(numpy.log(each) if each is not None else None for each in slices)
        logs = numpy.log(base), numpy.log(new)
        ratio = _exponential(_estimate(*logs, design, (parts[0], parts[1])))
        absolute = _exponential(_of_one(logs[1], parts[1]))
        centres = float(numpy.exp(logs[0].mean())), float(numpy.exp(logs[1].mean()))
    else:
        centres = float(base.mean()), float(new.mean())
        if difference and centres[0] > 0:
            ratio = _relative(difference, centres[0], never_below_0=bool((new >= 0).all()))
    return Row(metric, *centres, ratio, difference, absolute)


def _estimate(
    base: Floats, new: Floats, design: Design, slices: tuple[Floats | None, Floats | None]
) -> Estimate | None:
    if design.kind == "pairs":
        return resample.of_pairs(base, new)
    if design.kind == "sets":
        return resample.of_sets(base, new)
    if slices[0] is None or slices[1] is None:
        return None
    return resample.of_slices(slices[0], slices[1], float(new[0] - base[0]))


def _of_one(new: Floats, slices: Floats | None) -> Estimate | None:
    if slices is not None:
        return resample.of_one_in_slices(slices, float(new[0]))
    return resample.of_mean(new)


def _exponential(logs: Estimate | None) -> Estimate | None:
    if logs is None:
        return None
    return Estimate(_exp(logs.value), _exp(logs.low), _exp(logs.high), logs.p)


def _exp(value: float) -> float:
    # Two wild runs make an interval that no float holds the end of.
    return math.exp(min(value, _LARGEST))


_LARGEST = 500.0


def _relative(difference: Estimate, base: float, never_below_0: bool) -> Estimate:
    low, high = 1 + difference.low / base, 1 + difference.high / base
    if never_below_0:
        low = max(0.0, low)
    return Estimate(1 + difference.value / base, low, high, difference.p)


def excludes_no_change(row: Row) -> bool:
    """Whether the row's own 95 % interval does: right in 19 of 20 rows that one looks at alone."""
    if row.ratio:
        return row.ratio.low > 1 or row.ratio.high < 1
    return row.difference is not None and row.difference.clear


def judged(rows: Sequence[Row]) -> list[Row]:
    """The rows with their significance, each family by itself."""
    judged = list(rows)
    for family in ("headline", "stages"):
        tested = [
            (number, estimate.p)
            for number, row in enumerate(rows)
            if row.metric.family == family and not row.only and (estimate := row.tested)
        ]
        believed = resample.discoveries([p for _, p in tested], FAMILY_LEVEL)
        for (number, _), sure in zip(tested, believed, strict=True):
            # Where resampling and Student's distribution disagree, neither is believed.
            significant = sure and excludes_no_change(rows[number])
            judged[number] = dataclasses.replace(rows[number], significant=significant)
    return judged


def by_name(rows: Iterable[Row]) -> dict[str, Row]:
    """The rows under the names of their metrics."""
    return {row.metric.name: row for row in rows}


def as_json(row: Row) -> dict[str, Json]:
    """A row for a JSON file."""

    def plain(estimate: Estimate | None) -> dict[str, float] | None:
        return dataclasses.asdict(estimate) if estimate else None

    return {
        "metric": row.metric.name,
        "label": row.metric.label,
        "unit": row.metric.unit,
        "family": row.metric.family,
        "base": row.base,
        "new": row.new,
        "ratio": plain(row.ratio),
        "difference": plain(row.difference),
        "significant": row.significant,
        "only": row.only,
        **({"exact": True} if row.exact else {}),
    }
