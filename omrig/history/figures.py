"""The figures of a history: what each version's runs came to, in each metric."""

from collections.abc import Mapping, Sequence

import numpy

from omrig.compare import metrics
from omrig.compare.metrics import Metric
from omrig.history.reading import Series
from omrig.model.columns import Floats

LEAST_NS = 1000.0
"""Durations below are told as this much: of a stage of nanoseconds nobody asks how it grew."""


def of_series(series: Series) -> dict[str, tuple[Floats, ...]]:
    """By metric the values of each point's runs, in the order of the points.

    A point whose runs do not have the metric has no values of it. A stage that a run with stages
    does not have took no time there.
    """
    by_run = [[metrics.of_run(stored.result) for stored in point.runs] for point in series.points]
    names = dict.fromkeys(name for runs in by_run for each in runs for name in each)
    return {name: tuple(_values(name, runs) for runs in by_run) for name in names}


def _values(name: str, runs: Sequence[Mapping[str, float]]) -> Floats:
    is_of_stages = name.startswith(("stage.", "bucket."))
    values = [
        each.get(name, 0.0)
        for each in runs
        if name in each or (is_of_stages and metrics.END_TO_END in each)
    ]
    return numpy.array(values, numpy.float64)


def tested(figures: Mapping[str, Sequence[Floats]]) -> dict[str, dict[str, tuple[Floats, ...]]]:
    """By family and metric, the logarithms in which changes are looked for.

    Left out are details, which are gates' alone, and what may be below 0 or is nothing throughout.
    """
    found: dict[str, dict[str, tuple[Floats, ...]]] = {}
    for name, values in figures.items():
        metric = metrics.find(name)
        if metric is None or metric.family == "detail":
            continue
        everything = numpy.concatenate(list(values))
        if not len(everything) or (everything < 0).any() or not everything.any():
            continue
        if metric.unit != "duration" and not everything.all():
            continue
        logs = tuple(numpy.log(numpy.maximum(each, _least(metric))) for each in values)
        found.setdefault(metric.family, {})[name] = logs
    return found


def _least(metric: Metric) -> float:
    return LEAST_NS if metric.unit == "duration" else 0.0


def centre(values: Floats) -> float | None:
    """The middle of a version's runs: their geometric mean, where it has one; None of no run."""
    if not len(values):
        return None
    if (values > 0).all():
        return float(numpy.exp(numpy.log(values).mean()))
    return float(values.mean())
