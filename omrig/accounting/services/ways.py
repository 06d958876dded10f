"""The timelines of the messages of one kind."""

import dataclasses
from collections.abc import Collection

import numpy

from omrig.accounting import clocks, timeline
from omrig.accounting.arrival import not_before
from omrig.accounting.services import names
from omrig.accounting.services.hosts import Hosts
from omrig.accounting.services.traffic import Traffic, first_of
from omrig.accounting.stamp_table import Busy, StampTable
from omrig.accounting.timeline import Timeline
from omrig.model.columns import Flags, Integers
from omrig.model.patterns import CALL, CAST, PATTERNS, Pattern
from omrig.model.service import MethodName
from omrig.model.stamps import ENDED_WELL
from omrig.model.units import MS

_NEVER = numpy.iinfo(numpy.int64).max

SETTLING_NS = 100 * MS
"""For how long after the last of its stamps a row may not be written yet."""

BATCHED_NS = MS
"""How long most notifications wait in a listener from which it gathers them to batches."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """The messages of one ``name``: rows of the tables of a recording.

    ``sent`` are the producer's rows, and ``ended`` which of these ended well; ``here`` and
    ``there`` the pairs of rows of both sides; ``served`` are all of the consumer's rows, those of
    messages that were delivered again, too, and ``alone`` those without a producer's.
    """

    name: MethodName
    pattern: Pattern
    sent: Integers
    ended: Flags
    here: Integers
    there: Integers
    served: Integers
    alone: Integers


def kinds_of(traffic: Traffic) -> list[Kind]:
    """The messages of each kind that there is."""
    found = []
    pairs = traffic.producer["kind"][traffic.here]
    for number, name in enumerate(traffic.kinds):
        sent = numpy.flatnonzero(traffic.producer["kind"] == number)
        alone = traffic.alone[traffic.alone_kind == number]
        if not len(sent) and not len(alone):
            continue
        pattern = _pattern(traffic, name, sent)
        mine = pairs == number
        here, there = traffic.here[mine], traffic.there[mine]
        served = numpy.concatenate([there, alone])
        if not pattern.copies:
            # What was delivered again counts where it was read first.
            first = first_of(here)
            here, there = here[first], there[first]
        found.append(
            Kind(
                name=name if name.pattern else dataclasses.replace(name, pattern=pattern.name),
                pattern=pattern,
                sent=sent,
                ended=ended_well(traffic.producer, sent, pattern),
                here=here,
                there=there,
                served=served,
                alone=alone,
            )
        )
    return found


def _pattern(traffic: Traffic, name: MethodName, sent: Integers) -> Pattern:
    if name.pattern in PATTERNS:
        return PATTERNS[name.pattern]
    return CALL if traffic.producer["put"][sent].any() else CAST


def ended_well(producer: StampTable, rows: Integers, pattern: Pattern) -> Flags:
    """Which messages ended well for who sent them: by the outcome, or by the stamps without one."""
    outcome, returned = producer["outcome"][rows], producer["return"][rows] > 0
    answered = producer["put"][rows] > 0 if pattern.replies else returned
    told = (outcome == ENDED_WELL) | ((outcome == names.NOT_ENDED) & answered)
    well: Flags = told & returned
    return well


@dataclasses.dataclass(frozen=True)
class Stretch:
    """From when to when each process was recorded, by its number, on the clock of the tables."""

    on: Integers
    off: Integers


def under_way(traffic: Traffic, kind: Kind, recorded: Stretch) -> tuple[Flags, Flags]:
    """Which of ``kind.sent``, and of ``kind.alone``, need have no row on the other side.

    They were under way when another process was turned on, or off: for as long as any message that
    has both rows took.
    """
    producer, consumer = traffic.producer, traffic.consumer
    departed, read = producer["depart"][kind.sent], consumer["read"][kind.alone]
    edge = numpy.zeros(len(departed), numpy.bool_), numpy.zeros(len(read), numpy.bool_)
    if not len(kind.here):
        return edge
    sent = producer["depart"][kind.here]
    came = int((consumer["read"][kind.there] - sent).max()) + SETTLING_NS
    done = numpy.maximum(consumer["end"], consumer["endpoint_end"])[kind.there]
    took = int((done - sent).max()) + SETTLING_NS
    servers = numpy.unique(consumer.member[kind.there])
    senders = numpy.unique(producer.member[kind.here])
    on, off = int(recorded.on[servers].max()), int(recorded.off[servers].min())
    answered = producer["put"][kind.sent]
    ended = numpy.where(answered > 0, answered, departed + took)
    early = (departed < on) | (ended > off - SETTLING_NS)
    unmatched = ~numpy.isin(kind.sent, kind.here)
    on, off = int(recorded.on[senders].max()), int(recorded.off[senders].min())
    return early & unmatched, (read < on + came) | (read > off)


def timeline_of(
    traffic: Traffic, hosts: Hosts, kind: Kind, lost: Collection[str], edge: Flags
) -> Timeline | None:
    """The timelines of messages that both sides stamped whole; else of the side that did.

    An answer that is an error is one. ``edge`` are those of ``kind.sent`` that are expected to have
    no timeline. None where nobody stamped any.
    """
    pattern = kind.pattern
    returned = traffic.producer["return"] > 0
    whole = numpy.zeros(traffic.producer.rows, numpy.bool_)
    sent = traffic.producer.take(kind.sent)
    whole[kind.sent] = timeline.whole(pattern, sent) & returned[kind.sent]
    if not pattern.replies:
        whole[kind.sent] &= kind.ended
    done = traffic.consumer["endpoint_end"] > 0
    if pattern.replies:
        done &= traffic.consumer["depart"] > 0
    both = whole[kind.here] & done[kind.there]
    expected = int((whole[kind.sent] & ~edge).sum())
    if both.any():
        here, there = kind.here[both], kind.there[both]
        found = _of_pairs(traffic, hosts, kind, here, there, lost)
        return found and dataclasses.replace(found, message=here, expected=expected)
    if whole.any():
        mine = kind.sent[whole[kind.sent]]
        alone = with_own_cpu(traffic.producer.take(mine))
        return timeline.of_tables(pattern, alone, None, None, lost)
    mine = kind.alone[done[kind.alone]]
    served = with_own_cpu(_batched(pattern, traffic.consumer.take(mine)))
    return timeline.of_tables(pattern, None, served, None, lost) if len(mine) else None


def _of_pairs(
    traffic: Traffic,
    hosts: Hosts,
    kind: Kind,
    here: Integers,
    there: Integers,
    lost: Collection[str],
) -> Timeline | None:
    producer = with_own_cpu(traffic.producer.take(here))
    consumer = with_own_cpu(_batched(kind.pattern, traffic.consumer.take(there)))
    members = producer.member, consumer.member
    known, same = hosts.comparable(*members), hosts.same(*members)
    producer, consumer = (
        clocks.as_arrived(producer, numpy.where(known, consumer.latest, _NEVER)),
        clocks.as_arrived(consumer, numpy.where(known, producer.latest, _NEVER)),
    )
    producer, consumer = (
        _arrived_later(producer, consumer["depart"], same),
        _arrived_later(consumer, producer["depart"], same),
    )
    return timeline.of_tables(kind.pattern, producer, consumer, hosts.clock(*members), lost)


def _arrived_later(receiver: StampTable, departed: Integers, same: Flags) -> StampTable:
    """Nothing arrives before it is sent; between two hosts that may be the clocks' error."""
    known = not_before(receiver.arrival, receiver.latest, departed)
    return dataclasses.replace(receiver, arrival=numpy.where(same, known, receiver.arrival))


def with_own_cpu(table: StampTable) -> StampTable:
    """The table without CPU readings where all its threads are green."""
    return table if table["cpu_begin"].any() else dataclasses.replace(table, busy=Busy())


def _batched(pattern: Pattern, table: StampTable) -> StampTable:
    """The table, marked where a listener gathers notifications and hands them on together."""
    if pattern.traffic != "notifications" or not table.rows:
        return table
    waited = float(numpy.median(table["submit"] - table["taken"])) > BATCHED_NS
    order = numpy.lexsort((table["start"], table.member))
    again = (numpy.diff(table["start"][order]) == 0) & (numpy.diff(table.member[order]) == 0)
    together = bool(again.any())
    has_taken = bool((table["taken"] > 0).all())
    return dataclasses.replace(table, batched=has_taken and (waited or together))
