"""What profilers cost, or why that is not known."""

import dataclasses
from collections.abc import Mapping

from omrig.model.estimate import Estimate
from omrig.model.latency import Latency
from omrig.model.values import UNLESS_NONE, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageOverhead(Value):
    """A stage without and with profilers; ratios are None where it took no time without."""

    name: str
    mean_ratio: float | None = None
    mean_quartiles: tuple[float, ...] | None = None
    p50_ratio: float | None = None
    p50_quartiles: tuple[float, ...] | None = None
    unprofiled_mean_ns: int
    profiled_mean_ns: int
    unprofiled_share: float
    profiled_share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swap(Value):
    """Two stages that changed places, in their order without and with profilers."""

    unprofiled: tuple[str, ...]
    profiled: tuple[str, ...]
    pairs: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyPair(Value):
    """The latencies in the slices without and with profilers."""

    unprofiled: Latency | None = None
    profiled: Latency | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overhead(Value):
    """What profilers that were compared together cost: ratios with them over without.

    Medians over ``pairs`` of slices, with quartiles. ``slower`` is whether they slowed the run
    beyond chance. ``who`` they are is the subject of a sentence, ``text`` all of it in words;
    ``estimate`` is the stages' own of their cost.
    """

    throughput_ratio: float
    throughput_quartiles: tuple[float, ...] = ()
    slower: bool = False
    slower_pairs: int = 0
    cpu_ratio: float | None = None
    cpu_quartiles: tuple[float, ...] | None = None
    pairs: int = 0
    unprofiled_messages_per_second: float = 0.0
    profiled_messages_per_second: float = 0.0
    stages: tuple[StageOverhead, ...] | None = None
    ranking_changed: bool | None = None
    swaps: tuple[Swap, ...] | None = None
    ranking_rule: str | None = None
    who: str = ""
    latency: LatencyPair | None = None
    method: str = ""
    text: str = ""
    estimate: Estimate | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotMeasured(Value):
    """Why it is not known what a profiler cost; ``estimate`` is the stages' own of theirs."""

    throughput_ratio: None = None
    method: None = None
    pairs: int = 0
    reason: str = "no reason given"
    text: str = ""
    estimate: Estimate | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


def of_mode(data: object) -> Overhead | NotMeasured:
    """What a JSON object says of the cost of a mode."""
    if isinstance(data, Mapping) and data.get("throughput_ratio") is not None:
        return Overhead.from_json(data)
    return NotMeasured.from_json(data if isinstance(data, Mapping) else {})
