"""What processes and machines used during the load, from samples of their counters."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy

from omrig.accounting import growth
from omrig.model.columns import Floats
from omrig.model.facts import Machine
from omrig.model.resources import Resources, Sampled
from omrig.model.result import Summary
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings import fleet_hosts, recording, series
from omrig.recordings.recording import Recording, Sides

Samples = Mapping[str, Floats]
"""Columns of :mod:`omrig.recordings.series`, NaN where nothing was read; ``monotonic_ns`` rises."""

Span = tuple[int, int]
"""The first and the last message time, in ns on the host's monotonic clock."""

WINDOW_NS = NS
"""The busiest second: the kernel counts CPU in steps of 10 ms, which makes a share over one sample
of 100 ms a matter of chance."""

SELDOM_NS = NS
"""How far before the load a reading may lie that is taken once a second."""


def counters(samples: Samples, first_ns: int, last_ns: int) -> Resources | None:
    """CPU seconds, context switches and peak memory between two times.

    Between two samples a counter is taken to rise evenly. None where the samples do not reach into
    the load.
    """
    peak = _highest(samples, "rss_bytes", first_ns, last_ns)
    if not _covers(samples, first_ns, last_ns) or peak is None:
        return None
    return Resources(
        wall_seconds=(last_ns - first_ns) / NS,
        cpu_user_seconds=_risen(samples, "cpu_user_seconds", first_ns, last_ns),
        cpu_system_seconds=_risen(samples, "cpu_system_seconds", first_ns, last_ns),
        peak_rss_bytes=peak,
        voluntary_context_switches=round(
            _risen(samples, "voluntary_context_switches", first_ns, last_ns)
        ),
        involuntary_context_switches=round(
            _risen(samples, "involuntary_context_switches", first_ns, last_ns)
        ),
    )


def summary(samples: Samples, first_ns: int, last_ns: int) -> Sampled | None:
    """CPU as shares of a core, and the highest of what rises and falls, between two times.

    ``cpu_share_max`` is that of the busiest second. What could not be read is None. None where the
    samples do not reach into the load.
    """
    if not _covers(samples, first_ns, last_ns):
        return None
    at = samples["monotonic_ns"]
    used = samples["cpu_user_seconds"] + samples["cpu_system_seconds"]
    inside = (at >= first_ns) & (at <= last_ns)
    mean = float(numpy.diff(numpy.interp((first_ns, last_ns), at, used))[0])
    mean /= (last_ns - first_ns) / NS
    begins = at[inside & (at + WINDOW_NS <= last_ns)]
    seconds = numpy.interp(begins + WINDOW_NS, at, used) - numpy.interp(begins, at, used)
    return Sampled(
        cpu_share_mean=round(mean, 4),
        cpu_share_max=round(max(mean, float(seconds.max(initial=0.0))), 4),
        peak_rss_bytes=_highest(samples, "rss_bytes", first_ns, last_ns),
        peak_uss_bytes=_highest(samples, "uss_bytes", first_ns, last_ns),
        threads_max=_highest(samples, "threads", first_ns, last_ns),
        descriptors_max=_highest(samples, "descriptors", first_ns, last_ns),
        samples=int(inside.sum()),
        core_wait_mean=_core_wait(samples, first_ns, last_ns),
    )


def _core_wait(samples: Samples, first_ns: int, last_ns: int) -> float | None:
    """Threads that waited for a core, on average; None where two readings do not tell."""
    waited = samples.get("core_wait_seconds")
    if waited is None or numpy.count_nonzero(~numpy.isnan(waited)) < 2:
        return None
    known = samples["monotonic_ns"][~numpy.isnan(waited)]
    # Read once a second: the load's ends are not at a reading, and may lie beyond the last one.
    first, last = max(first_ns, int(known[0])), min(last_ns, int(known[-1]))
    if last <= first:
        return None
    return round(_risen(samples, "core_wait_seconds", first, last) * NS / (last - first), 4)


def shares(samples: Samples, first_ns: int, last_ns: int) -> dict[str, float] | None:
    """How the time of all cores was spent between two times, as shares of it.

    ``steal_share`` is what the hypervisor gave to others. None where the samples do not reach into
    the load.
    """
    if not _covers(samples, first_ns, last_ns):
        return None
    names = ("busy_seconds", "idle_seconds", "iowait_seconds", "steal_seconds")
    spent = {name: max(0.0, _risen(samples, name, first_ns, last_ns)) for name in names}
    whole = sum(spent.values())
    if not whole:
        return None
    return {
        f"{name.removesuffix('_seconds')}_share": round(seconds / whole, 4)
        for name, seconds in spent.items()
        if name != "idle_seconds"
    }


def _covers(samples: Samples, first_ns: int, last_ns: int) -> bool:
    at = samples["monotonic_ns"]
    return bool(last_ns > first_ns and len(at) > 1 and at[0] < last_ns and at[-1] > first_ns)


def _risen(samples: Samples, name: str, first_ns: int, last_ns: int) -> float:
    known = ~numpy.isnan(samples[name])
    if not known.any():
        return 0.0
    counter = samples[name][known]
    ends = numpy.interp((first_ns, last_ns), samples["monotonic_ns"][known], counter)
    return round(float(ends[1] - ends[0]), 6)


def _highest(samples: Samples, name: str, first_ns: int, last_ns: int) -> int | None:
    at, values = samples["monotonic_ns"], samples[name]
    known = (at >= first_ns - SELDOM_NS) & (at <= last_ns) & ~numpy.isnan(values)
    return int(values[known].max()) if known.any() else None


def resources(run: Run, sides: Sides) -> dict[str, Resources | None]:
    """What each side and the broker used, by name; None where nothing was measured.

    A side's own readings, where there are any, come with a summary of its samples in ``sampled``.
    The broker, and a side that died before it wrote its readings, have those of the samples. Of
    several members it is what they used together, and the sum of their peaks.
    """
    here = [each.as_recorded for side in sides.values() for each in side.members]
    found = {name: _of_side(run, side) for name, side in sides.items()}
    for name in run.sides:
        if name not in sides and here:
            folders = [here[0].folder.parent / member for member in run.plan.names(name)]
            found[name] = _together(
                [_outside(folder, _span(here)) for folder in folders], folders, here
            )
    found[series.BROKER] = _broker(here)
    return found


def machines(sides: Sides) -> tuple[Machine, ...]:
    """How busy each machine was on which a side ran.

    Shares are of the time of all its cores. ``other_cpu_share`` is in cores: what processes other
    than the measured ones and the broker used, as far as the broker's is known.
    """
    groups: dict[str, list[Recording]] = {}
    for side in sides.values():
        for each in side.members:
            groups.setdefault(each.host, []).append(each.as_recorded)
    found = (_machine(group) for group in groups.values())
    return tuple(each for each in found if each)


def memory(side: Recording) -> Summary | None:
    """The growth of a side's memory per message; None where its memory was not sampled.

    ``own_bytes_per_message`` of it are omrig's own: the stamps of the message. The peaks are those
    until the load's end: to write the results takes memory, too.
    """
    side = side.as_recorded
    samples = series.read(_folder(side) / series.MEMORY)
    span = _span([side])
    if samples is None or span is None:
        return None
    at = samples["monotonic_ns"]
    inside = (at >= span[0]) & (at <= span[1])
    ends = side.messages.ended()
    messages = numpy.searchsorted(ends, at[inside], side="right").astype(numpy.float64)
    fitted = growth.fit(messages, samples["anonymous_bytes"][inside], len(ends))
    stamps = side.stamps()
    own = stamps.nbytes / len(ends) if stamps is not None else 0.0
    return {
        "samples": int(inside.sum()),
        "peak_rss_bytes": _peak(samples["rss_bytes"][at <= span[1]]),
        "peak_children_rss_bytes": _peak(samples["children_rss_bytes"][at <= span[1]]),
        "messages": len(ends),
        "own_bytes_per_message": round(own, 1),
        **growth.told(fitted, own),
    }


def _peak(values: Floats) -> int:
    return int(values.max(initial=0))


def _folder(side: Recording) -> Path:
    """Where both sides ran in one process, its samples are in the first side's folder."""
    run = side.run
    return side.folder.parent / run.sides[0] if run.transport.in_memory else side.folder


def _span(sides: Iterable[Recording]) -> Span | None:
    """The first and the last message time of all these sides."""
    spans = [span for side in sides if (span := side.messages.span_ns())]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _span_here(members: Sequence[Recording]) -> Span | None:
    """The same on the clock of the host that the run was started on: of a fleet the coordinator's.

    It samples the broker, whose members need not be on its host.
    """
    spans = []
    for each in members:
        ahead = fleet_hosts.ahead_ns(each.run, each.host) if each.fleet_host else 0
        span = each.messages.span_ns()
        if span and ahead is not None:
            spans.append((span[0] - ahead, span[1] - ahead))
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _of_side(run: Run, side: Recording) -> Resources | None:
    members = [each.as_recorded for each in side.members]
    folders = [_folder(each) for each in members]
    used = [of_member(each) for each in members]
    for folder in _absent(run, side):
        folders.append(folder)
        used.append(_outside(folder, _span(members)))
    return used[0] if len(used) == 1 else _together(used, folders, members)


def of_member(each: Recording) -> Resources | None:
    """What a member used, by its own readings; None where it made none."""
    samples, span = series.read(_folder(each) / series.PROCESS), _span([each.as_recorded])
    sampled = summary(samples, *span) if samples and span else None
    return each.about.usage and dataclasses.replace(each.about.usage, sampled=sampled)


def _absent(run: Run, side: Recording) -> list[Path]:
    """The folders of a side's members that left no recording."""
    found = [each.folder for each in side.members]
    named = [found[0].parent / name for name in run.plan.names(side.side)]
    return [folder for folder in named if folder not in found and folder.exists()]


def of_absent(folder: Path, beside: Sequence[Recording]) -> Resources | None:
    """What a member used that left no recording, by what was sampled of it during the load of those
    that were recorded ``beside`` it."""
    return _outside(folder, _span(each.as_recorded for each in beside))


def _together(
    used: Sequence[Resources | None], folders: Iterable[Path], beside: Iterable[Recording]
) -> Resources | None:
    """What several processes used, over the load of those that were recorded beside them."""
    known = [each for each in used if each]
    if not known:
        return None
    beside = list(beside)
    samples = [found for folder in folders if (found := _process(folder))]
    span = _span(beside)
    sampled = None
    if samples and span and recording.on_one_clock(beside):
        sampled = summary(series.added(samples), *span)
    return Resources(
        wall_seconds=max(each.wall_seconds for each in known),
        cpu_user_seconds=round(sum(each.cpu_user_seconds for each in known), 6),
        cpu_system_seconds=round(sum(each.cpu_system_seconds for each in known), 6),
        peak_rss_bytes=sum(each.peak_rss_bytes for each in known),
        voluntary_context_switches=sum(each.voluntary_context_switches for each in known),
        involuntary_context_switches=sum(each.involuntary_context_switches for each in known),
        sampled=sampled,
    )


def _outside(folder: Path, span: Span | None) -> Resources | None:
    """What a process used that made no readings of its own, between these times of its host."""
    samples = series.read(folder / series.PROCESS)
    counted = counters(samples, *span) if samples and span else None
    if samples is None or span is None or counted is None:
        return None
    return dataclasses.replace(counted, sampled=summary(samples, *span))


def _broker(members: Sequence[Recording]) -> Resources | None:
    for member in members:
        process = member.run.broker_process
        if process and process.pid:
            folder = member.folder.parent
            # With the load of everyone who was recorded beside it.
            beside = [each for each in members if each.folder.parent == folder]
            found = _outside(folder / series.BROKER, _span_here(beside))
            return found and dataclasses.replace(found, process=process.name)
    return None


def nodes(run: Run) -> int:
    """How many nodes of the broker were sampled together."""
    return max(1, sum(bool(each.process.pid) for each in run.broker_nodes or ()))


def _machine(group: list[Recording]) -> Machine | None:
    some = group[0]
    samples, span = series.read(some.folder.parent / series.MACHINE), _span(group)
    spent = shares(samples, *span) if samples and span else None
    if span is None or spent is None:
        return None
    cores = some.run.environment.cpu_count
    folders = {_folder(side) for side in group}
    folders |= {side.folder.parent / series.BROKER for side in _with_broker(group)[:1]}
    known = [summary(found, *span) for each in folders if (found := _process(each))]
    used = sum(each.cpu_share_mean for each in known if each)
    return Machine(
        host=some.member.host,
        sides=tuple(dict.fromkeys(each.side for each in group)),
        cores=cores,
        **spent,
        other_cpu_share=round(max(0.0, spent["busy_share"] * cores - used), 4),
    )


def _with_broker(group: list[Recording]) -> list[Recording]:
    return [side for side in group if side.run.broker_process and side.run.broker_process.pid]


def _process(folder: Path) -> series.Series | None:
    return series.read(folder / series.PROCESS)
