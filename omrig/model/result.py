"""What a run came to: ``result.json``, from which every report is a view.

====== ============================================================================================
schema what it brought
====== ============================================================================================
1      the first one. Later results of the same schema have more keys: ``little``, ``combs`` and
       ``prefetch``; ``machines``, ``instrument`` and ``slices``; ``stalls``,
       ``latency_with_failures`` and ``latency_of_failures``; of the verdict ``head``, ``reason``,
       ``without`` and ``besides``, then ``evidence_kinds`` and ``objection``; of ``slices``
       ``disturbance``; in the summaries of ``profiles`` ``by_stage``; of the stages in
       ``distortion`` ``estimate``; ``members`` and ``spread``; of ``messages`` ``expected``;
       ``service_time``, ``pacing`` and ``ramp`` of an open loop; ``patterns`` and ``sizes``;
       ``counts``; ``clocks``; ``hosts`` and ``among_hosts``
====== ============================================================================================
"""

import dataclasses
from collections.abc import Mapping
from typing import Self, TypeAlias

from omrig.model import overhead
from omrig.model.beginning import Beginning
from omrig.model.by_host import AmongHosts, HostPart
from omrig.model.counts import SideCounts
from omrig.model.coverage import Coverage
from omrig.model.delivery import Delivery
from omrig.model.facts import Comb, Held, Machine, Outage
from omrig.model.host_clock import HostClock
from omrig.model.latency import Latency
from omrig.model.overhead import NotMeasured, Overhead
from omrig.model.pacing import Pacing, Ramp
from omrig.model.resources import Resources
from omrig.model.spread import MemberRow, Spread
from omrig.model.stalls import Stalls
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
    ``received`` and ``lost`` are counts of copies. ``requeued`` are deliveries that the endpoint
    gave back to the broker, which are no duplicates when they come again, and ``batches`` how often
    it was called; both None unless notifications were sent so. Endpoints were told to raise
    ``errors_raised``; ``errors_replied`` came back to their callers, which is no failure. Both are
    by name, and None without any.
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
    errors_raised: Mapping[str, int] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    errors_replied: Mapping[str, int] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

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
    estimated, and wrong by ``error_ns`` at most; of sides that ran on several hosts each, whose
    offsets :class:`omrig.model.host_clock.HostClock` has, it is 0.
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
class Nested(Value):
    """The calls that endpoints made: of a mean message's ``endpoint`` they were ``calls_ns``, the
    rest ``own_ns``. What stages are needed for is None without them."""

    messages: Counts
    latency: Latency | None = None
    stages: Stages | None = None
    closure: Closure | None = None
    calls_ns: int = 0
    own_ns: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part(Value):
    """The messages of one pattern of a mix, or of one class of sizes: what they came to.

    The fields are those of :class:`Result`. A class of sizes has payloads from ``least_bytes`` to
    ``most_bytes``, and no verdict of its own; a pattern has its classes in ``sizes``.
    """

    least_bytes: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    most_bytes: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    messages: Counts
    throughput: Throughput | None = None
    latency: Latency | None = None
    latency_with_failures: Latency | None = None
    latency_of_failures: Latency | None = None
    stages: Stages | None = None
    buckets: Mapping[str, float] | None = None
    closure: Closure | None = None
    waterfall: Waterfall | None = None
    stalls: Stalls | None = None
    verdict: Verdict | None = None
    sizes: Mapping[str, "Part"] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The part that :meth:`to_json` wrote."""
        found = super().from_json(data)
        return dataclasses.replace(found, sizes=parts(found.sizes))


def parts(data: object) -> dict[str, Part] | None:
    """The parts in a JSON object by their keys; None where there is none."""
    if not isinstance(data, Mapping):
        return None
    return {name: Part.from_json(each) for name, each in data.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result(Value):
    """A run's result; :meth:`to_json` is ``result.json``.

    ``reason`` is why it is incomplete. ``members`` and their ``spread`` are None where no side has
    several, ``hosts`` and what is ``among_hosts`` where the run was no fleet's. From ``stages`` to
    ``instrument`` all is None where no side recorded stages;
    ``quantised`` and ``held`` (by prefetch) are by stage, ``instrument`` by side, ``overhead`` by
    profiler mode, ``resources`` by process (None: unknown), ``profiles`` by side and mode; with
    several members ``instrument`` and ``profiles`` are by member. ``outages`` are None without one.
    ``delivery`` is by the producing processes of a driver that sends in the background. ``counts``
    are by side, None without the mode of that name. ``clocks`` are those of all hosts but the first
    one, None where there is one.

    In an open loop, of which ``pacing`` and ``ramp`` are, latencies are from when messages were to
    be sent; ``service_time`` is from when they were. All three are None for a closed loop.

    In a mix ``patterns`` has what is of one of them, by name: latencies, waterfall, stalls and
    verdict stand there alone, and the rest is over all messages. ``sizes`` are by class, where
    payloads have several and the pattern is one.
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
    hosts: tuple[HostPart, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    among_hosts: AmongHosts | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    throughput: Throughput | None = None
    latency: Latency | None = None
    latency_with_failures: Latency | None = None
    latency_of_failures: Latency | None = None
    service_time: Latency | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    pacing: Pacing | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    ramp: Ramp | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    stages: Stages | None = None
    buckets: Mapping[str, float] | None = None
    closure: Closure | None = None
    waterfall: Waterfall | None = None
    clock: Clock | None = None
    clocks: tuple[HostClock, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    not_measured: tuple[str, ...] | None = None
    quantised: Mapping[str, Comb] | None = dataclasses.field(default=None, metadata=key("combs"))
    held: Mapping[str, Held] | None = dataclasses.field(default=None, metadata=key("prefetch"))
    instrument: Mapping[str, Instrument] | None = None
    stalls: Stalls | None = None
    outages: tuple[Outage, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    verdict: Verdict | None = None
    patterns: Mapping[str, Part] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    sizes: Mapping[str, Part] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    overhead: Mapping[str, Overhead | NotMeasured] = dataclasses.field(
        default_factory=dict, metadata=key("distortion")
    )
    coverage: Coverage | None = dataclasses.field(default=None, metadata=key("slices"))
    resources: Mapping[str, Resources | None] = dataclasses.field(default_factory=dict)
    machines: tuple[Machine, ...] = ()
    profiles: Mapping[str, Mapping[str, Summary]] = dataclasses.field(default_factory=dict)
    beginning: Beginning | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    nested: Nested | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    delivery: Mapping[str, Delivery] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    counts: Mapping[str, SideCounts] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
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
        costs = {mode: overhead.of_mode(each) for mode, each in found.overhead.items()}
        return dataclasses.replace(found, overhead=costs)

    def stage(self, name: str) -> StageRow | None:
        """The row of a stage; None where it was not measured."""
        return next((row for row in self.stages or () if row.name == name), None)
