"""What the sides, the broker and the machines used, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from omrig.model import units
from omrig.recordings.series import BROKER


def lines(run: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A line each: who, and what was used during the load."""
    for name, used in result["resources"].items():
        if used:
            yield name, _used(used)
        elif name == BROKER:
            yield from _unseen_broker(run)
    for machine in result.get("machines") or ():
        yield "machine", _machine(machine)
    failure = (run.get("sampling") or {}).get("failure")
    if failure:
        yield "samples", f"end early: {failure}"


def _used(used: Mapping[str, Any]) -> str:
    seconds = used["cpu_user_seconds"] + used["cpu_system_seconds"]
    parts = [f"{seconds:,.2f} s CPU during the load"]
    sampled = used.get("sampled")
    if sampled:
        parts.append(
            f"{units.cores(sampled['cpu_share_mean'])}, {sampled['cpu_share_max']:.2f} in the"
            " busiest second"
        )
    parts.append(f"peak memory {units.size(used['peak_rss_bytes'])}")
    for name in ("threads", "descriptors"):
        highest = (sampled or {}).get(f"{name}_max")
        if highest is not None:
            parts.append(f"{highest:,} {name}")
    return ", ".join(parts)


def _unseen_broker(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    reason = (run.get("broker_process") or {}).get("reason")
    if reason:
        yield BROKER, f"not sampled: {reason}"


def _machine(machine: Mapping[str, Any]) -> str:
    noun = "core" if machine["cores"] == 1 else "cores"
    parts = [f"{machine['cores']} {noun}, {100 * machine['busy_share']:.0f} % busy"]
    if machine["steal_share"] >= 0.01:
        parts.append(f"{100 * machine['steal_share']:.0f} % kept by the hypervisor")
    parts.append(f"other processes {units.cores(machine['other_cpu_share'])}")
    return ", ".join(parts)
