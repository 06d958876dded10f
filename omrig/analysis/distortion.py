"""What the profilers cost: slices of the same load with and without them, compared in pairs."""

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

METHOD = "slices of one run, alternately without and with the profilers (ABBA), in pairs"


def measure(
    slices: Sequence[dict[str, Any]], started_ns: NDArray[Any], ended_ns: NDArray[Any]
) -> dict[str, Any] | None:
    """Throughput and CPU a message of profiled over unprofiled slices; None without pairs.

    ``slices`` are the producer's, in order, two neighbours a pair; ``started_ns`` and ``ended_ns``
    are by sequence number, 0 for none. The ratios are medians over the pairs, with quartiles.
    """
    rates, costs = [], []
    for one, other in zip(slices[::2], slices[1::2], strict=False):
        plain, profiled = (one, other) if other["profiled"] else (other, one)
        pair = [_rate(each, started_ns, ended_ns) for each in (plain, profiled)]
        cpu = [_cpu_a_message(each, ended_ns) for each in (plain, profiled)]
        if all(pair):
            rates.append(pair[1] / pair[0])
        if all(cpu):
            costs.append(cpu[1] / cpu[0])
    if not rates:
        return None
    return {
        "throughput_ratio": _median(rates),
        "throughput_quartiles": _quartiles(rates),
        "cpu_ratio": _median(costs) if costs else None,
        "cpu_quartiles": _quartiles(costs) if costs else None,
        "method": METHOD,
        "pairs": len(rates),
    }


def _rate(each: dict[str, Any], started: NDArray[Any], ended: NDArray[Any]) -> float:
    part = slice(each["first"], each["end"])
    done = ended[part] > 0
    if not done.any():
        return 0.0
    lasted = int(ended[part].max() - started[part][done].min())
    return float(done.sum()) / lasted if lasted > 0 else 0.0


def _cpu_a_message(each: dict[str, Any], ended: NDArray[Any]) -> float:
    """CPU seconds of both sides a message; 0 where one of them is not known."""
    done = int((ended[each["first"] : each["end"]] > 0).sum())
    if not done or "consumer_cpu_seconds" not in each:
        return 0.0
    used: float = each["producer_cpu_seconds"] + each["consumer_cpu_seconds"]
    return used / done


def _median(values: list[float]) -> float:
    return round(float(numpy.median(values)), 4)


def _quartiles(values: list[float]) -> list[float]:
    return [round(float(value), 4) for value in numpy.percentile(values, (25, 75))]
