"""The evidence of a verdict: lines that say what it rests on."""

from collections.abc import Mapping
from typing import Any

from omrig.accounting.verdict.owners import parts_of, shares_of
from omrig.accounting.verdict.phrases import percent, stage_of, step, words
from omrig.accounting.verdict.reasons import SATURATED_CPU, UNFAIR
from omrig.model import units
from omrig.model.facts import Facts, Held, Machine, Network

FULL_MACHINE = 0.9
"""Busy share of all cores from which it is the machine that limits the run: whatever runs next
waits for a core."""

OTHER_CPU = 0.25
"""Cores used by processes that are not measured from which the figures are theirs, too."""

STOLEN = 0.05
"""Share of the cores' time given to other guests from which the hypervisor is worth a line."""

TAIL_SHARE = 0.05
"""Share of the time from which a stage with a tail is worth a line."""

TAIL_OF_LATENCY = 0.5
"""A stage whose p99 is above this part of the end-to-end p99 makes the tail ..."""

TAIL_OF_MEAN = 0.1
"""... and goes unseen in the mean while it is below this part of it."""

HELD_SEEN = 0.01
"""Part of a stage in which messages waited for prefetch that is worth a line."""

COMB_SHARE = 0.1
"""Share of the time from which a stage that comes in steps is worth a line."""

_OWNER_NAMES = {"amqp": "AMQP", "driver": "driver", "process": "own process"}


def lines(result: Mapping[str, Any], facts: Facts) -> list[str]:
    """All that is known of a run and bears on its verdict, the shares first."""
    return [
        *_share_lines(result, facts),
        *_held_lines(facts),
        *_closure_lines(result),
        *_tail_lines(result),
        *_comb_lines(result, facts),
        *_blocked_lines(facts),
        *(f"network of the {side}: {_network(facts.network[side])}" for side in facts.network),
        *_cpu_lines(facts),
        *([f"stages of 1 message in {facts.sample:,}"] if facts.sample > 1 else []),
    ]


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


def _share_lines(result: Mapping[str, Any], facts: Facts) -> list[str]:
    shares = shares_of(parts_of(result, facts))
    if not any(shares.values()):
        return []
    return [
        ", ".join(
            f"{_OWNER_NAMES.get(owner, owner)} {percent(share)}" for owner, share in shares.items()
        )
    ]


def _closure_lines(result: Mapping[str, Any]) -> list[str]:
    closure = result.get("closure") or {}
    messages = closure.get("messages")
    if not messages:
        return []
    matched, adding_up = closure.get("matched"), closure.get("within_tolerance")
    line = f"closure: {messages:,} messages"
    if matched is not None:
        line = f"closure: {matched:,} of {messages:,} messages have a whole timeline"
    if adding_up is not None:
        line += f", {adding_up:,} add up"
    if closure.get("unexplained_share") is not None:
        line += f", {percent(abs(closure['unexplained_share']))} unexplained"
    if closure.get("negative_stages"):
        line += f", {closure['negative_stages']:,} with a negative stage"
    if closure.get("flagged_arrivals"):
        line += f", {closure['flagged_arrivals']:,} without a sure arrival time"
    return [line]


def _tail_lines(result: Mapping[str, Any]) -> list[str]:
    latency = result.get("latency") or {}
    lines = (_tail_line(stage, latency) for stage in result.get("stages") or ())
    return [line for line in lines if line]


def _tail_line(stage: Mapping[str, Any], latency: Mapping[str, Any]) -> str | None:
    p99, whole = stage["p99_ns"], latency.get("p99") or 0
    line = f"{stage['name']} has a tail: p50 {units.duration(stage['p50_ns'])}"
    line += f", p99 {units.duration(p99)}"
    if p99 > TAIL_OF_LATENCY * whole > 0 and stage["mean_ns"] < TAIL_OF_MEAN * (
        latency.get("mean") or 0
    ):
        return (
            f"{line}, which is {percent(p99 / whole)} of the end-to-end p99, but"
            f" {percent(stage['mean_ns'] / latency['mean'])} of its mean"
        )
    if p99 > UNFAIR * stage["p50_ns"] and stage["share"] > TAIL_SHARE:
        return line
    return None


def _comb_lines(result: Mapping[str, Any], facts: Facts) -> list[str]:
    return [
        f"{name} comes in steps of {step(comb)} ({percent(comb.share)} of the messages): a"
        f" {comb.kind}"
        for name, comb in facts.combs.items()
        if (stage_of(result, name) or {"share": 0.0})["share"] > COMB_SHARE
    ]


def _blocked_lines(facts: Facts) -> list[str]:
    return [
        f"{blocked.side} blocked by the broker ({words(blocked.reason)}) for"
        f" {units.duration(blocked.duration_ns)}"
        for blocked in facts.blocked
    ]


def _cpu_lines(facts: Facts) -> list[str]:
    """Which process or machine had nothing left, and what the others used."""
    lines = [
        f"CPU of the {side}: {share:.2f} of a core"
        + (", which is full: the process limits the run" if share >= SATURATED_CPU else "")
        for side, share in facts.cpu_share.items()
    ]
    if facts.broker_cpu_share is not None:
        # Unlike ours it runs on all cores at once.
        room = f" of {facts.machines[0].cores}" if len(facts.machines) == 1 else ""
        lines.append(f"CPU of the broker: {facts.broker_cpu_share:.2f}{room} cores")
    return lines + [line for machine in facts.machines for line in _machine_lines(machine, facts)]


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
