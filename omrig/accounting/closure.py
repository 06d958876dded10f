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

Measured = Callable[[Timeline], Integers]
"""What a clock says that each message took up to an end of its way."""

Ends = Mapping[str, tuple[Measured, tuple[str, ...]]]
"""By the last leg of a way: the clock at its end, and the stages that lie after that."""

Checks = Sequence[tuple[Integers, Integers]]
"""For each way what its stages add up to, and what the clock at its end says."""


def check(sides: Sides, timeline: Timeline) -> Closure:
    """How well the timelines add up to what the load's own clock says."""
    return _closed(timeline, list(checks_of(timeline, _of_load(sides))), _copies(sides, timeline))


def of_all(parts: Sequence[tuple[Sides, Timeline]]) -> Closure:
    """How well the timelines of all ``parts`` of a run add up, each by its own ways."""
    return added(
        [
            (check(sides, timeline), list(checks_of(timeline, _of_load(sides))))
            for sides, timeline in parts
        ]
    )


def of_stamped(timeline: Timeline) -> tuple[Closure, Checks]:
    """How well timelines add up to the spans of their calls, where nobody had a clock of his own.

    A message with copies is whole with one of them: nobody knows how many there were to be.
    """
    checks = list(checks_of(timeline, _STAMPED))
    return _closed(timeline, checks, 1), checks


def added(found: Sequence[tuple[Closure, Checks]]) -> Closure:
    """The closure of all timelines together."""
    closures = [closure for closure, _ in found]
    checks = [each for _, checks in found for each in checks]
    return Closure(
        messages=sum(each.messages for each in closures),
        matched=_sum([each.matched for each in closures]),
        within_tolerance=_sum([each.within_tolerance for each in closures]),
        negative_stages=sum(each.negative_stages for each in closures),
        flagged_arrivals=sum(each.flagged_arrivals for each in closures),
        tolerance=TOLERANCE,
        unexplained_share=_unexplained_share(checks) if checks else None,
    )


def _closed(timeline: Timeline, checks: Checks, copies: int) -> Closure:
    producer, consumer = timeline.producer, timeline.consumer
    found, rows = numpy.unique(timeline.message, return_counts=True)
    whole = found[rows >= copies]
    closure = Closure(
        messages=timeline.expected,
        matched=len(whole) if producer and consumer else None,
        negative_stages=int(negative(timeline.durations).sum()),
        flagged_arrivals=sum(int(table.flagged.sum()) for table in (producer, consumer) if table),
        tolerance=TOLERANCE,
    )
    if not checks:
        # Of one side alone, or of several clocks that nobody could compare.
        return closure
    close = numpy.ones(timeline.rows, numpy.bool_)
    for stages, measured in checks:
        close &= within_tolerance(stages, measured)
    return dataclasses.replace(
        closure,
        within_tolerance=len(numpy.setdiff1d(whole, timeline.message[~close])),
        unexplained_share=_unexplained_share(checks),
    )


def _copies(sides: Sides, timeline: Timeline) -> int:
    """How many rows a message has that is whole: of those that are copied one a consumer."""
    copied = timeline.consumer and timeline.pattern.copies
    return len(sides["consumer"].members) if copied else 1


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _unexplained_share(checks: Checks) -> float:
    unexplained = sum(abs(int((measured - stages).sum())) for stages, measured in checks)
    return unexplained / max(1, sum(int(measured.sum()) for _, measured in checks))


def checks_of(timeline: Timeline, ends: Ends) -> Iterator[tuple[Integers, Integers]]:
    """What there is to compare of each way of which every leg was seen; nothing without a sender's
    stamps."""
    if timeline.producer is None:
        return
    seen = [table.side for table in (timeline.producer, timeline.consumer) if table]
    for way in timeline.pattern.seen_by(seen):
        if way[-1] not in ends or not set(way) <= timeline.legs.keys():
            continue
        measured, after = ends[way[-1]]
        stages = [
            values
            for leg in way
            for name, values in timeline.legs[leg].items()
            if name not in after
        ]
        yield numpy.sum(stages, axis=0, dtype=numpy.int64), measured(timeline)


def _of_load(sides: Sides) -> Ends:
    """The load's own clock."""

    def returned(timeline: Timeline) -> Integers:
        """Around sending a message."""
        times = sides["producer"].messages
        seq = timeline.table["seq"]
        lasted: Integers = times.end_ns[seq] - times.start_ns[seq]
        return lasted

    def received(timeline: Timeline) -> Integers:
        """From when the load sent a message to when the endpoint was entered.

        The endpoint is that of the consumer which stamped the row.
        """
        if timeline.consumer is None:
            raise ValueError("nobody stamped what was received")
        sent, numbering = sides["producer"], sides["producer"].numbering()
        seq, member = timeline.table["seq"], timeline.consumer.member
        found = numpy.zeros_like(seq)
        for number, each in enumerate(sides["consumer"].members):
            mine = member == number
            found[mine] = joined.received_at(each.messages, numbering)[seq[mine]]
        lasted: Integers = found - sent.messages.start_ns[seq]
        return lasted

    return {"return": (returned, ()), "confirm": (returned, ()), "serve": (received, (_ENDPOINT,))}


def _span(timeline: Timeline) -> Integers:
    """From call() entered to its return."""
    lasted: Integers = timeline.table["return"] - timeline.table["call"]
    return lasted


def _entered(timeline: Timeline) -> Integers:
    """From call() entered to the endpoint entered."""
    if timeline.consumer is None or timeline.clock is None:
        raise ValueError("nobody can tell when it was entered")
    begun = timeline.table["call"] + timeline.clock.offset_ns
    lasted: Integers = timeline.consumer["endpoint"] - begun
    return lasted


_ENDPOINT = "endpoint"

_STAMPED: Ends = {
    "return": (_span, ()),
    "confirm": (_span, ()),
    "serve": (_entered, (_ENDPOINT,)),
}


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
