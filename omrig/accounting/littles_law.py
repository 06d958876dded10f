"""Little's law as a cross-check of latency, and what explains it where it does not hold."""

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.accounting import latency
from omrig.model.columns import CHUNK
from omrig.model.latency import Latency
from omrig.model.result import LittlesLaw, Throughput
from omrig.model.run import RecordedPlan
from omrig.model.units import NS
from omrig.recordings.recording import Recording

FAR = 0.1
"""How far from 1 the ratio is before it needs an explanation."""

EXPLAINS = 0.5
"""Part of what is missing that a cause must make up to be the explanation."""


def check(
    plan: RecordedPlan,
    throughput: Throughput | None,
    measured: Latency | None,
    producer: Recording | None,
    slices: Sequence[tuple[int, int]] = (),
) -> LittlesLaw | None:
    """Little's law: in a closed loop, workers divided by throughput is the mean latency.

    A cross-check of latency by counting alone: ``ratio`` is measured over expected and should be
    near 1. Where it is not, ``explanation`` says in words why, else it is None. ``slices`` are
    first and end of the sequence numbers of each, where the load was sent in several. What workers
    think between two messages is no latency. None for an open loop, in which they need not be busy.
    """
    if (
        throughput is None
        or measured is None
        or not all(pattern.replies for pattern in plan.patterns)
    ):
        return None
    if plan.pace.is_open:
        return None
    workers = min(all_workers(plan, producer), measured.count)
    expected = workers / throughput.messages_per_second * NS - (plan.think_time_s or 0.0) * NS
    if expected <= 0:
        # Too short to tell: most workers were still thinking when it ended.
        return None
    ratio = measured.mean / expected
    return LittlesLaw(
        expected_mean_ns=int(expected),
        measured_mean_ns=measured.mean,
        ratio=ratio,
        explanation=_explanation(ratio, expected * measured.count, producer, slices)
        if abs(ratio - 1) > FAR
        else None,
    )


def all_workers(plan: RecordedPlan, producer: Recording | None) -> int:
    """The workers of all producers: each has as many as were asked for."""
    if producer is None:
        return plan.workers
    return sum(each.run.plan.workers for each in producer.members)


def _explanation(
    ratio: float, worked_ns: float, producer: Recording | None, slices: Sequence[tuple[int, int]]
) -> str:
    """Why the latencies do not make up the time that the workers had."""
    unknown = "no explanation is known: quote the latencies with care"
    if producer is None or ratio > 1:
        return unknown
    missing = (1 - ratio) * worked_ns
    started, ended = producer.messages.start_ns, producer.messages.end_ns
    failed = min(_failed_ns(producer), missing)
    idle = min(_idle_ns(started, ended, slices or ((0, len(started)),)), missing - failed)
    # Where it is not known when what failed did, no more can be told beside it.
    between = 0.0 if failed and producer.messages.failed is None else missing - failed - idle
    causes = {
        "workers waited for messages that failed, which have no latency": failed,
        _idle_words(slices): idle,
        "between two messages workers had to wait for their turn to run": between,
    }
    told = sorted((each for each in causes if causes[each] > 0), key=lambda each: -causes[each])
    shares = [causes[each] / missing for each in told]
    if sum(shares) < EXPLAINS:
        return unknown
    count = 1 if shares[0] >= EXPLAINS else 2
    percent = 100 * sum(shares[:count])
    return f"{', and '.join(told[:count])}: {percent:.0f} % of what is missing"


def _idle_words(slices: Sequence[tuple[int, int]]) -> str:
    when = f"each of the {len(slices):,} slices" if slices else "the run"
    return f"workers had nothing to do yet, or no more, as {when} began and ended"


def _failed_ns(producer: Recording) -> float:
    """For how long workers waited for what failed."""
    return float(latency.of_failed_at_least(producer).sum())


def _idle_ns(
    started: NDArray[Any], ended: NDArray[Any], slices: Sequence[tuple[int, int]]
) -> float:
    """Workers' time before their first message and after their last one, added up."""
    workers = _most_under_way(started, ended)
    idle = 0.0
    for first, end in slices:
        starts, ends = _ordered(started[first:end], ended[first:end])
        if len(starts):
            idle += float((starts[:workers] - starts[0]).sum())
            idle += float((ends[-1] - ends[-workers:]).sum())
    return idle


def _most_under_way(started: NDArray[Any], ended: NDArray[Any]) -> int:
    """How many messages were under way at once, at most: so many workers had work."""
    starts, ends = _ordered(started, ended)
    most = 0
    for begin in range(0, len(starts), CHUNK):
        part = starts[begin : begin + CHUNK]
        # What ends in the moment in which another one begins has ended.
        over = numpy.searchsorted(ends, part, side="right")
        begun = numpy.arange(begin + 1, begin + len(part) + 1)
        most = max(most, int((begun - over).max()))
    return most


def _ordered(started: NDArray[Any], ended: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """When messages that ended began, and when they ended, each in the order of time."""
    done = ended > 0
    starts, ends = started[done], ended[done]
    starts.sort()
    ends.sort()
    return starts, ends
