"""What a run was: ``run.json``, as it is before the load and after it."""

import dataclasses
from collections.abc import Mapping
from typing import Self

from omrig.model import members
from omrig.model.fleet import Fleet
from omrig.model.mix import MIX
from omrig.model.pace import Pace
from omrig.model.patterns import PATTERNS, Pattern
from omrig.model.sizes import RecordedSizes
from omrig.model.units import NS
from omrig.model.values import UNLESS_NONE, Json, Value

RESPONSE_TIMEOUT_S = 60
"""oslo.messaging's own ``rpc_response_timeout``, where nobody set another."""

SCHEMA = 1
"""The newest ``run.json`` that is known.

====== ============================================================================================
schema what it brought
====== ============================================================================================
1      the first one. Later runs of the same schema have more keys: ``settings``, ``driver_options``
       and ``configuration``; ``broker_process`` and ``sampling``; ``began``, ``bad_usage`` and
       ``left_on_broker``; ``stamps``; ``broker_nodes``; what was added to the plan, as
       :class:`RecordedPlan` has it; ``fleet``
====== ============================================================================================
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member(Value):
    """One measured process: ``name`` is ``producer``, ``consumer``, ``consumer-2`` ...

    ``side`` is which end of the messages it is, ``boot_id`` which boot of the machine ``host``.
    """

    name: str
    side: str
    host: str
    boot_id: str
    pid: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedPlan(Value):
    """What was asked for, as it was written down: no password is in it.

    The fields are those of :class:`omrig.model.plan.Plan`, less what may hold a password.
    ``timeout_s`` is what counted, wherever it came from; None in runs that did not say.
    ``mode_options`` are those of other packages' profiler modes, None where they have none.
    ``stages_refused`` is which mode refused ``stages``, and why; None where none did. ``producers``
    and ``consumers`` are None where a side could be one process alone. ``sizes`` sums up those of
    the payloads where they have several, and ``size_bytes`` is then their mean; ``mix`` are the
    proportions of several patterns, and ``pattern`` then says no more than that there are some.
    ``endpoint`` is what the endpoint was told to do, None where it only answered; ``scenario`` the
    name or the file of the one that gave options, None where none did. ``requirements``, ``python``
    and ``rabbitmq`` are what was asked for in place of what is at hand.
    """

    sides: tuple[str, ...] = ()
    run_id: str = ""
    messages: int | None = None
    size_bytes: int = 0
    workers: int = 0
    producers: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    consumers: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    expect_producers: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    expect_consumers: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    warmup: int = 0
    pattern: str
    priority: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    batch: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    batch_timeout_s: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    executor: str
    executor_pool_size: int | None = None
    timeout_s: float | None = None
    wait_s: float = 0.0
    idle_s: float | None = None
    profile: tuple[str, ...]
    sample: int = 1
    twin: bool = False
    clock: str = "cpu"
    gil: bool = False
    native: bool = False
    targets: tuple[str, ...] = ()
    topic: str = ""
    served_topic: str = ""
    served_exchange: str = ""
    served_by: str = ""
    project: str = ""
    project_named: bool = False
    config_files: tuple[str, ...] = ()
    config_dirs: tuple[str, ...] = ()
    output: str = ""
    debug: bool = False
    mode_options: Mapping[str, Json] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    stages_refused: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    endpoint: tuple[str, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    services: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    scenario: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    rate: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    arrivals: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    duration_s: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    ramp: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    think_time_s: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    sizes: RecordedSizes | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    mix: Mapping[str, int] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    requirements: tuple[str, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    python: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    rabbitmq: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @property
    def pace(self) -> Pace:
        """When the producers sent, and for how long."""
        return Pace(
            rate=self.rate,
            arrivals=self.arrivals,
            duration_s=self.duration_s,
            ramp=self.ramp,
            think_time_s=self.think_time_s,
        )

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The pattern of the messages, or those of the mix in its order."""
        names = tuple(self.mix or ()) if self.pattern == MIX else (self.pattern,)
        return tuple(PATTERNS[name] for name in names)

    def names(self, side: str) -> tuple[str, ...]:
        """The names of a side's members."""
        count = self.producers if side == "producer" else self.consumers
        return members.names(side, count or 1)


CLIENTS = ("kombu", "amqp")
"""The packages below oslo.messaging that a message passes."""

KAFKA_CLIENT = "confluent-kafka"
"""The one that it passes on its way to a Kafka cluster."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Environment(Value):
    """What ran where: the host, its kernel and processors, Python, and the broker's own words.

    ``versions`` are of the packages that a message passes, None for one that is not installed.
    In the file they lie beside the others. ``cores`` are those that the run may use, by number,
    where these are not all. ``sources`` says of packages that are no releases what they are: the
    state of a checkout, the commit of a repository, the name of a file.
    """

    host: str
    kernel: str
    cpu_count: int
    cores: tuple[int, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    python: str
    versions: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    broker: str | None = None
    broker_version: str | None = None
    sources: Mapping[str, str] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @property
    def processors(self) -> str:
        """The processors of the host in words, and those that the run may use."""
        some = ", ".join(map(str, self.cores or ()))
        return f"{self.cpu_count} CPUs{f' (the run on {some} alone)' if some else ''}"

    def version(self, package: str) -> str:
        """The version of a package in words, with what it is where that is no release."""
        source = (self.sources or {}).get(package)
        return f"{self.versions.get(package)}{f' ({source})' if source else ''}"

    def to_json(self) -> dict[str, Json]:
        """The fields, and each version under the name of its package."""
        found: dict[str, Json] = {}
        for name, value in super().to_json().items():
            found |= dict(self.versions) if name == "versions" else {name: value}
        return found

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The environment that :meth:`to_json` wrote."""
        if not isinstance(data, Mapping):
            return super().from_json(data)
        named = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in data.items() if name in named}
        rest = {name: value for name, value in data.items() if name not in named}
        return super().from_json({**known, "versions": rest})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedTransport(Value):
    """The transport: its ``url`` without a password, and ``source``, where that was found.

    ``driver`` is the scheme of the URL. ``in_memory`` says that nothing left the process,
    ``is_mock`` that something stood in for a broker.
    """

    url: str
    source: str
    driver: str
    vhost: str = ""
    tls: bool = False
    in_memory: bool
    is_mock: bool | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    exchange: str = ""
    topic: str = ""

    @property
    def is_measurement(self) -> bool:
        """Whether there is a broker whose part can be told: a real one."""
        return not self.in_memory and not self.is_mock


@dataclasses.dataclass(frozen=True, kw_only=True)
class BrokerProcess(Value):
    """The broker's process on this host, or the ``reason`` why it was not to be found."""

    pid: int | None = None
    name: str | None = None
    reason: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BrokerNode(Value):
    """A node of a cluster by its ``host:port``, and its process on this host.

    ``ended_ns`` is when that ended during the run, on this host's CLOCK_MONOTONIC; None where it
    did not.
    """

    address: str
    process: BrokerProcess
    ended_ns: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedSetting(Value):
    """An option's value and where it comes from; no ``source`` where that was not recorded."""

    value: Json
    source: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedConfiguration(Value):
    """The configuration files that were read, that could not be, and options nobody declares."""

    files: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    unknown_options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling(Value):
    """What the sampling of processes itself used, and the ``failure`` that ended it early."""

    interval_seconds: float
    turns: int
    cpu_seconds: float
    wall_seconds: float
    failure: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Left(Value):
    """What the run declared on the broker and could not delete: why, and what deletes it."""

    kind: str
    name: str
    reason: str
    command: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run(Value):
    """A run; :meth:`to_json` is ``run.json``.

    ``options`` differ from oslo.messaging's defaults, ``settings`` are those that matter with their
    sources (None in runs that did not record them), ``driver_options`` what the driver was told.
    ``pools`` are sizes by the name of their option; ``broker_nodes`` are those of a cluster, None
    where the transport URL has one host. ``ended_because`` is why it ended early, None
    where it came to its end.

    The last five are None until the run has ended: ``began`` are the sides or members that were
    told to begin, ``bad_usage`` whether it ended for what the user asked, ``stamps`` in what the
    stamps of each side were made (``c`` or ``python``). ``fleet`` are the hosts of a run that was
    spread over several, None where it was not.

    ``apart`` is of a run that was read from several folders: by the names of members what they ran
    with that the first ones did not; None where there is no such.
    """

    schema: int = SCHEMA
    omrig: str
    run_id: str = ""
    plan: RecordedPlan
    sides: tuple[str, ...]
    started_at: str
    started_epoch_seconds: float
    environment: Environment
    transport: RecordedTransport
    broker_process: BrokerProcess | None = None
    broker_nodes: tuple[BrokerNode, ...] | None = dataclasses.field(
        default=None, metadata=UNLESS_NONE
    )
    pools: Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, RecordedSetting] | None = dataclasses.field(
        default=None, metadata=UNLESS_NONE
    )
    driver_options: Mapping[str, Json] | None = dataclasses.field(
        default=None, metadata=UNLESS_NONE
    )
    configuration: RecordedConfiguration | None = dataclasses.field(
        default=None, metadata=UNLESS_NONE
    )
    complete: bool = True
    reason: str | None = None
    ended_because: str | None = None
    bad_usage: bool | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    began: tuple[str, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    stamps: Mapping[str, str] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    sampling: Sampling | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    left_on_broker: tuple[Left, ...] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    fleet: Fleet | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    apart: Mapping[str, str] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The run in a ``run.json``.

        Raises ``ValueError`` where it is none, or of a schema that is not known.
        """
        if isinstance(data, Mapping) and data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not known; {SCHEMA} is")
        return super().from_json(data)

    @property
    def members(self) -> tuple[str, ...]:
        """The names of all members, the producers' first."""
        return tuple(name for side in self.sides for name in self.plan.names(side))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The members that were to leave something: who was never told to begin has nothing."""
        if self.began is None:
            return self.members
        return tuple(name for name in self.members if {name, members.side_of(name)} & {*self.began})

    def driver_option(self, name: str, default: Json) -> Json:
        """What the driver was told; ``default`` where that was not recorded."""
        if self.driver_options and name in self.driver_options:
            return self.driver_options[name]
        return self.options.get(f"[oslo_messaging_rabbit] {name}", default)

    @property
    def timeout_ns(self) -> int:
        """After how long a call counted as failed."""
        name = "rpc_response_timeout"
        set_to = {**self.options, **(self.driver_options or {})}.get(name)
        seconds = self.plan.timeout_s or set_to or RESPONSE_TIMEOUT_S
        if not isinstance(seconds, int | float):
            raise ValueError(f"{name}: {seconds!r} is no number of seconds")
        return int(seconds * NS)
