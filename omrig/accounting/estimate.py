"""What stamping cost in a run by its own count: stamps times what one costs."""

import dataclasses
from collections.abc import Mapping

from omrig.accounting.slicing import Slicing
from omrig.model.estimate import Estimate
from omrig.model.overhead import NotMeasured, Overhead
from omrig.model.profiling import STAGES
from omrig.model.resources import Resources
from omrig.model.units import NS
from omrig.recordings.recording import Recording, Sides


@dataclasses.dataclass(frozen=True)
class _OfSide:
    """Of one side: its stamps a message, the ns that one costs, and its CPU in ns a message."""

    stamps: float
    hot_ns: float
    cold_ns: float
    cpu_ns: float


def added(
    costs: Mapping[str, Overhead | NotMeasured], estimate: Estimate | None
) -> dict[str, Overhead | NotMeasured]:
    """``costs`` by profiler mode, with the ``estimate`` beside what is known of the stages."""
    return {
        mode: dataclasses.replace(found, estimate=estimate) if mode == STAGES else found
        for mode, found in costs.items()
    }


def of_stamps(
    sides: Sides, found: Slicing | None, used: Mapping[str, Resources | None]
) -> Estimate | None:
    """The estimate of the sides of which enough is known; None without one.

    ``used`` is what each used during the load.
    """
    each = [of for side in sides.values() if (of := _of_side(side, found, used.get(side.side)))]
    if not each:
        return None
    stamps = sum(of.stamps for of in each)
    hot_ns = sum(of.stamps * of.hot_ns for of in each)
    cold_ns = sum(of.stamps * of.cold_ns for of in each)
    cpu_ns = sum(of.cpu_ns for of in each)
    return Estimate(
        stamps_per_message=round(stamps, 2),
        hot_ns=round(hot_ns / stamps, 1),
        cold_ns=round(cold_ns / stamps, 1),
        cpu_share_hot=round(hot_ns / cpu_ns, 5),
        cpu_share_cold=round(cold_ns / cpu_ns, 5),
    )


def _of_side(side: Recording, found: Slicing | None, used: Resources | None) -> _OfSide | None:
    costs = [each.stamping.cost for each in side.members if each.stamping and each.stamping.cost]
    made = sum(cost.made for cost in costs)
    messages, cpu_ns = _stamped(side, found), _cpu_ns(side, found, used)
    # In memory both sides are one process, and their stamps one count.
    if not made or not messages or not cpu_ns or side.run.transport.in_memory:
        return None
    hot_ns = sum(cost.made * cost.hot_ns for cost in costs) / made
    cold_ns = sum(cost.made * cost.cold_ns for cost in costs) / made
    return _OfSide(made / messages, hot_ns, cold_ns, cpu_ns)


def _messages(side: Recording) -> int:
    about = side.about
    return about.sent if side.side == "producer" else about.received + about.duplicated


def _stamped(side: Recording, found: Slicing | None) -> int:
    """How many messages a side sent or received while stamps were made."""
    if found and STAGES in found.modes.get(side.side, ()):
        return sum(each.end - each.first for each in found.slices if each.profiled)
    return _messages(side)


def _cpu_ns(side: Recording, found: Slicing | None, used: Resources | None) -> float | None:
    """CPU time a message: in the slices without what was compared, where there are any."""
    plain = [
        each
        for each in (found.slices if found else ())
        if not each.profiled and side.side in each.cpu_seconds
    ]
    if plain:
        seconds = sum(each.cpu_seconds[side.side] for each in plain)
        return seconds * NS / sum(each.end - each.first for each in plain)
    messages = _messages(side)
    return used.cpu_seconds * NS / messages if used and messages else None
