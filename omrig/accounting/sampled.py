"""The sampled part of a result: what processes and machines used during the load."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy

from omrig.accounting import growth, usage
from omrig.recordings import series
from omrig.recordings.recording import Recording

Sides = Mapping[str, Recording]

Span = tuple[int, int]
"""The first and the last message time, in ns on the host's monotonic clock."""


def resources(run: Mapping[str, Any], sides: Sides) -> dict[str, Any]:
    """What each side and the broker used, by name; None where nothing was measured.

    A side's own readings, where there are any, come with a summary of its samples in ``sampled``.
    The broker, and a side that died before it wrote its readings, have those of the samples.
    """
    found = {name: _of_side(side) for name, side in sides.items()}
    here = [*sides.values()]
    for name in run["sides"]:
        if name not in sides and here:
            found[name] = _outside(here[0].folder.parent / name, here)
    found[series.BROKER] = _broker(here)
    return found


def machines(sides: Sides) -> list[dict[str, Any]]:
    """How busy each machine was on which a side ran.

    Shares are of the time of all its cores. ``other_cpu_share`` is in cores: what processes other
    than the measured ones and the broker used, as far as the broker's is known.
    """
    groups: dict[str, list[Recording]] = {}
    for side in sides.values():
        groups.setdefault(side.about["boot_id"], []).append(side)
    found = (_machine(group, sides) for group in groups.values())
    return [each for each in found if each]


def memory(side: Recording) -> dict[str, Any] | None:
    """The growth of a side's memory per message; None where its memory was not sampled.

    ``own_bytes_per_message`` of it are omrig's own: the stamps of the message. The peaks are those
    until the load's end: to write the results takes memory, too.
    """
    samples = series.read(_folder(side) / series.MEMORY)
    span = _span([side])
    if samples is None or span is None:
        return None
    at = samples["monotonic_ns"]
    inside = (at >= span[0]) & (at <= span[1])
    ends = _completed(side)
    messages = numpy.searchsorted(ends, at[inside], side="right").astype(numpy.float64)
    fitted = growth.fit(messages, samples["anonymous_bytes"][inside], len(ends))
    own = side.stamps.nbytes / len(ends) if side.stamps is not None else 0.0
    return {
        "samples": int(inside.sum()),
        "peak_rss_bytes": _peak(samples["rss_bytes"][at <= span[1]]),
        "peak_children_rss_bytes": _peak(samples["children_rss_bytes"][at <= span[1]]),
        "messages": len(ends),
        "own_bytes_per_message": round(own, 1),
        **growth.told(fitted, own),
    }


def _peak(values: Any) -> int:
    return int(values.max(initial=0))


def artefacts(folder: Path) -> list[dict[str, Any]]:
    """The files that the sampler left in a run folder."""
    rows = "a spreadsheet, or pandas.read_csv"
    known = [("machine", series.MACHINE, "machine samples", rows)]
    for path in sorted(folder.glob(f"*/{series.PROCESS}")):
        name = path.parent.name
        known.append((name, f"{name}/{series.PROCESS}", "resource samples", rows))
        known.append((name, f"{name}/{series.MEMORY}", "memory samples", rows))
        known.append((name, f"{name}/{series.MPROF}", "mprof", "mprof plot {path}"))
    return [
        {"path": path, "kind": kind, "side": name, "open_with": command}
        for name, path, kind, command in known
        if (folder / path).exists()
    ]


def _folder(side: Recording) -> Path:
    """Where both sides ran in one process, its samples are in the first side's folder."""
    run = side.run
    return side.folder.parent / run["sides"][0] if run["transport"]["in_memory"] else side.folder


def _completed(side: Recording) -> Any:
    columns = [times for name, times in side.times.items() if name != "start_ns"]
    times = numpy.concatenate([numpy.zeros(0, numpy.int64), *columns])
    return numpy.sort(times[times > 0])


def _span(sides: Iterable[Recording]) -> Span | None:
    columns = [times[times > 0] for side in sides for times in side.times.values()]
    times = numpy.concatenate([numpy.zeros(0, numpy.int64), *columns])
    return (int(times.min()), int(times.max())) if len(times) else None


def _of_side(side: Recording) -> dict[str, Any] | None:
    own: dict[str, Any] | None = side.about["usage"]
    samples, span = series.read(_folder(side) / series.PROCESS), _span([side])
    sampled = usage.summary(samples, *span) if samples and span else None
    return {**own, "sampled": sampled} if own else None


def _outside(folder: Path, sides: Iterable[Recording]) -> dict[str, Any] | None:
    """What a process used that made no readings of its own."""
    samples, span = series.read(folder / series.PROCESS), _span(sides)
    counted = usage.counters(samples, *span) if samples and span else None
    if samples is None or span is None or counted is None:
        return None
    return {**counted, "sampled": usage.summary(samples, *span)}


def _broker(sides: Iterable[Recording]) -> dict[str, Any] | None:
    for side in sides:
        process = side.run.get("broker_process") or {}
        if process.get("pid"):
            folder = side.folder.parent
            # With the load of every side that was recorded beside it.
            beside = [each for each in sides if each.folder.parent == folder]
            found = _outside(folder / series.BROKER, beside)
            return {**found, "process": process["name"]} if found else None
    return None


def _machine(group: list[Recording], sides: Sides) -> dict[str, Any] | None:
    some = group[0]
    samples, span = series.read(some.folder.parent / series.MACHINE), _span(group)
    shares = usage.machine(samples, *span) if samples and span else None
    if span is None or shares is None:
        return None
    cores = some.run["environment"]["cpu_count"]
    folders = {_folder(side) for side in group}
    folders |= {side.folder.parent / series.BROKER for side in _with_broker(group)[:1]}
    known = [usage.summary(found, *span) for each in folders if (found := _process(each))]
    used = sum(each["cpu_share_mean"] for each in known if each)
    return {
        "host": some.about["host"],
        "sides": [name for name, side in sides.items() if side in group],
        "cores": cores,
        **shares,
        "other_cpu_share": round(max(0.0, shares["busy_share"] * cores - used), 4),
    }


def _with_broker(group: list[Recording]) -> list[Recording]:
    return [side for side in group if (side.run.get("broker_process") or {}).get("pid")]


def _process(folder: Path) -> series.Series | None:
    return series.read(folder / series.PROCESS)
