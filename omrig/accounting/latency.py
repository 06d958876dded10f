"""Latency statistics of many messages, and their HdrHistogram log."""

from collections.abc import Mapping
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.units import NS
from omrig.recordings.recording import Recording

Nanoseconds = NDArray[Any]
"""Durations, one element a message, in nanoseconds."""

_LOWEST_NS = 1_000
_HIGHEST_NS = 3_600_000_000_000
_DIGITS = 3

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


def percentile(values: Nanoseconds, percent: float) -> int:
    """The smallest value that ``percent`` of the values do not exceed (nearest rank)."""
    return int(numpy.percentile(values, percent, method="inverted_cdf"))


def summarise(values: Nanoseconds) -> dict[str, int] | None:
    """Count, mean, percentiles and maximum, in ns; None without any message."""
    if not len(values):
        return None
    return {
        "count": len(values),
        "mean": int(values.mean()),
        **{name: percentile(values, percent) for name, percent in PERCENTILES.items()},
        "max": int(values.max()),
    }


RESPONSE_TIMEOUT_S = 60
"""oslo.messaging's own ``rpc_response_timeout``, where nobody set another."""


def timeout_ns(run: Mapping[str, Any]) -> int:
    """After how long a call of the run counted as failed, in ns; ``run`` is its ``run.json``."""
    asked = run["plan"].get("timeout_s")
    name = "rpc_response_timeout"
    set_to = {**run.get("options", {}), **(run.get("driver_options") or {})}.get(name)
    return int((asked or set_to or RESPONSE_TIMEOUT_S) * NS)


def of_failed(producer: Recording) -> Nanoseconds | None:
    """What the messages that failed took until they did; None where that was not recorded."""
    if not producer.failed:
        return None
    started = producer.times["start_ns"][producer.failed["failed_seq"]]
    took: Nanoseconds = producer.failed["failed_ns"] - started
    return took


def of_failed_at_least(producer: Recording) -> Nanoseconds:
    """As :func:`of_failed`, each as a timeout where that was not recorded."""
    took = of_failed(producer)
    if took is not None:
        return took
    failed = sum(producer.about["errors"].values())
    return numpy.full(failed, timeout_ns(producer.run), numpy.int64)


def given_up_ns(producer: Recording) -> Nanoseconds:
    """When each message was given up, by sequence number, if it did not end before.

    That is when it failed, else when its timeout had passed.
    """
    given_up: Nanoseconds = producer.times["start_ns"] + timeout_ns(producer.run)
    if producer.failed:
        given_up[producer.failed["failed_seq"]] = producer.failed["failed_ns"]
    return given_up


def summarise_with_failures(values: Nanoseconds, failed: Nanoseconds) -> dict[str, int] | None:
    """As :func:`summarise`, of ``values`` and of what those took that ``failed``.

    None where none failed: there is nothing to add then.
    """
    return summarise(numpy.concatenate([values, failed])) if len(failed) else None
