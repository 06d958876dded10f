"""Times in which nothing ended, and the few messages that hold much of all time."""

import dataclasses
from typing import Any

import numpy

from omrig.model.columns import Integers

MIN_MESSAGES = 20
"""Of fewer messages one in twenty, which the usual gap leaves out, is none."""

USUAL = 95.0
"""The percentile of gaps, and of latencies, up to which they are usual: what comes more often than
once in twenty messages is how this load runs, not an incident."""

GAP_FACTOR = 10
"""How many times the usual gap a stall lasts: the tail of an exponential or a log-normal
distribution does not reach as far in a million messages."""

LATENCY_FACTOR = 3
"""... and how many times the median latency: workers that all wait for one another end in bursts,
a latency apart, and that is no stall."""

LONG_FACTOR = 10
"""How many times the usual latency a message takes that counts as one of the few even though others
went on meanwhile."""

MIN_SHARE = 0.1
"""Share of all time that the few hold before they are told: less moves no verdict."""

FEW = 0.25
"""Part of all messages up to which they are few. With more the verdict stays on all of them."""


@dataclasses.dataclass(frozen=True)
class Stall:
    """Nothing ended from ``begins_ns`` to ``ends_ns``, in ns since the load began, and yet
    ``messages`` were under way."""

    begins_ns: int
    ends_ns: int
    messages: int


@dataclasses.dataclass(frozen=True)
class Stalls:
    """The messages ``held``, by sequence number, with their share of all time.

    ``of`` messages ended; ``longest_ns`` is the longest latency of those held. ``stalls`` are
    empty where others ended while these took so long.
    """

    held: Integers
    of: int
    share: float
    longest_ns: int
    stalls: tuple[Stall, ...]

    @property
    def few(self) -> bool:
        """Whether the others are most of the load, and can be judged without these."""
        return len(self.held) <= FEW * self.of

    def as_json(self) -> dict[str, Any]:
        """For ``result.json``."""
        return {
            "messages": len(self.held),
            "of": self.of,
            "share": round(self.share, 4),
            "longest_ns": self.longest_ns,
            "stalled_ns": sum(each.ends_ns - each.begins_ns for each in self.stalls),
            "stalls": [dataclasses.asdict(each) for each in self.stalls],
        }


def find(started: Integers, ended: Integers, given_up: Integers) -> Stalls | None:
    """What is to be told of the messages that began and ended so; None where nothing is.

    By sequence number, 0 for none. One that began and never ended was under way until it was
    ``given_up``.
    """
    numbers = numpy.flatnonzero(ended > 0)
    if len(numbers) < MIN_MESSAGES:
        return None
    order = numpy.argsort(ended[numbers], kind="stable")
    numbers = numbers[order]
    starts, ends = started[numbers], ended[numbers]
    latency = ends - starts
    without_end = (started > 0) & (ended == 0)
    spans = _spans(starts, ends, started[without_end], given_up[without_end])
    usual = numpy.percentile(latency, USUAL, method="inverted_cdf")
    held = latency >= LONG_FACTOR * usual
    origin, stalls = int(starts.min()), []
    for begin, end in spans:
        mine = (starts < (begin + end) // 2) & (ends >= end)
        held |= mine
        stalls.append(Stall(begin - origin, end - origin, int(mine.sum())))
    share = float(latency[held].sum() / max(1, latency.sum()))
    if share < MIN_SHARE:
        return None
    longest = int(latency[held].max())
    return Stalls(numpy.sort(numbers[held]), len(numbers), share, longest, tuple(stalls))


def _spans(
    starts: Integers, ends: Integers, open_starts: Integers, open_ends: Integers
) -> list[tuple[int, int]]:
    """The stalls; ``starts`` and ``ends`` are in the order of the ends."""
    previous = numpy.concatenate([starts.min(keepdims=True), ends[:-1]])
    usual = numpy.percentile(ends - previous, USUAL, method="inverted_cdf")
    limit = max(GAP_FACTOR * usual, LATENCY_FACTOR * numpy.median(ends - starts))
    found = []
    for place in numpy.flatnonzero(ends - previous >= max(1, limit)):
        before, end = int(previous[place]), int(ends[place])
        # Between two slices of a load nothing is under way, and that is no stall.
        begin = max(before, int(starts[place:].min()))
        waiting = open_starts[(open_starts < end) & (open_ends > begin)]
        begin = max(before, min(begin, int(waiting.min(initial=begin))))
        if end - begin >= limit:
            found.append((begin, end))
    return found
