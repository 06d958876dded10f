"""The evidence of a verdict: lines that say what it rests on."""

from collections.abc import Iterator

from omrig.accounting.verdict.owners import parts_of, shares_of
from omrig.accounting.verdict.phrases import core_wait, inside, percent, step, words
from omrig.accounting.verdict.thresholds import (
    COMB_SHARE,
    FULL_MACHINE,
    HELD_SEEN,
    MIN_MESSAGES,
    SATURATED_CPU,
    SLOW_MEMBER,
    TAIL_OF_LATENCY,
    TAIL_OF_MEAN,
    TAIL_SHARE,
    UNEVEN_SHARE,
    UNFAIR,
)
from omrig.model import units
from omrig.model.facts import OTHER_CPU, STOLEN, Facts, Held, Machine, Network
from omrig.model.latency import Latency
from omrig.model.result import Result, StageRow
from omrig.model.verdict import Evidence, EvidenceKind

_OWNER_NAMES = {"amqp": "AMQP", "driver": "driver", "process": "own process"}


def lines(result: Result, facts: Facts) -> Iterator[Evidence]:
    """All that is known of a run and bears on its verdict, the shares first."""
    sampled = f"stages of 1 message in {facts.sample:,}"
    found: dict[EvidenceKind, list[str]] = {
        "shares": _share_lines(result, facts),
        "prefetch": _held_lines(facts),
        "closure": _closure_lines(result),
        "tail": _tail_lines(result),
        "steps": _comb_lines(result, facts),
        "blocked": _blocked_lines(facts),
        "network": [
            f"network of the {side}: {_network(facts.network[side])}" for side in facts.network
        ],
        "members": _member_lines(result, facts),
        "cpu": _cpu_lines(facts),
        "heartbeat": _heartbeat_lines(result, facts),
        "machine": [line for machine in facts.machines for line in _machine_lines(machine, facts)],
        "endpoint": _endpoint_lines(facts),
        "pools": list(facts.pools),
        "sample": [sampled] if facts.sample > 1 else [],
        "profiled": _profiled_lines(result),
    }
    for kind, told in found.items():
        yield from (Evidence(kind, line) for line in told)


def _held_lines(facts: Facts) -> list[str]:
    return [
        f"{name}: {percent(held.waited_share)} of it messages waited in the broker"
        f" (rabbit_qos_prefetch_count {held.prefetch}), {_between(held)} of it for the"
        f" {held.side} to read earlier ones: own process here, AMQP in the stages"
        for name, held in facts.held.items()
        if held.waited_share >= HELD_SEEN
    ]


def _between(held: Held) -> str:
    least, most = percent(held.own_share), percent(held.own_most_share)
    return least if least == most else f"{least} to {most}"


def _share_lines(result: Result, facts: Facts) -> list[str]:
    shares = shares_of(parts_of(result.stages or (), facts))
    if not any(shares.values()):
        return []
    return [
        ", ".join(
            f"{_OWNER_NAMES.get(owner, owner)} {percent(share)}" for owner, share in shares.items()
        )
    ]


def _endpoint_lines(facts: Facts) -> list[str]:
    told = inside(facts.endpoint) if facts.endpoint else ""
    return [f"of the endpoint's time {told}"] if told else []


def _closure_lines(result: Result) -> list[str]:
    closure = result.closure
    if not closure or not closure.messages:
        return []
    line = f"closure: {closure.messages:,} messages"
    if closure.matched is not None:
        line = (
            f"closure: {closure.matched:,} of {closure.messages:,} messages have a whole timeline"
        )
    if closure.within_tolerance is not None:
        line += f", {closure.within_tolerance:,} add up"
    if closure.unexplained_share is not None:
        line += f", {percent(abs(closure.unexplained_share))} unexplained"
    if closure.negative_stages:
        line += f", {closure.negative_stages:,} with a negative stage"
    if closure.flagged_arrivals:
        line += f", {closure.flagged_arrivals:,} without a sure arrival time"
    return [line]


def _tail_lines(result: Result) -> list[str]:
    lines = (_tail_line(row, result.latency) for row in result.stages or ())
    return [line for line in lines if line]


def _tail_line(row: StageRow, latency: Latency | None) -> str | None:
    line = f"{row.name} has a tail: p50 {units.duration(row.p50_ns)}"
    line += f", p99 {units.duration(row.p99_ns)}"
    if (
        latency
        and row.p99_ns > TAIL_OF_LATENCY * latency.p99 > 0
        and row.mean_ns < TAIL_OF_MEAN * latency.mean
    ):
        return (
            f"{line}, which is {percent(row.p99_ns / latency.p99)} of the end-to-end p99, but"
            f" {percent(row.mean_ns / latency.mean)} of its mean"
        )
    if row.p99_ns > UNFAIR * row.p50_ns and row.share > TAIL_SHARE:
        return line
    return None


def _comb_lines(result: Result, facts: Facts) -> list[str]:
    return [
        f"{name} comes in steps of {step(comb)} ({percent(comb.share)} of the messages): a"
        f" {comb.kind}"
        for name, comb in facts.combs.items()
        if (row := result.stage(name)) and row.share > COMB_SHARE
    ]


def _blocked_lines(facts: Facts) -> list[str]:
    return [
        f"{blocked.side} blocked by the broker ({words(blocked.reason)}) for"
        f" {units.duration(blocked.duration_ns)}"
        for blocked in facts.blocked
    ]


def _member_lines(result: Result, facts: Facts) -> list[str]:
    """Which member is the slow one, and which consumer got more than its share."""
    spread, lines = facts.spread, []
    if spread is None or (result.messages.sent or 0) < MIN_MESSAGES * _most_members(facts):
        return []
    rates, taken = spread.producers, spread.consumers
    if rates and rates.least < SLOW_MEMBER * rates.median:
        lines.append(
            f"{rates.least_at} is the slow one: {rates.least:,.0f} msg/s where the producer in the"
            f" middle has {rates.median:,.0f}"
        )
    if taken and taken.most > UNEVEN_SHARE * taken.even:
        lines.append(
            f"{taken.most_at} got {taken.most:,.0f} messages, {taken.most / taken.even:.1f} times"
            f" its even share, and {taken.least_at} {taken.least:,.0f}"
        )
    return lines


def _most_members(facts: Facts) -> int:
    return max(facts.processes.values(), default=1)


def _heartbeat_lines(result: Result, facts: Facts) -> list[str]:
    if not facts.native_heartbeat or result.executor != "eventlet":
        return []
    return [
        "heartbeat_in_pthread: a native thread sends the heartbeats; it takes the interpreter from"
        " the hub, and a connection that it uses holds up whoever wants it"
    ]


def _cpu_lines(facts: Facts) -> list[str]:
    """Which process had nothing left, and what the broker used."""
    lines = [
        f"CPU of {facts.who(side)}: {share:.2f} of a core{_each_of(facts.processes.get(side))}"
        + (", which is full: the process limits the run" if share >= SATURATED_CPU else "")
        for side, share in facts.cpu_share.items()
    ]
    if facts.broker_cpu_share is not None:
        # Unlike ours it runs on all cores at once.
        room = f" of {facts.machines[0].cores}" if len(facts.machines) == 1 else ""
        starved = core_wait(facts)
        nodes = f"'s {facts.broker_nodes} nodes" if facts.broker_nodes > 1 else ""
        lines.append(
            f"CPU of the broker{nodes}: {facts.broker_cpu_share:.2f}{room} cores"
            + (f"; its threads {starved}" if starved else "")
        )
    return lines


def _each_of(processes: int | None) -> str:
    return f" each, the mean of {processes} processes" if processes else ""


def _machine_lines(machine: Machine, facts: Facts) -> list[str]:
    whose = f" of the {machine.sides[0]}'s machine" if len(facts.machines) > 1 else ""
    which = "the only core" if machine.cores == 1 else f"all {machine.cores} cores"
    lines = []
    if machine.busy_share >= FULL_MACHINE * (1 - machine.steal_share):
        were = "was" if machine.cores == 1 else "were"
        lines.append(
            f"{which}{whose} {were} busy {percent(machine.busy_share)} of the time: what is"
            " measured is the machine"
        )
    if machine.other_cpu_share >= OTHER_CPU:
        unknown = " (the broker is one of them, or elsewhere)"
        lines.append(
            f"other processes{unknown if facts.broker_cpu_share is None else ''} used"
            f" {units.cores(machine.other_cpu_share)}{whose} meanwhile"
        )
    if machine.steal_share >= STOLEN:
        lines.append(
            f"the hypervisor kept {percent(machine.steal_share)} of the cores' time{whose} for"
            " others"
        )
    return lines


def _profiled_lines(result: Result) -> list[str]:
    """What slowed the very messages that the verdict is on."""
    disturbance = result.coverage.disturbance if result.coverage else None
    if disturbance is None:
        return []
    return [
        f"the shares are those under {disturbance.who}, and include what that slows down:"
        f" {disturbance.reason}"
    ]


def _network(network: Network) -> str:
    parts = [f"rtt {units.duration(network.rtt_us * 1_000)}" if network.rtt_us else "rtt unknown"]
    if network.retransmits:
        parts.append(f"{network.retransmits:,} retransmits")
    if network.rwnd_limited_share:
        parts.append(f"receive window full {percent(network.rwnd_limited_share)} of the time")
    if network.sndbuf_limited_share:
        parts.append(f"send buffer full {percent(network.sndbuf_limited_share)} of the time")
    if network.unread_bytes_max:
        parts.append(f"up to {units.size(network.unread_bytes_max)} unread")
    return ", ".join(parts)
