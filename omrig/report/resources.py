"""What the sides, the broker and the machines used, in words."""

from collections.abc import Iterator

from omrig.model import units
from omrig.model.facts import Machine
from omrig.model.resources import Resources
from omrig.model.result import Result
from omrig.model.run import Run
from omrig.recordings.series import BROKER


def lines(run: Run, result: Result) -> Iterator[tuple[str, str]]:
    """A line each: who, and what was used during the load."""
    for name, used in result.resources.items():
        if used:
            processes = len(run.plan.names(name)) if name in run.sides else 1
            together = f"{processes} processes together: " if processes > 1 else ""
            yield name, together + _used(used)
        elif name == BROKER:
            yield from _unseen_broker(run)
    for machine in result.machines:
        yield "machine", _machine(machine)
    if run.sampling and run.sampling.failure:
        yield "samples", f"end early: {run.sampling.failure}"


def _used(used: Resources) -> str:
    parts = [f"{used.cpu_seconds:,.2f} s CPU during the load"]
    sampled = used.sampled
    if sampled:
        parts.append(
            f"{units.cores(sampled.cpu_share_mean)}, {sampled.cpu_share_max:.2f} in the"
            " busiest second"
        )
    parts.append(f"peak memory {units.size(used.peak_rss_bytes)}")
    if sampled:
        highest = {"threads": sampled.threads_max, "descriptors": sampled.descriptors_max}
        parts += [f"{count:,} {name}" for name, count in highest.items() if count is not None]
    return ", ".join(parts)


def _unseen_broker(run: Run) -> Iterator[tuple[str, str]]:
    if run.broker_process and run.broker_process.reason:
        yield BROKER, f"not sampled: {run.broker_process.reason}"


def _machine(machine: Machine) -> str:
    noun = "core" if machine.cores == 1 else "cores"
    parts = [f"{machine.cores} {noun}, {100 * machine.busy_share:.0f} % busy"]
    if machine.steal_share >= 0.01:
        parts.append(f"{100 * machine.steal_share:.0f} % kept by the hypervisor")
    parts.append(f"other processes {units.cores(machine.other_cpu_share)}")
    return ", ".join(parts)
