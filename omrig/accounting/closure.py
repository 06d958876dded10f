"""Closure: do the stages of a message add up to what the load's own clock says?

Each way has an end with a clock of its own: the load's, when the message had been sent or answered,
and the endpoint's, when it was entered. A way is checked where every leg of it was seen.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy

from omrig.accounting.legs import Stages
from omrig.accounting.timeline import Timeline
from omrig.model.columns import Flags, Integers
from omrig.model.result import Closure
from omrig.recordings.recording import Sides

TOLERANCE_NS = 50_000
TOLERANCE_SHARE = 0.01
TOLERANCE = "max(50 us, 1 %)"
"""How far the stages of a message may be from its end-to-end time measured independently."""

Measured = Callable[[Sides, Timeline], Integers]


def check(sides: Sides, timeline: Timeline) -> Closure:
    """How well the timelines add up."""
    producer, consumer = timeline.producer, timeline.consumer
    closure = Closure(
        messages=timeline.expected,
        matched=_messages(timeline) if producer and consumer else None,
        negative_stages=int(negative(timeline.durations).sum()),
        flagged_arrivals=sum(int(table.flagged.sum()) for table in (producer, consumer) if table),
        tolerance=TOLERANCE,
    )
    if producer is None:
        return closure
    checks = list(_checks(sides, timeline))
    close = numpy.ones(timeline.rows, numpy.bool_)
    for added, measured in checks:
        close &= within_tolerance(added, measured)
    unexplained = sum(abs(int((measured - added).sum())) for added, measured in checks)
    return dataclasses.replace(
        closure,
        within_tolerance=_messages(timeline) - _messages(timeline, ~close),
        unexplained_share=unexplained / max(1, sum(int(m.sum()) for _, m in checks)),
    )


def _messages(timeline: Timeline, rows: Flags | slice = slice(None)) -> int:
    """How many messages these rows are, or are copies of."""
    return len(numpy.unique(timeline.message[rows]))


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
    """From when the load sent a message to when the endpoint was entered, by its own clock."""
    sent = sides["producer"]
    received = sides["consumer"].messages.received_of(sent.about.producer_id)
    if received is None:
        raise ValueError("the consumer has no messages of this producer")
    seq = timeline.table["seq"]
    lasted: Integers = received[seq] - sent.messages.start_ns[seq]
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
