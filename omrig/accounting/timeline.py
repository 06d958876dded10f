"""Timelines: the stages of each message, from the legs that its pattern has and the sides saw."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy

from omrig.accounting import clocks, host_clocks, legs
from omrig.accounting.legs import Stages
from omrig.accounting.prefetch import Credit, Waits, waits_of_members
from omrig.accounting.stamp_table import StampTable, Tables
from omrig.model.columns import Flags, Integers
from omrig.model.patterns import Pattern
from omrig.model.result import Clock
from omrig.model.stages import STAGES
from omrig.recordings import recording
from omrig.recordings.recording import Sides
from omrig.recordings.stamping import Stamping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timeline:
    """The stages of messages, one row each; of a pattern with copies, one row a copy.

    ``producer`` and ``consumer`` are the tables of those messages, ``clock`` is how the
    consumer's clock was put on the producer's (None: it was not). ``legs`` are the durations by
    leg and stage, ``durations`` the same by stage in the order of the model, ``held`` what messages
    waited in the broker because of prefetch, by stage. Rows with the same number in ``message``
    are copies of one. ``expected`` is how many messages the producer sent that ended well, matched
    or not.
    """

    pattern: Pattern
    producer: StampTable | None
    consumer: StampTable | None
    clock: Clock | None
    legs: Mapping[str, Stages]
    durations: Stages
    message: Integers
    expected: int
    held: Mapping[str, Waits] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many messages, or copies, it holds."""
        return len(self.message)

    @property
    def table(self) -> StampTable:
        """The table that numbers the messages: the producer's, where there is one."""
        table = self.producer or self.consumer
        if table is None:
            raise ValueError("a timeline of nobody")
        return table

    @property
    def seq(self) -> Integers | None:
        """The sequence numbers of the messages; None where only a consumer saw them."""
        return self.producer["seq"] if self.producer else None

    def take(self, rows: Integers | Flags) -> "Timeline":
        """The same with only these rows."""
        return dataclasses.replace(
            self,
            producer=self.producer and self.producer.take(rows),
            consumer=self.consumer and self.consumer.take(rows),
            legs={name: _taken(stages, rows) for name, stages in self.legs.items()},
            durations=_taken(self.durations, rows),
            message=self.message[rows],
            held={name: each.take(rows) for name, each in self.held.items()},
        )

    def without(self, numbers: Integers) -> tuple["Timeline", "Timeline"]:
        """The timelines of the other messages, and of those with these sequence numbers."""
        chosen = numpy.isin(self.table["seq"], numbers)
        return self.take(~chosen), self.take(chosen)


def of_sides(sides: Sides, tables: Tables, pattern: Pattern) -> Timeline | None:
    """The timelines of the messages in the tables of a run; None where there are none.

    Of a producer those count that ended well, and where both sides stamped those that both did.
    """
    producer, consumer = tables.get("producer"), tables.get("consumer")
    clock = None
    message = numpy.zeros(0, numpy.int64)
    if producer:
        producer = producer.take(_ended(sides, producer) & whole(pattern, producer))
        message = numpy.arange(producer.rows)
    expected = len(message)
    if producer and consumer:
        message, there = clocks.match(producer["id"], consumer["id"], pattern.copies)
        if pattern.replies:
            # A reply that was sent after the measurement's end has no departure.
            replied = consumer["depart"][there] > 0
            message, there = message[replied], there[replied]
        producer, consumer = producer.take(message), consumer.take(there)
        clock = _clock(sides, producer, consumer)
        if clock:
            producer, consumer = clocks.settled(producer, consumer, clock)
    elif consumer:
        consumer = consumer.take(whole(pattern, consumer))
    lost = {name for each in _instruments(sides) for name in each.lost_stages}
    found = of_tables(pattern, producer, consumer, clock, lost)
    if found is None or not found.rows:
        return None
    return dataclasses.replace(found, message=message, expected=expected) if producer else found


def _clock(sides: Sides, producer: StampTable, consumer: StampTable) -> Clock | None:
    """How the messages of these rows are timed; None where members that met have no clock in
    common."""
    if not producer.rows:
        return Clock(same_host=True) if recording.on_one_clock(sides.values()) else None
    found = host_clocks.between(sides, producer, consumer)
    if found is None:
        return None
    same, error = found
    return Clock(same_host=same, error_ns=error)


def _instruments(sides: Sides) -> Iterator[Stamping]:
    for side in sides.values():
        for each in side.members:
            if each.stamping:
                yield each.stamping


def of_tables(
    pattern: Pattern,
    producer: StampTable | None,
    consumer: StampTable | None,
    clock: Clock | None,
    lost: Collection[str] = (),
) -> Timeline | None:
    """The timelines of the rows of these tables, which are matched already; None without a stage.

    ``clock`` is None where the two clocks cannot be compared: then what is on the wire is left out.
    Where a stamp is missing the stages at it (``lost``) are not guessed, and the books show the
    gap.
    """
    found: dict[str, Stages] = {}
    for leg in pattern.legs([table.side for table in (producer, consumer) if table]):
        stages = _of_leg(leg.name, producer, consumer, clock)
        found[leg.name] = {name: stages[name] for name in stages if name not in lost}
    found = {name: stages for name, stages in found.items() if stages}
    table = producer or consumer
    if table is None or not found:
        return None
    return Timeline(
        pattern=pattern,
        producer=producer,
        consumer=consumer,
        clock=clock,
        legs=found,
        durations=_added(found),
        message=numpy.arange(table.rows),
        expected=table.rows,
    )


def with_held(timeline: Timeline, credits: Mapping[str, Sequence[Credit]]) -> Timeline:
    """The same with what messages waited in the broker, by the credit of the sides that receive.

    It is that of each member of the side, in their order.
    """
    producer, consumer, clock = timeline.producer, timeline.consumer, timeline.clock
    if producer is None or consumer is None or clock is None:
        return timeline
    tables = {"producer": producer, "consumer": consumer}
    ahead = {"producer": 0, "consumer": clock.offset_ns}
    held = {}
    for each in timeline.pattern.crossings():
        if each.stage in timeline.durations and each.receiver in credits:
            sender, receiver = tables[each.sender], tables[each.receiver]
            offset = ahead[each.receiver] - ahead[each.sender]
            departed = sender["depart"] + offset
            held[each.stage] = waits_of_members(
                credits[each.receiver], receiver.member, departed, receiver.arrival
            )
    return dataclasses.replace(timeline, held=held)


def whole(pattern: Pattern, table: StampTable) -> Flags:
    """Which messages went all the way that this side sees.

    Who sends what has no reply also calls, now and then, to wait until the consumer has kept up:
    that is no message.
    """
    sent: Flags = table["depart"] > 0
    if table.side == "consumer":
        return sent if pattern.replies else ~sent
    answered: Flags = (table["put"] > 0) & (table["woke"] > 0)
    return sent & answered if pattern.replies else sent


def _ended(sides: Sides, producer: StampTable) -> Flags:
    """Which messages ended well by the load's own clock."""
    ended: Flags = sides["producer"].messages.end_ns[producer["seq"]] > 0
    return ended


def _of_leg(
    name: str, producer: StampTable | None, consumer: StampTable | None, clock: Clock | None
) -> Stages:
    if producer and name in legs.PRODUCER:
        return legs.PRODUCER[name](producer)
    if consumer and name in legs.CONSUMER:
        return legs.CONSUMER[name](consumer)
    if producer and consumer and clock and name in legs.WIRE:
        return legs.WIRE[name](producer, consumer, clock)
    return {}


def _added(found: Mapping[str, Stages]) -> Stages:
    """The durations by stage, in the order of the model; a stage of two legs is the sum of both."""
    sums: dict[str, Integers] = {}
    for stages in found.values():
        for name, values in stages.items():
            sums[name] = sums[name] + values if name in sums else values
    return {stage.name: sums[stage.name] for stage in STAGES if stage.name in sums}


def _taken(stages: Stages, rows: Integers | Flags) -> Stages:
    return {name: values[rows] for name, values in stages.items()}
