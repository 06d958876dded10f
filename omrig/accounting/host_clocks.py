"""The clocks of the hosts of a run: what its members recorded, on the clock of one host.

Between two hosts the messages tell, which went both ways: a request and its reply. Over all hosts
that such pairs connect each clock is told by way of the surest pairs, and ways around are compared.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy

from omrig.accounting import clock_tree, clocks, drift
from omrig.accounting.clock_tree import Between, Joined, Pair
from omrig.accounting.drift import Bounds
from omrig.accounting.stamp_table import StampTable, Tables
from omrig.model.columns import Flags, Integers
from omrig.model.host_clock import HostClock
from omrig.model.result import Clock, Result
from omrig.recordings import on_clock, recording, tcp_info
from omrig.recordings.recording import Recording, Sides

_MICROSECOND = 1_000
_PPM = 1e6


@dataclasses.dataclass(frozen=True)
class Clocked:
    """A run on one clock as far as it can be: ``clocks`` are None where there is one host."""

    sides: Sides
    tables: Mapping[str, StampTable]
    clocks: tuple[HostClock, ...] | None = None

    def told(self, result: Result) -> Result:
        """The result with what is known of the clocks."""
        return dataclasses.replace(result, clock=self._clock(result.clock), clocks=self.clocks)

    def _clock(self, clock: Clock | None) -> Clock | None:
        """How the consumer's clock was put on the producer's, by how the stages were timed."""
        if not self.clocks or clock is None or clock.same_host or len(self.sides) < 2:
            return clock
        offset = {each.host: each.offset_ns for each in self.clocks}
        hosts = [list({each.host for each in side.members}) for side in self.sides.values()]
        if any(len(each) > 1 for each in hosts):
            return clock
        sent, received = (offset.get(each[0]) or 0 for each in hosts)
        return dataclasses.replace(clock, offset_ns=received - sent)


def on_one_clock(sides: Sides, tables: Tables) -> Clocked:
    """The sides of a run and their stamps with all times on the clock of the first host.

    Of several members all columns as one are made here, and once: those of ``sides`` need not be.
    """
    members = [each for side in sides.values() for each in side.members]
    names = _hosts(members)
    if len(names) < 2:
        return Clocked(recording.held(sides), tables)
    pairs, bent = _pairs(sides, tables, names)
    joined = clock_tree.join(len(names), pairs)
    around = clock_tree.around(joined, pairs)
    found = tuple(
        _told(number, names, members, joined, pairs, around, bent)
        for number in range(1, len(names))
    )
    if not pairs:
        return Clocked(recording.held(sides), tables, found)
    put = {id(each): _put(each, names, joined) for each in members}
    moved = {
        side: _moved(table, [put[id(each)] for each in sides[side].members], names, joined)
        for side, table in tables.items()
    }
    return Clocked(recording.held(recording.join(put.values())), moved, found)


def between(sides: Sides, producer: StampTable, consumer: StampTable) -> tuple[bool, int] | None:
    """Whether the members that met in these rows are each on one host with the other, and by how
    many ns their clocks may be wrong; None where some have no clock in common."""
    width = len(sides["consumer"].members)
    met = numpy.unique(producer.member * width + consumer.member).tolist()
    same, error = True, 0
    for each in met:
        sender = sides["producer"].members[each // width]
        receiver = sides["consumer"].members[each % width]
        if not recording.on_one_clock([sender, receiver]):
            return None
        if sender.host != receiver.host:
            same, error = False, max(error, sender.errors_ns.get(receiver.host, 0))
    return same, error


def _hosts(members: Sequence[Recording]) -> list[str]:
    """What the hosts are known by, the first one first: as the fleet has them, or by producers."""
    found = list(dict.fromkeys(each.host for each in members))
    fleet = members[0].run.fleet if members else None
    order = [each.name for each in fleet.hosts] if fleet else []
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))


def _pairs(
    sides: Sides, tables: Tables, names: Sequence[str]
) -> tuple[dict[Pair, Between], set[Pair]]:
    """What calls tell of the clocks of two hosts, and those whose clocks keep to no lines."""
    found: dict[Pair, Between] = {}
    bent: set[Pair] = set()
    if not {"producer", "consumer"} <= tables.keys():
        return found, bent
    producer, consumer = _exchanges(tables["producer"], tables["consumer"])
    at = {
        side: numpy.array([names.index(each.host) for each in sides[side].members], numpy.int64)
        for side in ("producer", "consumer")
    }
    network = {
        side: numpy.array([_network_ns(each) for each in sides[side].members], numpy.int64)
        for side in ("producer", "consumer")
    }
    sender, server = at["producer"][producer.member], at["consumer"][consumer.member]
    trips = network["producer"][producer.member] + network["consumer"][consumer.member]
    for one, other in ((a, b) for a in range(len(names)) for b in range(a + 1, len(names))):
        there, back = (sender == one) & (server == other), (sender == other) & (server == one)
        mine = there | back
        if not mine.any():
            continue
        fitted = drift.fit(*_bounds(producer, consumer, trips // 2, there, back))
        if fitted is None:
            bent.add((one, other))
        else:
            found[one, other] = Between(fitted, int(trips[mine].max()))
    return found, bent


def _exchanges(producer: StampTable, consumer: StampTable) -> tuple[StampTable, StampTable]:
    """The calls of which a request and a reply are known, each with both."""
    # What came twice was answered by one of both, and nobody knows by whom.
    _, rows, counts = numpy.unique(consumer["id"], return_index=True, return_counts=True)
    once = rows[counts == 1]
    here, there = clocks.match(producer["id"], consumer["id"][once])
    producer, consumer = producer.take(here), consumer.take(once[there])
    whole: Flags = (producer["put"] > 0) & (producer["depart"] > 0) & (consumer["depart"] > 0)
    # What was sent twice arrived by the one or by the other.
    whole &= (producer["lost_depart"] == 0) & (consumer["lost_depart"] == 0)
    return producer.take(whole), consumer.take(whole)


def _network_ns(member: Recording) -> int:
    """The fastest round trip of its host's network to the broker, 0 where nobody knows it."""
    if member.stamping is None or not tcp_info.sampled(member.folder):
        return 0
    trips = [each["min_rtt_us"] for each in tcp_info.read(member.folder)]
    return min((trip for trip in trips if trip), default=0) * _MICROSECOND


def _bounds(
    producer: StampTable, consumer: StampTable, half: Integers, there: Flags, back: Flags
) -> tuple[Bounds, Bounds]:
    """By how much the second host is ahead of the first at most and at least, by the first's time.

    ``there`` are the calls from the first to the second, ``back`` those from the second to the
    first; ``half`` of the network's round trips is in each way. Arrivals are those without the
    socket's own stamp, which can be that of an earlier segment: nothing bounds it.
    """
    sent, arrived = producer["depart"], consumer.latest
    replied, returned = consumer["depart"], producer.latest
    most = (
        (sent[there], (arrived - sent - half)[there]),
        (replied[back], (returned - replied - half)[back]),
    )
    least = (
        (returned[there], (replied - returned + half)[there]),
        (arrived[back], (sent - arrived + half)[back]),
    )
    made = [
        Bounds(*(numpy.concatenate(parts) for parts in zip(*each, strict=True)))
        for each in (most, least)
    ]
    return made[0], made[1]


def _told(
    number: int,
    names: Sequence[str],
    members: Sequence[Recording],
    joined: Joined,
    pairs: Mapping[Pair, Between],
    around: Mapping[int, int],
    bent: set[Pair],
) -> HostClock:
    """What is said of the clock of a host that is not the first one."""
    root, lines = joined.group[number], joined.lines[number]
    mine = [each for each in members if each.host == names[number]]
    clock = HostClock(
        name=_name(members, names[number]),
        against=_name(members, names[root if lines else 0]),
        members=tuple(each.member.name for each in mine),
        boot_id=None if mine[0].fleet_host else names[number],
        against_boot_id=None if mine[0].fleet_host else names[root if lines else 0],
    )
    if not lines:
        stepped = [pair for pair in bent if number in pair]
        reason = "its clock kept to no line" if stepped else "no call connects it with the others"
        return dataclasses.replace(clock, reason=reason)
    ways = [pairs[pair] for pair in joined.told[number]]
    told = any(line.told for way in ways for line in way.fit.lines)
    wrong = sum(max(line.drift_error for line in way.fit.lines) for way in ways)
    return dataclasses.replace(
        clock,
        offset_ns=lines[0].offset_ns,
        drift_ppm=round(lines[-1].drift_ppm, 3) if told else None,
        drift_error_ppm=round(wrong * _PPM, 3),
        error_ns=int(joined.errors[root, number]),
        network_ns=sum(way.network_ns for way in ways),
        windows=min(way.fit.windows for way in ways),
        triangle_ns=around.get(number),
        lines=lines,
    )


def _name(members: Sequence[Recording], host: str) -> str:
    """What a host is called: by the fleet, or as it calls itself."""
    some = next(each for each in members if each.host == host)
    return some.fleet_host or some.about.host or host


def _clock(joined: Joined, host: int) -> Callable[[Integers], Integers] | None:
    """By how much a host's clock is ahead of the first one's; None for that one."""
    lines = joined.lines[host]
    return HostClock(name="", against="", lines=lines).ahead_ns if lines else None


def _put(each: Recording, names: Sequence[str], joined: Joined) -> Recording:
    number = names.index(each.host)
    root = joined.group[number]
    errors = {
        names[other]: int(joined.errors[number, other])
        for other, group in enumerate(joined.group)
        if group == root
    }
    return on_clock.put(each, names[root], _clock(joined, number), errors)


def _moved(
    table: StampTable, members: Sequence[Recording], names: Sequence[str], joined: Joined
) -> StampTable:
    """A side's stamps with all times on the clocks on which its members' are."""
    ahead = [_clock(joined, names.index(each.host)) for each in members]
    if not any(ahead):
        return table
    rows = [numpy.flatnonzero(table.member == number) for number in range(len(members))]

    def by(column: Integers) -> Integers:
        made = column.copy()
        for mine, clock in zip(rows, ahead, strict=True):
            if clock:
                made[mine] = on_clock.moved(column[mine], clock)
        return made

    moved = table.timed(by)
    if table.side != "consumer" or len(members) == 1:
        return moved
    # What two of them received counts where it was read first.
    return moved.take(numpy.argsort(moved["read"], kind="stable"))
