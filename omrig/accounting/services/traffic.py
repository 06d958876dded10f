"""All messages of a recording: the rows of all its processes as one table a side."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy

from omrig.accounting import arrival, clocks, stamp_table
from omrig.accounting.services import names
from omrig.accounting.services.names import Numbers
from omrig.accounting.stamp_table import Busy, StampTable
from omrig.model.columns import Flags, Integers
from omrig.model.service import MethodName
from omrig.model.stamps import COLUMNS, ENDED_WELL
from omrig.recordings import arrivals
from omrig.recordings.segments import Log
from omrig.recordings.services import captured
from omrig.recordings.services.captured import Segments
from omrig.recordings.services.processes import Recorded

SIDES = tuple(COLUMNS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traffic:
    """The messages of all ``processes``, whose numbers are the tables' ``member``.

    The tables' ``kind`` is the number of a name in ``kinds``, of a consumer's row as its process
    calls it, and their ``outcome`` that of one in ``outcomes`` (from 2). ``here`` and ``there`` are
    the rows of both sides that are of the same message, in the order of the producer's; each copy
    of a message has a pair. ``alone`` are the consumer's rows that have no producer's, and
    ``alone_kind`` their kinds as a sender would call them. ``timed`` is by side of how many
    arrivals of each process a capture tells.
    """

    processes: Sequence[Recorded]
    producer: StampTable
    consumer: StampTable
    kinds: Sequence[MethodName]
    outcomes: Sequence[str]
    here: Integers
    there: Integers
    alone: Integers
    alone_kind: Integers
    timed: Mapping[str, Sequence[int]]

    def outcome(self, number: int) -> str:
        """The name of an outcome; empty where a message ended well, or has not."""
        return self.outcomes[number - 2] if number >= 2 else ""

    def raised(self, outcome: Integers) -> dict[str, int]:
        """How many messages raised what, the most first."""
        numbers, counts = numpy.unique(outcome[outcome > ENDED_WELL], return_counts=True)
        found = zip(numbers.tolist(), counts.tolist(), strict=True)
        return {
            self.outcome(number): count
            for number, count in sorted(found, key=lambda each: -each[1])
        }


def of_processes(processes: Sequence[Recorded], segments: Segments) -> Traffic:
    """The messages of the processes; ``segments`` are what a capture saw come to them."""
    kinds: Numbers[MethodName] = Numbers()
    outcomes: Numbers[str] = Numbers(first=2)
    logs = [captured.of_process(segments, each) for each in processes]
    tables, timed = {}, {}
    for side in SIDES:
        made = [
            _table(number, each, logs[number], side, kinds, outcomes)
            for number, each in enumerate(processes)
        ]
        tables[side] = _joined([table for table, _ in made], side)
        timed[side] = [count for _, count in made]
    producer, consumer = tables["producer"], tables["consumer"]
    here, there = matched(producer["id"], consumer["id"])
    producer = _named_by_servers(producer, consumer, here, there, kinds)
    alone = numpy.setdiff1d(numpy.arange(consumer.rows), there)
    kind = names.as_sent(consumer["kind"][alone], consumer["depart"][alone] > 0, kinds)
    return Traffic(
        processes=processes,
        producer=producer,
        consumer=consumer,
        kinds=kinds.names,
        outcomes=outcomes.names,
        here=here,
        there=there,
        alone=alone,
        alone_kind=kind,
        timed=timed,
    )


def _named_by_servers(
    producer: StampTable,
    consumer: StampTable,
    here: Integers,
    there: Integers,
    kinds: Numbers[MethodName],
) -> StampTable:
    """The producer's rows; what their process did not name is what its server calls it."""
    unknown = producer["kind"][here] == kinds.of(MethodName())
    here, there = here[unknown], there[unknown]
    if not len(here):
        return producer
    kind = producer["kind"].copy()
    kind[here] = names.as_sent(consumer["kind"][there], consumer["depart"][there] > 0, kinds)
    return producer.stamped(kind=kind)


def matched(sent: Integers, received: Integers) -> tuple[Integers, Integers]:
    """The rows of both sides with the same id, each copy of a message in a pair of its own."""
    # What has no id is nobody's: it gets one that no other has.
    own = numpy.where(sent > 0, sent, -1 - numpy.arange(len(sent)))
    return clocks.match(own, received, copies=True)


def first_of(rows: Integers) -> Flags:
    """Which of rows that stand in their order are the first ones of their number."""
    first = numpy.ones(len(rows), numpy.bool_)
    first[1:] = rows[1:] != rows[:-1]
    return first


def _table(
    number: int,
    process: Recorded,
    log: Log,
    side: str,
    kinds: Numbers[MethodName],
    outcomes: Numbers[str],
) -> tuple[StampTable, int]:
    """The rows of a process, and the arrivals of how many of them a capture tells."""
    columns = {**process.columns[side], **names.of_process(process, side, kinds, outcomes)}
    watched = arrivals.times(log, columns["connection"], columns["offset"])
    offsets = process.instrument.offsets if process.instrument else ()
    # Every segment was noted as it came: the socket's own stamp could only be worse.
    columns["stamp"] = numpy.where(watched > 0, 0, columns["stamp"])
    if not offsets:
        # Killed before it said what its clocks are.
        offsets = ((0, 0),)
        columns["stamp"] = numpy.zeros_like(columns["stamp"])
        columns["confirm_stamp"] = numpy.zeros_like(columns["stamp"])
    arrived, flagged = arrival.arrivals(columns, watched, offsets, watching=False)
    times, used = process.cpu
    has_cpu = len(times) > 0 and bool(columns["cpu_begin"].any())
    made = StampTable(
        side=side,
        columns=columns,
        arrival=arrived,
        latest=arrival.latest(columns["read"], watched),
        confirm_arrival=arrival.confirm_arrival(columns, offsets),
        flagged=flagged,
        reconnect_later=numpy.zeros_like(columns["depart"]),
        member=numpy.full(len(arrived), number),
        busy=stamp_table.known(columns, side, times, used) if has_cpu else Busy(),
    )
    return made, int((watched > 0).sum())


def _joined(tables: Sequence[StampTable], side: str) -> StampTable:
    """All rows of a side; a consumer's in the order in which they were read."""
    if len(tables) > 1:
        return stamp_table.as_one(_alike(tables))
    table = tables[0] if tables else _empty(side)
    first = side == "consumer"
    return table.take(numpy.argsort(table["read"], kind="stable")) if first else table


def _empty(side: str) -> StampTable:
    nothing = numpy.zeros(0, numpy.int64)
    return StampTable(
        side=side,
        columns=dict.fromkeys(COLUMNS[side], nothing),
        arrival=nothing,
        latest=nothing,
        confirm_arrival=nothing,
        flagged=nothing > 0,
        reconnect_later=nothing,
        member=nothing,
    )


def _alike(tables: Sequence[StampTable]) -> list[StampTable]:
    """The tables with the same columns, and CPU readings in all of them or in none.

    Where threads have no clock of their own they have used nothing: then nobody has waited for
    them.
    """
    columns = {name for each in tables for name in each.columns}
    before = {name for each in tables for name in each.busy.before}
    after = {name for each in tables for name in each.busy.after}
    made = []
    for each in tables:
        empty = numpy.zeros(each.rows, numpy.int64)
        busy = Busy(
            {**dict.fromkeys(before, empty), **each.busy.before},
            {**dict.fromkeys(after, empty), **each.busy.after},
        )
        filled = {**dict.fromkeys(columns, empty), **each.columns}
        made.append(dataclasses.replace(each, columns=filled, busy=busy))
    return made
