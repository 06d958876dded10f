"""What runs are compared by: the figures of one run, by name, and what each of them is."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy

from omrig.accounting import statistics
from omrig.compare import message_counts
from omrig.compare.runs import Messages
from omrig.model.columns import Floats, Integers
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result, StageRow
from omrig.model.units import NS

Unit = Literal["rate", "duration", "size", "count", "number"]
"""Of a figure: msg/s, ns, bytes, a number of messages, or so many of anything a message."""

Family = Literal["headline", "stages", "counts", "detail"]
"""Together with which others it is tested; details are tested by gates only, and counts are equal
or not where they are exact."""

LATENCIES = ("mean", "p50", "p90", "p99", "p999", "max")

STAGE_STATISTICS = ("p50", "p90", "p99")
"""Of a stage, beside its mean."""

END_TO_END = "stages"
"""All stages of a message added up."""

ERRORS = "errors"

NAMES = (
    "throughput, mean, p50, p90, p99, p999, max (of a mix each with .PATTERN), cpu[.SIDE],"
    " memory[.SIDE], memory_growth.SIDE, stage.NAME[.p50|.p90|.p99], bucket.NAME, errors; with"
    f" --profile counts {message_counts.NAMES}"
)
"""Every metric, for people who ask for one that is none."""

_SLICED_CPU = 4
"""Samples of a process' CPU in the load without which slices of it would be guessed."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A figure of a run: how it is called, counted and tested.

    ``stage`` is the name of the stage that it is of, ``statistic`` which of its statistics.
    """

    name: str
    label: str
    unit: Unit
    family: Family
    higher_is_better: bool = False
    stage: str | None = None
    statistic: str | None = None


def find(name: str) -> Metric | None:
    """What the metric ``name`` is; None where there is none of that name."""
    kind, dot, rest = name.partition(".")
    if dot and not (rest and message_counts.label(name)):
        return _of_part(name, kind, rest) if rest else None
    if name == "throughput":
        return Metric(name, "throughput", "rate", "headline", higher_is_better=True)
    if name in LATENCIES:
        return Metric(name, _latency(name), "duration", "headline")
    if name == "cpu":
        return Metric(name, "CPU a message", "duration", "headline")
    if name == "memory":
        return Metric(name, "peak memory", "size", "headline")
    if label := message_counts.label(name):
        return Metric(name, label, "number", "counts")
    if name == ERRORS:
        return Metric(name, "errors", "count", "detail")
    return Metric(name, "all stages", "duration", "detail") if name == END_TO_END else None


def _latency(statistic: str) -> str:
    return f"latency {'p99.9' if statistic == 'p999' else statistic}"


def _of_part(name: str, kind: str, rest: str) -> Metric | None:
    if kind in LATENCIES and rest in PATTERNS:
        return Metric(name, f"{_latency(kind)}, {rest}", "duration", "headline")
    if kind == "throughput" and rest in PATTERNS:
        return Metric(name, f"throughput, {rest}", "rate", "headline", higher_is_better=True)
    if kind == "stage":
        stage, dot, statistic = rest.partition(".")
        if not stage or (dot and statistic not in STAGE_STATISTICS):
            return None
        statistic = statistic or "mean"
        family: Family = "stages" if statistic in ("mean", "p50") else "detail"
        label = f"{stage} {statistic}"
        return Metric(name, label, "duration", family, stage=stage, statistic=statistic)
    if kind == "bucket":
        return Metric(name, f"bucket {rest}", "duration", "detail")
    if kind == "cpu":
        return Metric(name, f"CPU a message, {rest}", "duration", "headline")
    if kind == "memory":
        return Metric(name, f"peak memory, {rest}", "size", "headline")
    if kind == "memory_growth":
        return Metric(name, f"memory growth a message, {rest}", "size", "headline")
    return None


def of_run(result: Result) -> dict[str, float]:
    """Every figure of a run that its result has, in the unit of its metric."""
    figures: dict[str, float] = {}
    if result.throughput:
        figures["throughput"] = result.throughput.messages_per_second
    if result.latency:
        figures |= {name: result.latency.named(name) for name in LATENCIES}
    for pattern, part in (result.patterns or {}).items():
        if part.throughput:
            figures[f"throughput.{pattern}"] = part.throughput.messages_per_second
        if part.latency:
            figures |= {f"{name}.{pattern}": part.latency.named(name) for name in LATENCIES}
    figures |= _resources(result)
    figures |= of_rows(result.stages or ())
    return figures | message_counts.figures(result.counts or {})


def exact(result: Result) -> frozenset[str]:
    """The names of the figures of a run that any other run of the same would have, too."""
    return message_counts.exact(result.counts or {})


def _resources(result: Result) -> dict[str, float]:
    used = {name: usage for name, usage in result.resources.items() if usage}
    cpu = {name: usage.cpu_seconds * NS / _ended(result) for name, usage in used.items()}
    memory = {name: usage.peak_rss_bytes for name, usage in used.items()}
    figures: dict[str, float] = {}
    for kind, parts in (("cpu", cpu), ("memory", memory)):
        # What a broker needs is a row of its own: the sum is of the measured processes.
        measured = [value for name, value in parts.items() if name in result.sides]
        if measured:
            figures[kind] = sum(measured)
        if len(parts) > 1:
            figures |= {f"{kind}.{name}": value for name, value in parts.items()}
    for side, modes in result.profiles.items():
        growth = modes.get("memory", {}).get("growth_bytes_per_message")
        if isinstance(growth, (int, float)):
            figures[f"memory_growth.{side}"] = growth
    return figures


def _ended(result: Result) -> int:
    """How many messages the resources were used for."""
    return result.latency.count if result.latency else result.messages.received or 0


def of_rows(rows: Sequence[StageRow]) -> dict[str, float]:
    """The figures of the stages in a table."""
    figures: dict[str, float] = {}
    for row in rows:
        figures[f"stage.{row.name}"] = row.mean_ns
        figures |= {f"stage.{row.name}.{each}": row.statistic_ns(each) for each in STAGE_STATISTICS}
        bucket = f"bucket.{row.bucket}"
        figures[bucket] = figures.get(bucket, 0) + row.mean_ns
    if rows:
        figures[END_TO_END] = sum(row.mean_ns for row in rows)
    return figures


def of_slices(result: Result, messages: Messages, count: int) -> dict[str, Floats]:
    """The figures of a run that its slices have too: one element for each of ``count`` slices.

    The slices are of equally many messages, in the order in which these ended. Memory has none.
    """
    parts = numpy.array_split(numpy.arange(len(messages.ended_ns)), count)
    bounds = numpy.array([messages.began_ns, *(messages.ended_ns[part[-1]] for part in parts)])
    counts = numpy.array([len(part) for part in parts], numpy.float64)
    lasted = numpy.maximum(numpy.diff(bounds), 1)
    figures = {"throughput": counts / lasted * NS}
    if messages.latency_ns is not None:
        figures |= of_latencies(messages.latency_ns, count)
    figures |= _sliced_cpu(result, messages, bounds, counts)
    figures |= of_stages(result.stages or (), messages.stages, count)
    return figures


def of_latencies(latency_ns: Integers, count: int) -> dict[str, Floats]:
    """The figures of latencies, in the order in which messages ended, in ``count`` slices."""
    summaries = [statistics.summary(part) for part in numpy.array_split(latency_ns, count)]
    return {name: _floats([each.named(name) for each in summaries if each]) for name in LATENCIES}


def _sliced_cpu(
    result: Result,
    messages: Messages,
    bounds: Integers,
    counts: Floats,
) -> dict[str, Floats]:
    cpu: dict[str, Floats] = {}
    for name, (times, used) in messages.cpu.items():
        if ((times >= bounds[0]) & (times <= bounds[-1])).sum() >= _SLICED_CPU:
            cpu[f"cpu.{name}"] = numpy.diff(numpy.interp(bounds, times, used)) / counts
    measured = [f"cpu.{side}" for side in result.sides]
    if all(name in cpu for name in measured):
        cpu["cpu"] = numpy.sum([cpu[name] for name in measured], axis=0)
    return cpu


def of_stages(
    rows: Sequence[StageRow], stages: Mapping[str, Integers], count: int
) -> dict[str, Floats]:
    """The figures of the stages in ``rows``, of messages in their order, in ``count`` slices."""
    figures: dict[str, Floats] = {}
    for row in rows:
        values = stages.get(row.name)
        if values is None or len(values) < count:
            continue
        parts = numpy.array_split(values, count)
        means = _floats([part.mean() for part in parts])
        figures[f"stage.{row.name}"] = means
        percents = [statistics.PERCENTILES[statistic] for statistic in STAGE_STATISTICS]
        ranked = [numpy.percentile(part, percents, method="inverted_cdf") for part in parts]
        for statistic, each in zip(STAGE_STATISTICS, _floats(ranked).T, strict=True):
            figures[f"stage.{row.name}.{statistic}"] = each
        for name in (f"bucket.{row.bucket}", END_TO_END):
            figures[name] = figures.get(name, 0) + means
    return figures


def _floats(values: list[Any]) -> Floats:
    return numpy.array(values, numpy.float64)
