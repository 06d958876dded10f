"""The clocks of several hosts: all that a recording tells on the clock of its first host."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy

from omrig.accounting import clocks
from omrig.accounting.services.traffic import Traffic
from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Flags, Integers
from omrig.model.result import Clock


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The hosts of the processes by number: ``of`` each process its, and the ``names``.

    ``offset_ns`` is by how far a host's clock was ahead of the first one's of its ``group``, and
    ``error_ns`` by how far that may be wrong. Of hosts of different groups nothing can be compared.
    """

    of: Integers
    names: tuple[str, ...]
    offset_ns: Integers
    error_ns: Integers
    group: Integers

    def same(self, here: Integers, there: Integers) -> Flags:
        """Which pairs of processes are on one host."""
        same: Flags = self.of[here] == self.of[there]
        return same

    def comparable(self, here: Integers, there: Integers) -> Flags:
        """Which pairs of processes have clocks that can be compared."""
        known: Flags = self.group[self.of[here]] == self.group[self.of[there]]
        return known

    def clock(self, here: Integers, there: Integers) -> Clock | None:
        """How messages between pairs of processes are timed; None where some cannot be compared."""
        if not self.comparable(here, there).all():
            return None
        if self.same(here, there).all():
            return Clock(same_host=True)
        error = self.error_ns[self.of[here]] + self.error_ns[self.of[there]]
        return Clock(same_host=False, error_ns=int(error.max()))

    def apart(self) -> tuple[str, ...]:
        """The hosts that nothing connects with the first one."""
        return tuple(
            name
            for name, group in zip(self.names, self.group.tolist(), strict=True)
            if group != self.group[0]
        )


def on_one_clock(traffic: Traffic) -> tuple[Traffic, Hosts]:
    """The same with all times of a group of hosts on one clock, and what was found of the hosts."""
    boots = list(dict.fromkeys(each.about.boot_id for each in traffic.processes))
    names = tuple(
        next(each.about.host for each in traffic.processes if each.about.boot_id == boot)
        for boot in boots
    )
    of = numpy.array([boots.index(each.about.boot_id) for each in traffic.processes], numpy.int64)
    count = len(boots)
    nothing = numpy.zeros(count, numpy.int64)
    hosts = Hosts(of, names, nothing, nothing, numpy.arange(count, dtype=numpy.int64))
    if count < 2:
        return traffic, hosts
    hosts = _joined(hosts, _pairs(traffic, of, count))
    return (
        dataclasses.replace(
            traffic,
            producer=moved(traffic.producer, hosts.offset_ns[of]),
            consumer=moved(traffic.consumer, hosts.offset_ns[of]),
        ),
        hosts,
    )


def _pairs(traffic: Traffic, of: Integers, count: int) -> dict[tuple[int, int], Clock]:
    """The clock of a second host on that of a first one, where calls between them tell."""
    sender = of[traffic.producer.member[traffic.here]]
    server = of[traffic.consumer.member[traffic.there]]
    found: dict[tuple[int, int], Clock] = {}
    for one, other in ((a, b) for a in range(count) for b in range(count) if a != b):
        mine = (sender == one) & (server == other)
        if not mine.any():
            continue
        producer = traffic.producer.take(traffic.here[mine])
        consumer = traffic.consumer.take(traffic.there[mine])
        clock = clocks.synchronise(producer, consumer, same_host=False)
        if clock is None:
            continue
        back = dataclasses.replace(clock, offset_ns=-clock.offset_ns)
        for pair, each in (((one, other), clock), ((other, one), back)):
            if pair not in found or each.error_ns < found[pair].error_ns:
                found[pair] = each
    return found


def _joined(hosts: Hosts, pairs: Mapping[tuple[int, int], Clock]) -> Hosts:
    """The hosts with the clocks of all that pairs connect, by way of the surest ones."""
    offset, error = hosts.offset_ns.copy(), hosts.error_ns.copy()
    group = numpy.full(len(hosts.names), -1, numpy.int64)
    for first in range(len(hosts.names)):
        if group[first] >= 0:
            continue
        group[first] = first
        while edges := list(_edges(pairs, group, first, error)):
            wrong, known, other = min(edges)
            group[other] = first
            offset[other] = offset[known] + pairs[known, other].offset_ns
            error[other] = wrong
    return dataclasses.replace(hosts, offset_ns=offset, error_ns=error, group=group)


def _edges(
    pairs: Mapping[tuple[int, int], Clock], group: Integers, first: int, error: Integers
) -> Iterator[tuple[int, int, int]]:
    """By how much a host that is not known yet would be wrong, and by way of which one."""
    for (known, other), clock in pairs.items():
        if group[known] == first and group[other] < 0:
            yield int(error[known]) + clock.error_ns, known, other


def moved(table: StampTable, ahead_ns: Integers) -> StampTable:
    """A table on another clock: ``ahead_ns`` is by how much that of each member is ahead of it."""
    ahead = ahead_ns[table.member]

    def back(column: Integers) -> Integers:
        return numpy.where(column > 0, column - ahead, column)

    return table.timed(back)
