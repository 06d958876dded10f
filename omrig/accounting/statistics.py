"""The figures of many durations: percentiles, the table of stages, a typical message."""

from collections.abc import Iterable, Sequence

import numpy

from omrig.accounting.closure import total
from omrig.accounting.legs import Stages
from omrig.model.columns import Integers
from omrig.model.latency import Latency
from omrig.model.result import StageRow, Waterfall
from omrig.model.stages import STAGES

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}

TAIL_BAND = (98.5, 99.5)
"""The percentiles of latency between which a message counts as a p99 message."""


def percentile(values: Integers, percent: float) -> int:
    """The smallest value that ``percent`` of the values do not exceed (nearest rank)."""
    return int(numpy.percentile(values, percent, method="inverted_cdf"))


def summary(values: Integers) -> Latency | None:
    """Count, mean, percentiles and maximum of durations in ns; None without any message."""
    if not len(values):
        return None
    return Latency(
        count=len(values),
        mean=int(values.mean()),
        max=int(values.max()),
        **{name: percentile(values, percent) for name, percent in PERCENTILES.items()},
    )


def table(*parts: Stages) -> tuple[StageRow, ...]:
    """The rows of the stage table; shares are of the sum of all stages and add up to 1.

    ``parts`` are the stages of messages of one kind each: a row is of the messages that have its
    stage, and its share of the time of all. ``share_error`` is the standard error of the share over
    messages (the ratio estimator's), for samples.
    """
    everything = numpy.concatenate([total(part) for part in parts])
    whole = float(everything.sum()) or 1.0
    rows = []
    for stage in STAGES:
        having = [part[stage.name] for part in parts if stage.name in part]
        if not having:
            continue
        values = numpy.concatenate(having)
        share = float(values.sum()) / whole
        deviation = _filled(parts, stage.name) - share * everything
        p50, p90, p99 = numpy.percentile(values, (50, 90, 99), method="inverted_cdf").tolist()
        rows.append(
            StageRow(
                name=stage.name,
                side=stage.side,
                bucket=stage.bucket,
                count=len(values),
                mean_ns=int(values.mean()),
                p50_ns=p50,
                p90_ns=p90,
                p99_ns=p99,
                max_ns=int(values.max()),
                total_ns=int(values.sum()),
                share=share,
                share_error=float(numpy.sqrt((deviation**2.0).sum()) / whole),
            )
        )
    return tuple(rows)


def _filled(parts: Sequence[Stages], name: str) -> Integers:
    """A stage of the messages of all parts, 0 for those that have none of it."""
    return numpy.concatenate(
        [part[name] if name in part else numpy.zeros_like(total(part)) for part in parts]
    )


def joined(parts: Sequence[Stages]) -> Stages:
    """The stages of the messages of all parts, one part after the other."""
    names = [stage.name for stage in STAGES if any(stage.name in part for part in parts)]
    return {name: _filled(parts, name) for name in names}


def buckets(rows: Iterable[StageRow]) -> dict[str, float]:
    """The share of each bucket; they add up to 1."""
    shares: dict[str, float] = {}
    for row in rows:
        shares[row.bucket] = shares.get(row.bucket, 0.0) + row.share
    return shares


def waterfall(stages: Stages, latency_ns: Integers) -> Waterfall:
    """The stages of a mean message and of a p99 message (the mean over those around p99), in ns."""
    low, high = numpy.percentile(latency_ns, TAIL_BAND, method="inverted_cdf")
    slow = (latency_ns >= low) & (latency_ns <= high)
    return Waterfall(
        mean={name: int(values.mean()) for name, values in stages.items()},
        p99={name: int(values[slow].mean()) for name, values in stages.items()},
    )
