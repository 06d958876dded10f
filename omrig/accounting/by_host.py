"""What the members on each host of a fleet did, and how far the hosts are apart."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy

from omrig.accounting import latency, members, slowest
from omrig.accounting.slowest import Took
from omrig.accounting.statistics import summary
from omrig.model.by_host import AmongHosts, BrokerAt, ClockAgainst, HostPart, Slowest
from omrig.model.fleet import Fleet, FleetHost
from omrig.model.host_clock import HostClock
from omrig.model.latency import Latency
from omrig.model.result import Result
from omrig.model.run import Run
from omrig.model.spread import MemberRow, Range
from omrig.model.units import NS
from omrig.recordings.recording import Recording, Sides

MESSAGES = "messages"
EXCHANGES = "exchanges"
"""By what a clock was told."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """How long messages took by the names of hosts, whether ``is_told`` that one of the hosts is
    slower than the others, and which."""

    latencies: Mapping[str, Latency]
    is_told: bool
    slowest: Slowest | None


@dataclasses.dataclass(frozen=True)
class Began:
    """By how much a host's first message left after the first one of the run, and how wrong that
    is at most."""

    after_ns: int
    error_ns: int


def added(run: Run, sides: Sides, result: Result) -> Result:
    """The result with its ``hosts``, where the run was spread over a fleet.

    ``sides`` are as they were recorded, each member on its host's own clock.
    """
    if run.fleet is None:
        return result
    told = {row.name: row for row in result.members or members.all_rows(run, sides)}
    recorded = {each.member.name: each for side in sides.values() for each in side.members}
    known = _clocks(run.fleet, result.clocks or ())
    began = _began(run.fleet, recorded, known)
    sides_of = {
        "producer": lambda host: _sent(host, recorded),
        "consumer": lambda host: _served(run, host, recorded),
    }
    compared = {side: _compared(side, run.fleet, took) for side, took in sides_of.items()}
    parts = []
    for host in run.fleet.hosts:
        at = began.get(host.name)
        part = dataclasses.replace(
            _part(run.fleet, host, told, recorded),
            latency=compared["producer"].latencies.get(host.name),
            served=compared["consumer"].latencies.get(host.name),
            clock=known.get(host.name),
            began_after_ns=at.after_ns if at else None,
            began_error_ns=at.error_ns if at else None,
        )
        parts.append(part)
    among = _among(run, parts, began, compared)
    return dataclasses.replace(result, hosts=tuple(parts), among_hosts=among)


def _compared(side: str, fleet: Fleet, of_host: Callable[[FleetHost], Took]) -> Compared:
    """How long messages took, host by host: those of one host alone are in memory at a time."""
    latencies, spans = {}, {}
    for host in fleet.hosts:
        took = of_host(host)
        if (found := summary(took.took)) and (span := slowest.span(took)):
            latencies[host.name], spans[host.name] = found, span
    if len(spans) < 2:
        return Compared(latencies, False, None)
    at = dict(zip(spans, slowest.edges(list(spans.values())), strict=True))
    medians = {
        host.name: slowest.medians(of_host(host), at[host.name])
        for host in fleet.hosts
        if host.name in at
    }
    whole = {name: each.p50 for name, each in latencies.items()}
    return Compared(latencies, *slowest.named(side, medians, whole))


def _part(
    fleet: Fleet,
    host: FleetHost,
    told: Mapping[str, MemberRow],
    recorded: Mapping[str, Recording],
) -> HostPart:
    rows = [told[name] for name in host.members if name in told]
    here = [recorded[name] for name in host.members if name in recorded]
    producers = [row for row in rows if row.side == "producer"]
    seconds = [row.cpu_seconds for row in rows if row.cpu_seconds is not None]
    sent, received = _sum(row.sent for row in rows), _sum(row.received for row in rows)
    # Of those alone of which both are known.
    of_known = sum(
        (row.sent or 0) + (row.received or 0) + (row.duplicated or 0)
        for row in rows
        if row.cpu_seconds is not None
    )
    seen = host.last_seen_ns
    return HostPart(
        name=host.name,
        address=host.address,
        cpu_count=host.cpu_count,
        members=host.members,
        missing=tuple(name for name in host.members if name not in recorded),
        sent=sent,
        failed=_sum(row.failed for row in rows),
        received=received,
        messages_per_second=_rate(here, "producer" if producers else "consumer"),
        cpu_seconds=round(sum(seconds), 6) if seconds else None,
        cpu_ns_per_message=round(sum(seconds) * NS / of_known) if seconds and of_known else None,
        synchronisation=host.synchronisation,
        ended_because=host.ended_because,
        last_seen_seconds=round((seen - fleet.begin_ns) / NS, 3)
        if seen is not None and fleet.begin_ns is not None and host.ended_because
        else None,
        left_in=host.left_in,
        engine_cores=round(host.engine_cpu_seconds / host.engine_wall_seconds, 5)
        if host.engine_cpu_seconds is not None and host.engine_wall_seconds
        else None,
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rate(here: Sequence[Recording], side: str) -> float | None:
    """Messages that ended with those of a side, over the time from the first to the last of them.

    They have one clock. Of what was received the first message is the beginning, and not counted.
    """
    begins, ends, count = [], [], 0
    for each in here:
        ended = each.messages.ended()
        began = each.messages.start_ns if side == "producer" else ended
        began = began[began > 0]
        if each.side == side and len(ended) and len(began):
            begins.append(int(began.min()))
            ends.append(int(ended.max()))
            count += len(ended)
    lasted = max(ends) - min(begins) if ends else 0
    if side == "consumer":
        count -= 1
    return round(count * NS / lasted, 3) if lasted > 0 else None


def _sent(host: FleetHost, recorded: Mapping[str, Recording]) -> Took:
    """The messages of the producers there that ended well."""
    return _joined(
        Took(
            each.messages.end_ns[each.messages.end_ns > 0],
            latency.of_ended(each),
        )
        for name in host.members
        if (each := recorded.get(name)) and each.side == "producer"
    )


def _served(run: Run, host: FleetHost, recorded: Mapping[str, Recording]) -> Took:
    """The calls that consumers there served: when each was served, and what it took its producer.

    Nothing of a message that nobody waits for: what it took is not theirs.
    """
    if not all(pattern.replies for pattern in run.plan.patterns):
        return _joined(())
    producers = [each for each in recorded.values() if each.side == "producer"]
    return _joined(
        _of_producer(each, producer)
        for name in host.members
        if (each := recorded.get(name)) and each.side == "consumer"
        for producer in producers
    )


def _of_producer(consumer: Recording, producer: Recording) -> Took:
    at = consumer.messages.received_of(producer.about.producer_id)
    due, ended = producer.messages.due_ns, producer.messages.end_ns
    if at is None:
        return _joined(())
    count = min(len(at), len(ended))
    whole = (at[:count] > 0) & (ended[:count] > 0)
    return Took(at[:count][whole], (ended[:count] - due[:count])[whole])


def _joined(parts: Iterable[Took]) -> Took:
    none = numpy.zeros(0, numpy.int64)
    every = [Took(none, none), *parts]
    return Took(
        numpy.concatenate([each.ended for each in every]),
        numpy.concatenate([each.took for each in every]),
    )


def _clocks(fleet: Fleet, clocks: Iterable[HostClock]) -> dict[str, ClockAgainst]:
    """The clock of each host against another one's, by the messages or else the exchanges."""
    found = {
        each.name: ClockAgainst(
            against=each.against,
            by=MESSAGES,
            offset_ns=each.offset_ns,
            error_ns=each.error_ns,
            drift_ppm=each.drift_ppm,
        )
        for each in clocks
        if each.offset_ns is not None and each.error_ns is not None
    }
    first = fleet.hosts[0]
    if any(each.against != first.name for each in found.values()):
        return found
    for host in fleet.hosts[1:]:
        if host.name not in found and (told := _by_exchanges(host, first)):
            found[host.name] = told
    return found


def _by_exchanges(host: FleetHost, first: FleetHost) -> ClockAgainst | None:
    """By what both hosts were ahead of the coordinator, each wrong by half its round trip."""
    if host.offset_ns is None or first.offset_ns is None:
        return None
    both = (host.round_trip_ns or 0) + (first.round_trip_ns or 0)
    return ClockAgainst(
        against=first.name,
        by=EXCHANGES,
        offset_ns=host.offset_ns - first.offset_ns,
        error_ns=(both + 1) // 2,
    )


def _began(
    fleet: Fleet, recorded: Mapping[str, Recording], clocks: Mapping[str, ClockAgainst]
) -> dict[str, Began]:
    """When each host with producers began.

    Only where the clocks of all hosts with producers are known, against that of one of them.
    """
    references = {clock.against for clock in clocks.values()} or {fleet.hosts[0].name}
    at: dict[str, tuple[int, int]] = {}
    for host in fleet.hosts:
        starts = [
            int(sent.min())
            for name in host.members
            if (each := recorded.get(name)) and each.side == "producer"
            if len(sent := each.messages.start_ns[each.messages.start_ns > 0])
        ]
        if not starts:
            continue
        clock = clocks.get(host.name)
        if clock:
            at[host.name] = (min(starts) - clock.offset_ns, clock.error_ns)
        elif references == {host.name}:
            at[host.name] = (min(starts), 0)
        else:
            return {}
    if not at:
        return {}
    first, error = min(at.values())
    return {
        name: Began(began - first, 0 if (began, own) == (first, error) else own + error)
        for name, (began, own) in at.items()
    }


def _among(
    run: Run,
    parts: Sequence[HostPart],
    began: Mapping[str, Began],
    compared: Mapping[str, Compared],
) -> AmongHosts:
    with_producers = [each for each in parts if each.sent is not None]
    last = max(began.values(), key=lambda at: at.after_ns) if len(began) > 1 else None
    return AmongHosts(
        rates=_range({each.name: each.messages_per_second for each in with_producers}),
        received=_range({each.name: each.received for each in parts}),
        latencies=_range(
            {each.name: each.latency.p50 if each.latency else None for each in with_producers}
        ),
        compared=tuple(side for side, each in compared.items() if each.is_told),
        slowest=tuple(each.slowest for each in compared.values() if each.slowest),
        begin_skew_ns=last.after_ns if last else None,
        begin_error_ns=last.error_ns if last else None,
        broker=tuple(_brokers(run)),
    )


def _range(values: Mapping[str, float | None]) -> Range | None:
    return members.range_of({name: each for name, each in values.items() if each is not None})


def _brokers(run: Run) -> Iterable[BrokerAt]:
    assert run.fleet is not None
    by_address = {name: host.name for host in run.fleet.hosts for name in (host.address, host.name)}
    if run.fleet.kind == "local":
        # All of it is here, the broker that it has of its own, too.
        by_address |= dict.fromkeys(("127.0.0.1", "localhost", "::1"), run.fleet.hosts[0].name)
    for address in _addresses(run):
        host = address.rpartition(":")[0].strip("[]")
        yield BrokerAt(address=address, host=by_address.get(host))


def _addresses(run: Run) -> Sequence[str]:
    """Each ``host:port`` of the broker."""
    if run.broker_nodes:
        return [node.address for node in run.broker_nodes]
    named = run.transport.url.partition("://")[2].partition("/")[0].partition("?")[0]
    return [each.rpartition("@")[2] for each in named.split(",") if each]
