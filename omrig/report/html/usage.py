"""CPU and memory over time of all members, the broker and the machine, from their samples."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy

from omrig.model.columns import Floats, Integers
from omrig.model.members import side_of
from omrig.model.resources import Resources
from omrig.recordings import series
from omrig.report.html.recorded import Recorded

MOST_POINTS = 300
"""So many points a curve; more samples than that are put together."""

_FEWEST_POINTS = 20
_POINT_S = 0.5
"""How long a point is in all but short runs: CPU time is counted in steps of 10 ms."""

_BESIDE_S = 2.0
"""So much of what was sampled before and after the load is shown."""

MACHINE = "machine"


@dataclasses.dataclass(frozen=True)
class Usage:
    """What one of them used: by ``name``, at seconds since the load began.

    ``cpu`` is in cores (CPU seconds a second) since the point before; ``rss_bytes`` is the
    largest since then, empty for the machine.
    """

    name: str
    at: list[float]
    cpu: list[float | None]
    rss_bytes: list[int | None]


@dataclasses.dataclass(frozen=True)
class Total:
    """What one of them used during the load; None is what was not sampled.

    ``cores`` and ``busiest`` (its busiest second) are CPU seconds a second.
    """

    name: str
    cpu_seconds: float
    cores: float | None
    busiest: float | None
    peak_rss_bytes: int | None
    peak_uss_bytes: int | None
    threads: int | None
    descriptors: int | None
    voluntary_switches: int | None
    involuntary_switches: int | None


def totals(resources: Mapping[str, Resources | None]) -> list[Total]:
    """The totals of the sides and the broker, as ``result.json`` has them."""
    return [_total(name, used) for name, used in resources.items() if used]


def _total(name: str, used: Resources) -> Total:
    sampled = used.sampled
    return Total(
        name=name,
        cpu_seconds=used.cpu_seconds,
        cores=used.cpu_seconds / used.wall_seconds if used.wall_seconds else None,
        busiest=sampled.cpu_share_max if sampled else None,
        peak_rss_bytes=used.peak_rss_bytes,
        peak_uss_bytes=sampled.peak_uss_bytes if sampled else None,
        threads=sampled.threads_max if sampled else None,
        descriptors=sampled.descriptors_max if sampled else None,
        voluntary_switches=used.voluntary_context_switches,
        involuntary_switches=used.involuntary_context_switches,
    )


def found(recorded: Recorded, run_folders: tuple[Path, ...]) -> list[Usage]:
    """Whatever was sampled, in the order in which a message meets them."""
    usages = []
    order = {"producer": 0, series.BROKER: 1, "consumer": 2}
    for name in sorted(recorded.origins, key=lambda each: order[side_of(each)]):
        if name not in recorded.folders:
            continue
        samples = series.read(recorded.folders[name] / series.PROCESS)
        usages.append(_usage(name, samples, recorded.origins[name], recorded.length_ns))
    if len(run_folders) == 1:
        samples = series.read(run_folders[0] / series.MACHINE)
        usages.append(_usage(MACHINE, samples, recorded.origins[series.BROKER], recorded.length_ns))
    return [usage for usage in usages if usage]


def _usage(name: str, samples: series.Series | None, origin: int, length: int) -> Usage | None:
    if samples is None:
        return None
    at = (samples["monotonic_ns"] - origin) / 1e9
    shown = numpy.flatnonzero((at >= -_BESIDE_S) & (at <= length / 1e9 + _BESIDE_S))
    if len(shown) < 2:
        return None
    used = _used(samples)
    # The first of each group, and the very last: differences between them lose nothing.
    wanted = int(numpy.clip(length / 1e9 / _POINT_S, _FEWEST_POINTS, MOST_POINTS))
    borders = numpy.unique(
        numpy.linspace(0, len(shown) - 1, min(len(shown), wanted + 1)).astype(numpy.int64)
    )
    chosen = shown[borders]
    cpu = numpy.diff(used[chosen]) / numpy.diff(at[chosen])
    memory = samples.get("rss_bytes")
    return Usage(
        name=name,
        at=at[chosen][1:].round(3).tolist(),
        cpu=[_rounded(value, 4) for value in cpu],
        rss_bytes=[] if memory is None else _largest(memory[shown], borders),
    )


def _used(samples: series.Series) -> Floats:
    """CPU seconds so far."""
    if "busy_seconds" in samples:
        return samples["busy_seconds"]
    return samples["cpu_user_seconds"] + samples["cpu_system_seconds"]


def _largest(values: Floats, borders: Integers) -> list[int | None]:
    # An empty cell is no sample; a group of nothing else has no value.
    groups = numpy.maximum.reduceat(numpy.where(numpy.isnan(values), -1, values), borders)[1:]
    return [int(value) if value >= 0 else None for value in groups.tolist()]


def _rounded(value: float, digits: int) -> float | None:
    return None if numpy.isnan(value) else round(float(value), digits)
