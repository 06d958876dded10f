"""What a process or the machine used during the load, from samples of its counters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from omrig.model.columns import Floats
from omrig.model.facts import Machine
from omrig.model.units import NS

Samples = Mapping[str, Floats]
"""Columns of :mod:`omrig.recordings.series`, NaN where nothing was read; ``monotonic_ns`` rises."""

WINDOW_NS = NS
"""The busiest second: the kernel counts CPU in steps of 10 ms, which makes a share over one sample
of 100 ms a matter of chance."""

SELDOM_NS = NS
"""How far before the load a reading may lie that is taken once a second."""


def counters(samples: Samples, first_ns: int, last_ns: int) -> dict[str, Any] | None:
    """CPU seconds, context switches and peak memory between two times.

    The keys are those that a side's own usage has. Between two samples a counter is taken to rise
    evenly. None where the samples do not reach into the load.
    """
    peak = _highest(samples, "rss_bytes", first_ns, last_ns)
    if not _covers(samples, first_ns, last_ns) or peak is None:
        return None
    return {
        "wall_seconds": (last_ns - first_ns) / NS,
        "cpu_user_seconds": _risen(samples, "cpu_user_seconds", first_ns, last_ns),
        "cpu_system_seconds": _risen(samples, "cpu_system_seconds", first_ns, last_ns),
        "peak_rss_bytes": peak,
        **{
            name: round(_risen(samples, name, first_ns, last_ns))
            for name in ("voluntary_context_switches", "involuntary_context_switches")
        },
    }


def summary(samples: Samples, first_ns: int, last_ns: int) -> dict[str, Any] | None:
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
    return {
        "cpu_share_mean": round(mean, 4),
        "cpu_share_max": round(max(mean, float(seconds.max(initial=0.0))), 4),
        "peak_rss_bytes": _highest(samples, "rss_bytes", first_ns, last_ns),
        "peak_uss_bytes": _highest(samples, "uss_bytes", first_ns, last_ns),
        "threads_max": _highest(samples, "threads", first_ns, last_ns),
        "descriptors_max": _highest(samples, "descriptors", first_ns, last_ns),
        "samples": int(inside.sum()),
    }


def machine(samples: Samples, first_ns: int, last_ns: int) -> dict[str, float] | None:
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


def facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of :class:`omrig.model.facts.Facts` that come from ``result``'s resources."""
    shares = {name: cpu_share(used) for name, used in result["resources"].items() if used}
    return {
        "broker_cpu_share": shares.pop("broker", None),
        "cpu_share": shares,
        "machines": machines(result["machines"]),
    }


def machines(found: Sequence[Mapping[str, Any]]) -> list[Machine]:
    """``machines`` of ``result.json`` as the verdict takes them."""
    return [
        Machine(
            sides=tuple(each["sides"]),
            cores=each["cores"],
            busy_share=each["busy_share"],
            steal_share=each["steal_share"],
            other_cpu_share=each["other_cpu_share"],
        )
        for each in found
    ]


def cpu_share(used: Mapping[str, Any]) -> float:
    """CPU seconds per second of a process: over the load where it was sampled."""
    sampled = used.get("sampled")
    if sampled:
        return float(sampled["cpu_share_mean"])
    seconds = used["cpu_user_seconds"] + used["cpu_system_seconds"]
    return float(seconds / used["wall_seconds"])


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
