"""Times in which nothing ended, and the few messages that hold much of all time."""

import dataclasses
from collections.abc import Mapping

import numpy

from omrig.accounting import latency, quantised, statistics
from omrig.accounting.timeline import Timeline
from omrig.accounting.verdict import thresholds
from omrig.accounting.verdict.owners import parts_of, shares_of
from omrig.model.columns import Integers
from omrig.model.facts import Comb, Facts, Held
from omrig.model.latency import Latency
from omrig.model.result import Result, StageRow
from omrig.model.stalls import Stall, Stalls
from omrig.recordings.recording import Sides

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


QUEUES = ("pool", "executor")
"""Buckets in which a message waits for other messages."""


@dataclasses.dataclass(frozen=True)
class Incident:
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

    def told(self) -> Stalls:
        """For the result; nothing is said yet of whose the time is."""
        return Stalls(
            messages=len(self.held),
            of=self.of,
            share=round(self.share, 4),
            longest_ns=self.longest_ns,
            stalled_ns=sum(each.ends_ns - each.begins_ns for each in self.stalls),
            stalls=self.stalls,
        )


def find(started: Integers, ended: Integers, given_up: Integers) -> Incident | None:
    """What is to be told of the messages that began and ended so; None where nothing is.

    By sequence number, 0 for none. One that began and never ended was under way until it was
    ``given_up``.
    """
    done = ended > 0
    if int(done.sum()) < MIN_MESSAGES:
        return None
    without_end = (started > 0) & ~done
    # Of many messages a copy is a large part of the memory, and so is what they took.
    starts, ends = (started, ended) if done.all() else (started[done], ended[done])
    latency = ends - starts
    usual, median, whole = (
        numpy.percentile(latency, USUAL, method="inverted_cdf"),
        float(numpy.median(latency)),
        int(latency.sum()),
    )
    held = latency >= LONG_FACTOR * usual
    del latency
    spans = _spans(starts, ends, median, started[without_end], given_up[without_end])
    origin, stalls = int(starts.min()), []
    for begin, end in spans:
        mine = (starts < (begin + end) // 2) & (ends >= end)
        held |= mine
        stalls.append(
            Stall(begins_ns=begin - origin, ends_ns=end - origin, messages=int(mine.sum()))
        )
    latency = ends[held] - starts[held]
    share = float(latency.sum() / max(1, whole))
    if share < MIN_SHARE:
        return None
    longest = int(latency.max())
    numbers = numpy.flatnonzero(done)
    return Incident(numbers[held], len(numbers), share, longest, tuple(stalls))


def _spans(
    starts: Integers,
    ends: Integers,
    median_ns: float,
    open_starts: Integers,
    open_ends: Integers,
) -> list[tuple[int, int]]:
    """The stalls, in the order of time, of messages that took ``median_ns``."""
    ordered = numpy.sort(ends)
    gaps = ordered.copy()
    gaps[1:] -= ordered[:-1]
    gaps[0] -= starts.min()
    usual = numpy.percentile(gaps, USUAL, method="inverted_cdf")
    limit = max(GAP_FACTOR * usual, LATENCY_FACTOR * median_ns)
    places = numpy.flatnonzero(gaps >= max(1, limit))
    after = zip((ordered[places] - gaps[places]).tolist(), ordered[places].tolist(), strict=True)
    del ordered, gaps
    found = []
    for before, end in after:
        # Between two slices of a load nothing is under way, and that is no stall.
        begin = max(before, int(starts[ends >= end].min()))
        waiting = open_starts[(open_starts < end) & (open_ends > begin)]
        begin = max(before, min(begin, int(waiting.min(initial=begin))))
        if end - begin >= limit:
            found.append((begin, end))
    return found


@dataclasses.dataclass(frozen=True)
class Judged:
    """What a verdict on some of the messages is about: keys of the result."""

    stages: tuple[StageRow, ...]
    quantised: Mapping[str, Comb]
    held: Mapping[str, Held]
    latency: Latency | None = None

    def within(self, result: Result) -> Result:
        """The result as a verdict on these messages alone takes it."""
        return dataclasses.replace(
            result,
            stages=self.stages,
            quantised=self.quantised,
            held=self.held,
            latency=self.latency,
        )


def judged(timeline: Timeline) -> Judged:
    """What a verdict on the messages of these timelines is about."""
    rows = statistics.table(timeline.durations)
    return Judged(
        rows,
        quantised.of_stages(rows, timeline),
        {name: each.summary() for name, each in timeline.held.items()},
    )


def of_run(sides: Sides, timeline: Timeline | None) -> tuple[Stalls, Judged | None] | None:
    """The stalls of a run, and the other messages where the verdict is to be on these alone.

    None without a stall; it is looked for in when messages began and ended.
    """
    producer = sides.get("producer")
    if producer is None:
        return None
    started, ended = producer.messages.start_ns, producer.messages.end_ns
    is_lost = bool(((started > 0) & (ended == 0)).any())
    found = find(started, ended, latency.given_up_ns(producer) if is_lost else ended)
    if found is None:
        return None
    if timeline is None or timeline.producer is None:
        return found.told(), None
    others, held = timeline.without(found.held)
    told = _owned(found.told(), held)
    if not found.few or others.rows < thresholds.MIN_MESSAGES:
        return told, None
    done = ended > 0
    done[found.held] = False
    latencies = statistics.summary((ended - started)[done])
    return told, dataclasses.replace(judged(others), latency=latencies)


def _owned(told: Stalls, held: Timeline) -> Stalls:
    """With whose most of the time of these messages is, less what waited in queues behind others.

    Who waits for a connection or an executor waits for those that have one, and these are held.
    Nobody's where all of it is in queues.
    """
    if not held.rows:
        return told
    some = judged(held)
    parts = parts_of(some.stages, Facts(held=some.held))
    queued = [part for part in parts if not part.held and part.stage.bucket in QUEUES]
    shares = shares_of([part for part in parts if part not in queued])
    owner = max(shares, key=lambda name: shares[name])
    owned = round(shares[owner], 4)
    return dataclasses.replace(
        told,
        owner=owner if owned > 0 else None,
        owner_share=owned if owned > 0 else None,
        queue_share=round(sum(part.share for part in queued), 4),
    )
