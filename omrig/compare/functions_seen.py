"""What the profilers of one run saw of each function: read from its folder, a message."""

import dataclasses
from collections.abc import Mapping

from omrig.compare.runs import StoredRun
from omrig.model.functions import Functions, file_of
from omrig.model.members import side_of
from omrig.model.overhead import Overhead
from omrig.recordings import folder as run_folder

MODES = ("yappi", "pyspy")
"""The modes that tell the own time of functions."""

Name = tuple[str, str]
"""The module and the qualified name of a function."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a function took of a message; ``counted`` are the samples of the whole run, if any.

    ``calls`` of it and calls that it ``made`` are None where they are not known; ``stages_ns`` are
    the parts by stage.
    """

    own_ns: float
    counted: float = 0.0
    calls: float | None = None
    made: float | None = None
    stages_ns: Mapping[str, float] = dataclasses.field(default_factory=dict)
    file: str = ""
    line: int = 0


NOTHING = Cost(0.0)


@dataclasses.dataclass(frozen=True)
class Seen:
    """A side of a run as a profiler saw it; ``slowed`` is by how much a message took more CPU."""

    messages: int
    clock: str
    sampled: bool
    functions: Mapping[Name, Cost]
    slowed: float | None = None

    @property
    def whole_ns(self) -> float:
        """What all functions took of a message."""
        return sum(each.own_ns for each in self.functions.values())


def seen(stored: StoredRun, side: str, mode: str) -> Seen | None:
    """What ``mode`` saw of a side of a run, all its members together; None where it was not on.

    Raises ``ValueError`` for a file that is not as it should be.
    """
    found = []
    for member in stored.run.plan.names(side):
        path = stored.folder / member / file_of(mode)
        data = run_folder.read_json(path) if path.exists() else None
        if data is None:
            return None
        found.append(Functions.from_json(data))
    messages = _messages(stored, side, mode)
    if not found or not messages or len({each.clock for each in found}) > 1:
        return None
    costs: dict[Name, Cost] = {}
    unit_ns = _unit_ns(stored, side, mode, found[0])
    for process in found:
        for each in process.functions:
            key = (each.module, each.name)
            sampled = process.unit == "samples"
            cost = Cost(
                own_ns=each.own * unit_ns / messages,
                counted=each.own if sampled else 0.0,
                calls=None if each.calls is None else each.calls / messages,
                made=None if each.made is None else each.made / messages,
                stages_ns={
                    name: part * unit_ns / messages for name, part in (each.stages or {}).items()
                },
                file=each.file,
                line=each.line,
            )
            costs[key] = _sum(costs[key], cost) if key in costs else cost
    cost_of_mode = stored.result.overhead.get(mode)
    slowed = cost_of_mode.cpu_ratio if isinstance(cost_of_mode, Overhead) else None
    return Seen(messages, found[0].clock, found[0].unit == "samples", costs, slowed)


def _messages(stored: StoredRun, side: str, mode: str) -> int:
    """How many messages went while the mode was on."""
    coverage, result = stored.result.coverage, stored.result
    if coverage:
        names = {*stored.run.plan.names(side), side}
        if any(mode in modes for name, modes in coverage.modes.items() if name in names):
            return coverage.profiled_messages
    return result.latency.count if result.latency else result.messages.received or 0


def _unit_ns(stored: StoredRun, side: str, mode: str, found: Functions) -> float:
    if found.unit == "nanoseconds":
        return 1.0
    summaries = [
        modes[mode]
        for name, modes in stored.result.profiles.items()
        if side_of(name) == side and mode in modes
    ]
    rate = summaries[0].get("rate_hz") if summaries else None
    return 1e9 / rate if isinstance(rate, (int, float)) and rate else 1e7


def _sum(one: Cost, other: Cost) -> Cost:
    stages = dict(one.stages_ns)
    for name, part in other.stages_ns.items():
        stages[name] = stages.get(name, 0.0) + part
    return dataclasses.replace(
        one,
        own_ns=one.own_ns + other.own_ns,
        counted=one.counted + other.counted,
        calls=_both(one.calls, other.calls),
        made=_both(one.made, other.made),
        stages_ns=stages,
    )


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
