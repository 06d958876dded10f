"""A method in two recordings: a row a figure, with how sure its change is."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy

from omrig.compare import metrics, table
from omrig.compare.metrics import Metric
from omrig.compare.table import MIN_SLICE_MESSAGES, SLICES, Design, Row
from omrig.model.columns import Floats, Integers
from omrig.model.service import Method, MethodName

LEAST_MESSAGES = SLICES * MIN_SLICE_MESSAGES
"""Of a method of which one recording has fewer nothing is tested."""

LEAST_FOR_TAIL = 1000
"""Of fewer messages a p99 is that of fewer than ten: it is shown, and not tested."""

SHOWN = ("mean", "p50", "p90", "p99")
"""The figures of latency that are compared."""

_TAILS = ("p90", "p99")

DESIGN = Design("slices", 1, 1)
"""There is one recording a side: how much it varies by itself is seen in its parts."""


@dataclasses.dataclass(frozen=True)
class Messages:
    """The messages of a method in a recording, an element each, in the order of time, in ns.

    ``stages`` are of those that have stages.
    """

    latency_ns: Integers
    stages: Mapping[str, Integers]


@dataclasses.dataclass(frozen=True)
class Compared:
    """A method that both recordings have: how it was in either, and the rows of its figures.

    ``untested`` is why nothing of it was tested; empty where something was.
    """

    name: MethodName
    base: Method
    new: Method
    rows: tuple[Row, ...]
    untested: str = ""

    def row(self, name: str) -> Row | None:
        """The row of a metric; None where there is none."""
        return table.by_name(self.rows).get(name)

    @property
    def changed(self) -> list[Row]:
        """The figures of latency of which the change is significant."""
        return [row for row in self.rows if row.significant and row.metric.family == "headline"]

    @property
    def changed_stages(self) -> list[Row]:
        """The stages of which the mean's change is significant, the largest change first."""
        found = [row for row in self.rows if row.significant and row.metric.statistic == "mean"]
        return sorted(found, key=lambda row: -abs(row.change))


def compare(
    pairs: Sequence[tuple[Method, Method]],
    base: Mapping[MethodName, Messages],
    new: Mapping[MethodName, Messages],
) -> list[Compared]:
    """The methods of both recordings in the order of ``pairs``.

    Their latencies are judged together, and so are the means of their stages, so that of many
    methods few are called by chance; the stages of a method whose latency has changed are judged
    among themselves as well. ``base`` and ``new`` are the messages of each
    method, as far as they are known.
    """
    found = [_of_pair(ours, theirs, base, new) for ours, theirs in pairs]
    latencies = iter(table.judged([row for each in found for row in each.rows if _is_latency(row)]))
    judged = [
        dataclasses.replace(
            each, rows=tuple(next(latencies) if _is_latency(row) else row for row in each.rows)
        )
        for each in found
    ]
    stages = iter(table.judged([row for each in found for row in each.rows if _is_stage(row)]))
    judged = [
        dataclasses.replace(
            each, rows=tuple(next(stages) if _is_stage(row) else row for row in each.rows)
        )
        for each in judged
    ]
    return [_explained(each) if each.changed else each for each in judged]


def _explained(each: Compared) -> Compared:
    """A method that has changed: its stages are believed, too, where they are among themselves."""
    own = table.by_name(table.judged([row for row in each.rows if _is_stage(row)]))
    rows = [
        dataclasses.replace(row, significant=row.significant or own[row.metric.name].significant)
        if row.metric.name in own
        else row
        for row in each.rows
    ]
    return dataclasses.replace(each, rows=tuple(rows))


def _is_latency(row: Row) -> bool:
    return row.metric.family == "headline"


def _is_stage(row: Row) -> bool:
    return row.metric.statistic == "mean"


def _of_pair(
    ours: Method,
    theirs: Method,
    base: Mapping[MethodName, Messages],
    new: Mapping[MethodName, Messages],
) -> Compared:
    name = ours.name
    messages = base.get(name), new.get(name)
    untested = _untested(ours, theirs, *messages)
    slices: tuple[Mapping[str, Floats], Mapping[str, Floats]] = ({}, {})
    if not untested and messages[0] and messages[1]:
        slices = _slices(ours, messages[0]), _slices(theirs, messages[1])
    figures = _figures(ours), _figures(theirs)
    fewest = min((each.latency.count if each.latency else 0) for each in (ours, theirs))
    rows = []
    for each in dict.fromkeys([*figures[0], *figures[1]]):
        metric = _metric(each, fewest)
        if metric is None or (metric.stage is None and not all(each in side for side in figures)):
            continue
        parts = slices[0].get(each), slices[1].get(each)
        values = [numpy.array([side.get(each, 0.0)], float) for side in figures]
        row = table.compared(metric, values[0], values[1], DESIGN, parts)
        only = None if all(each in side for side in figures) else _side(each, figures)
        rows.append(dataclasses.replace(row, only=only))
    return Compared(name, ours, theirs, tuple(rows), untested)


def _side(name: str, figures: tuple[Mapping[str, float], ...]) -> table.Only:
    return "BASE" if name in figures[0] else "NEW"


def _untested(ours: Method, theirs: Method, base: Messages | None, new: Messages | None) -> str:
    if ours.latency is None or theirs.latency is None:
        return "no message of it has a latency in one of the recordings"
    fewest = min(ours.latency.count, theirs.latency.count)
    if fewest < LEAST_MESSAGES:
        return f"{fewest:,} messages are too few, {LEAST_MESSAGES} in each would do"
    if base is None or new is None:
        return "the rows of its messages could not be read"
    return ""


def _metric(name: str, fewest: int) -> Metric | None:
    metric = metrics.find(name)
    if metric is None or (name in _TAILS and fewest < LEAST_FOR_TAIL):
        return metric and dataclasses.replace(metric, family="detail")
    return metric


def _figures(method: Method) -> dict[str, float]:
    figures: dict[str, float] = {}
    if method.latency:
        figures |= {name: method.latency.named(name) for name in SHOWN}
    figures |= metrics.of_rows(method.stages or ())
    return {name: value for name, value in figures.items() if not name.startswith("bucket.")}


def _slices(method: Method, messages: Messages) -> dict[str, Floats]:
    return {
        **metrics.of_latencies(messages.latency_ns, SLICES),
        **metrics.of_stages(method.stages or (), messages.stages, SLICES),
    }
