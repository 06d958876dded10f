"""What a run came to: ``result.json``, from which every report is a view.

====== ============================================================================================
schema what it brought
====== ============================================================================================
1      the first one. Later results of the same schema have more keys: ``little``, ``combs`` and
       ``prefetch``; ``machines``, ``instrument`` and ``slices``; ``stalls``,
       ``latency_with_failures`` and ``latency_of_failures``; of the verdict ``head``, ``reason``,
       ``without`` and ``besides``, then ``evidence_kinds`` and ``objection``; of ``slices``
       ``disturbance``; in the summaries of ``profiles`` ``by_stage``; of the stages in
       ``distortion`` ``estimate``; ``members`` and ``spread``; of ``messages`` ``expected``
====== ============================================================================================
"""

import dataclasses
from collections.abc import Mapping
from typing import Self, TypeAlias

from omrig.model.coverage import Coverage
from omrig.model.delivery import Delivery
from omrig.model.estimate import Estimate
from omrig.model.facts import Comb, Held, Machine
from omrig.model.resources import Resources
from omrig.model.spread import MemberRow, Spread
from omrig.model.values import UNLESS_NONE, Json, Value, key
from omrig.model.verdict import Verdict

SCHEMA = 1
"""The newest schema of a result that is known."""

Summary: TypeAlias = Mapping[str, Json]
"""What a profiler says of itself, in its own words; where it knows of stages, with what
:class:`omrig.model.by_stage.ByStage` reads."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts(Value):
    """How many messages; None for what no side of the run could see.

    ``foreign`` messages are of producers that had not presented themselves, and are part of
    ``out_of_range``; no message of another producer is ``received``, nor is it ``lost``. ``errors``
    counts the messages that failed by the name of the exception. Where each of several consumers
    has a copy, ``expected`` is how many copies of what was ``sent`` there were to be, and
    ``received`` and ``lost`` are counts of copies. ``requeued`` are deliveries that
    the endpoint gave back to the broker, which are no duplicates when they come again, and
    ``batches`` how often it was called; both None unless notifications were sent so.
    """

    requested: int | None = None
    sent: int | None = None
    expected: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    received: int | None = None
    replied: int | None = None
    lost: int | None = None
    duplicated: int | None = None
    out_of_range: int | None = None
    foreign: int | None = None
    requeued: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    batches: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    of_other_producers: int | None = None
    errors: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many failed, of whatever."""
        return sum(self.errors.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Second(Value):
    """How many messages ended in one second since the first one's start."""

    t_seconds: int
    messages: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Throughput(Value):
    """Messages that ended well over the time that they took, second by second in ``series``."""

    messages_per_second: float
    bytes_per_second: float = 0.0
    duration_seconds: float = 0.0
    series: tuple[Second, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency(Value):
    """How long ``count`` messages took, in ns."""

    count: int
    mean: int
    p50: int
    p90: int
    p99: int
    p999: int
    max: int

    def named(self, statistic: str) -> int:
        """``mean``, ``p50`` ... ``max`` by its name."""
        return int(getattr(self, statistic))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageRow(Value):
    """A row of the stage table; ``share`` is of the sum of all stages (0 to 1).

    ``share_error`` is its standard error over messages.
    """

    name: str
    side: str
    bucket: str
    count: int
    mean_ns: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    max_ns: int
    total_ns: int
    share: float
    share_error: float = 0.0

    def statistic_ns(self, name: str) -> int:
        """``mean``, ``p50``, ``p90``, ``p99`` or ``max`` by its name, in ns."""
        return int(getattr(self, f"{name}_ns"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Closure(Value):
    """How well the stages add up to what the load's own clock says; None for what is not known.

    ``matched`` of ``messages`` have a whole timeline, ``within_tolerance`` of them add up within
    ``tolerance`` (words). ``unexplained_share`` (0 to 1) of the time is in no stage.
    """

    messages: int
    matched: int | None = None
    within_tolerance: int | None = None
    negative_stages: int = 0
    flagged_arrivals: int = 0
    tolerance: str = ""
    unexplained_share: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Waterfall(Value):
    """The stages of a mean message and of a p99 message, in ns by name."""

    mean: Mapping[str, int]
    p99: Mapping[str, int]

    def message(self, name: str) -> Mapping[str, int]:
        """``mean`` or ``p99`` by its name."""
        return {"mean": self.mean, "p99": self.p99}[name]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock(Value):
    """How the consumer's clock was put on the producer's.

    ``offset_ns`` is consumer less producer. On one host it is 0 and certain. Otherwise it is
    estimated, and wrong by ``error_ns`` at most.
    """

    same_host: bool
    offset_ns: int = 0
    error_ns: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instrument(Value):
    """How the arrivals of a side were timed (``capture`` or ``watcher``), and what that cost.

    ``segments_dropped`` the kernel had no room to note. The ``stamps`` were made in ``c`` or in
    ``python``; None where that was not recorded.
    """

    watcher_alive: bool
    watcher_scheduling: str | None = None
    watcher_cpu_seconds: float = 0.0
    watcher_events: int = 0
    arrival_clock: str = "watcher"
    segments_dropped: int = 0
    receive_buffer_bytes: int = 0
    stamps: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stall(Value):
    """Nothing ended from ``begins_ns`` to ``ends_ns``, in ns since the load began, and yet
    ``messages`` were under way."""

    begins_ns: int
    ends_ns: int
    messages: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stalls(Value):
    """The few messages that hold much of all time: ``messages`` of ``of``, with their ``share``.

    ``stalled_ns`` is how long nothing ended, in the ``stalls`` (none where others ended while these
    took so long). ``owner_share`` of their time is ``owner``'s, None where that is not known, and
    ``queue_share`` in queues behind others.
    """

    messages: int
    of: int
    share: float
    longest_ns: int
    stalled_ns: int
    stalls: tuple[Stall, ...] = ()
    owner: str | None = None
    owner_share: float | None = None
    queue_share: float | None = None


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artefact(Value):
    """A file of the run: what ``kind`` it is, whose ``side``, and the command that opens it.

    ``path`` is below the run folder, and ``{path}`` in ``open_with`` stands for it.
    """

    path: str
    kind: str
    side: str
    open_with: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class LittlesLaw(Value):
    """Workers over throughput beside the mean latency; ``explanation`` where they are far apart."""

    expected_mean_ns: int
    measured_mean_ns: int
    ratio: float
    explanation: str | None = None


Stages: TypeAlias = tuple[StageRow, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result(Value):
    """A run's result; :meth:`to_json` is ``result.json``.

    ``reason`` is why it is incomplete. ``members`` and their ``spread`` are None where no side has
    several. From ``stages`` to ``instrument`` all is None where no side
    recorded stages; ``quantised`` and ``held`` (by prefetch) are by stage, ``instrument`` by side,
    ``overhead`` by profiler mode, ``resources`` by process (None for one of which nothing is
    known), ``profiles`` by side and mode, ``delivery`` by the producing processes of a driver that
    sends in the background. Where a side has several members, ``instrument`` and ``profiles`` are
    by member.
    """

    schema: int = SCHEMA
    complete: bool
    reason: str | None = None
    pattern: str
    executor: str
    sides: tuple[str, ...]
    is_measurement: bool
    messages: Counts
    members: tuple[MemberRow, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    spread: Spread | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    throughput: Throughput | None = None
    latency: Latency | None = None
    latency_with_failures: Latency | None = None
    latency_of_failures: Latency | None = None
    stages: Stages | None = None
    buckets: Mapping[str, float] | None = None
    closure: Closure | None = None
    waterfall: Waterfall | None = None
    clock: Clock | None = None
    not_measured: tuple[str, ...] | None = None
    quantised: Mapping[str, Comb] | None = dataclasses.field(default=None, metadata=key("combs"))
    held: Mapping[str, Held] | None = dataclasses.field(default=None, metadata=key("prefetch"))
    instrument: Mapping[str, Instrument] | None = None
    stalls: Stalls | None = None
    verdict: Verdict | None = None
    overhead: Mapping[str, Overhead | NotMeasured] = dataclasses.field(
        default_factory=dict, metadata=key("distortion")
    )
    coverage: Coverage | None = dataclasses.field(default=None, metadata=key("slices"))
    resources: Mapping[str, Resources | None] = dataclasses.field(default_factory=dict)
    machines: tuple[Machine, ...] = ()
    profiles: Mapping[str, Mapping[str, Summary]] = dataclasses.field(default_factory=dict)
    delivery: Mapping[str, Delivery] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    artefacts: tuple[Artefact, ...] = ()
    littles_law: LittlesLaw | None = dataclasses.field(default=None, metadata=key("little"))

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The result in a ``result.json``.

        Raises ``ValueError`` where it is none, or of a schema that is not known.
        """
        if isinstance(data, Mapping) and data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not known; {SCHEMA} is")
        found = super().from_json(data)
        costs = {mode: _overhead(each) for mode, each in found.overhead.items()}
        return dataclasses.replace(found, overhead=costs)

    def stage(self, name: str) -> StageRow | None:
        """The row of a stage; None where it was not measured."""
        return next((row for row in self.stages or () if row.name == name), None)


def _overhead(data: object) -> Overhead | NotMeasured:
    if isinstance(data, Mapping) and data.get("throughput_ratio") is not None:
        return Overhead.from_json(data)
    return NotMeasured.from_json(data if isinstance(data, Mapping) else {})
