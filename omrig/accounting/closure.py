"""Closure: do the stages of a message add up to what the load's own clock says?

Each way has an end with a clock of its own: the load's, when the message had been sent or answered,
and the endpoint's, when it was entered. A way is checked where every leg of it was seen.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy

from omrig.accounting.legs import Stages
from omrig.accounting.timeline import Timeline
from omrig.model.columns import Flags, Integers
from omrig.model.result import Closure
from omrig.recordings import joined
from omrig.recordings.recording import Sides

TOLERANCE_NS = 50_000
TOLERANCE_SHARE = 0.01
TOLERANCE = "max(50 us, 1 %)"
"""How far the stages of a message may be from its end-to-end time measured independently."""

Measured = Callable[[Sides, Timeline], Integers]


def check(sides: Sides, timeline: Timeline) -> Closure:
    """How well the timelines add up."""
    producer, consumer = timeline.producer, timeline.consumer
    whole = _whole(sides, timeline)
    closure = Closure(
        messages=timeline.expected,
        matched=len(whole) if producer and consumer else None,
        negative_stages=int(negative(timeline.durations).sum()),
        flagged_arrivals=sum(int(table.flagged.sum()) for table in (producer, consumer) if table),
        tolerance=TOLERANCE,
    )
    if producer is None:
        return closure
    checks = list(_checks(sides, timeline))
    if not checks:
        # Of several clocks that nobody could compare.
        return closure
    close = numpy.ones(timeline.rows, numpy.bool_)
    for added, measured in checks:
        close &= within_tolerance(added, measured)
    return dataclasses.replace(
        closure,
        within_tolerance=len(numpy.setdiff1d(whole, timeline.message[~close])),
        unexplained_share=_unexplained_share(checks),
    )


def _whole(sides: Sides, timeline: Timeline) -> Integers:
    """The messages that have a row, of those that are copied a row for each consumer."""
    found, rows = numpy.unique(timeline.message, return_counts=True)
    copies = len(sides["consumer"].members) if timeline.consumer and timeline.pattern.copies else 1
    whole: Integers = found[rows >= copies]
    return whole


def of_all(parts: Sequence[tuple[Sides, Timeline]]) -> Closure:
    """How well the timelines of all ``parts`` of a run add up, each by its own ways."""
    found = [check(sides, timeline) for sides, timeline in parts]
    checks = [
        each for sides, timeline in parts if timeline.producer for each in _checks(sides, timeline)
    ]
    return Closure(
        messages=sum(each.messages for each in found),
        matched=_sum([each.matched for each in found]),
        within_tolerance=_sum([each.within_tolerance for each in found]),
        negative_stages=sum(each.negative_stages for each in found),
        flagged_arrivals=sum(each.flagged_arrivals for each in found),
        tolerance=TOLERANCE,
        unexplained_share=_unexplained_share(checks) if checks else None,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _unexplained_share(checks: Sequence[tuple[Integers, Integers]]) -> float:
    unexplained = sum(abs(int((measured - added).sum())) for added, measured in checks)
    return unexplained / max(1, sum(int(measured.sum()) for _, measured in checks))


def _checks(sides: Sides, timeline: Timeline) -> Iterator[tuple[Integers, Integers]]:
    """For each way what its stages add up to, and what the clock at its end says."""
    seen = [table.side for table in (timeline.producer, timeline.consumer) if table]
    for way in timeline.pattern.seen_by(seen):
        if way[-1] not in _ENDS or not set(way) <= timeline.legs.keys():
            continue
        measured, after = _ENDS[way[-1]]
        added = [
            values
            for leg in way
            for name, values in timeline.legs[leg].items()
            if name not in after
        ]
        yield numpy.sum(added, axis=0, dtype=numpy.int64), measured(sides, timeline)


def _returned(sides: Sides, timeline: Timeline) -> Integers:
    """What the load measured around sending a message."""
    times = sides["producer"].messages
    lasted: Integers = (times.end_ns - times.start_ns)[timeline.table["seq"]]
    return lasted


def _received(sides: Sides, timeline: Timeline) -> Integers:
    """From when the load sent a message to when the endpoint was entered, by its own clock.

    The endpoint is that of the consumer which stamped the row.
    """
    if timeline.consumer is None:
        raise ValueError("nobody stamped what was received")
    sent, numbering = sides["producer"], sides["producer"].numbering()
    seq, member = timeline.table["seq"], timeline.consumer.member
    received = numpy.zeros_like(seq)
    for number, each in enumerate(sides["consumer"].members):
        mine = member == number
        received[mine] = joined.received_at(each.messages, numbering)[seq[mine]]
    lasted: Integers = received - sent.messages.start_ns[seq]
    return lasted


_ENDS: Mapping[str, tuple[Measured, tuple[str, ...]]] = {
    "return": (_returned, ()),
    "confirm": (_returned, ()),
    "serve": (_received, ("endpoint",)),
}
"""By the last leg of a way: the clock at its end, and the stages that lie after that."""


def total(stages: Stages) -> Integers:
    """The sum of all stages of each message."""
    durations: Integers = numpy.sum(list(stages.values()), axis=0, dtype=numpy.int64)
    return durations


def negative(stages: Stages) -> Flags:
    """Which messages have a stage below zero: the books are wrong there."""
    flags = numpy.zeros(len(next(iter(stages.values()))), numpy.bool_)
    for durations in stages.values():
        flags |= durations < 0
    return flags


def within_tolerance(stages_ns: Integers, measured_ns: Integers) -> Flags:
    """Which messages' stages add up to what the load generator measured."""
    allowed = numpy.maximum(TOLERANCE_NS, TOLERANCE_SHARE * measured_ns)
    close: Flags = numpy.abs(stages_ns - measured_ns) <= allowed
    return close
