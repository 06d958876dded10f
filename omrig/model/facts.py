"""What a verdict is told beside the times of the stages."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from omrig.model.spread import Spread
from omrig.model.values import Value

OTHER_CPU = 0.25
"""Cores used by processes that are not measured from which the figures are theirs, too."""

STOLEN = 0.05
"""Share of the cores' time given to other guests from which the hypervisor is worth a line."""

CombKind = Literal["poll", "sleep", "delayed acknowledgement", "poll or sleep"]


@dataclasses.dataclass(frozen=True)
class Comb(Value):
    """Durations in steps of ``period_ns``; ``share`` (0 to 1) of them lie on its teeth."""

    period_ns: int
    share: float
    kind: CombKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocked:
    """A ``connection.blocked`` of the broker: on which side, its words, for how long in ns."""

    side: str
    reason: str
    duration_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LostConnections(Value):
    """The connections of a ``side`` to one node of the broker that broke together.

    All times are in ns since the load began: when the first of ``lost`` was found to be lost
    (``at_ns``), when the first one was open again and when as many were (None: never), and at which
    addresses (``nodes``). What is not needed is not opened again.
    """

    side: str
    lost: int
    at_ns: int
    first_again_ns: int | None = None
    all_again_ns: int | None = None
    nodes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outage(Value):
    """A node of the broker that was lost during the load: ``node`` is its ``host:port``.

    ``at_ns`` is when, since the load began: by its process where that was on this host (``ended``),
    else by the first connection that was lost. ``still_ns`` is for how long no message ended then,
    from ``still_from_ns`` on; ``ended_again`` says whether one did at all afterwards.
    """

    node: str
    at_ns: int
    ended: bool = False
    still_from_ns: int = 0
    still_ns: int = 0
    ended_again: bool = True
    sides: tuple[LostConnections, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """What TCP says of a side's connections to the broker.

    ``rtt_us`` is the round trip in microseconds, or None. ``retransmits`` counts segments that the
    peer did not have already. The
    two shares (0 to 1) are of the time in which sending waited for the receive window or for the
    send buffer. ``unread_bytes_max`` is the most that lay unread in our socket.
    """

    rtt_us: float | None = None
    retransmits: int = 0
    rwnd_limited_share: float = 0.0
    sndbuf_limited_share: float = 0.0
    unread_bytes_max: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine(Value):
    """How busy a machine was, and which ``sides`` ran there.

    The shares (0 to 1) are of the time of all its ``cores``, ``steal_share`` what the hypervisor
    gave to others. ``other_cpu_share`` is in cores: what processes used that are not measured.
    """

    host: str = ""
    sides: tuple[str, ...] = ()
    cores: int = 1
    busy_share: float = 0.0
    iowait_share: float = 0.0
    steal_share: float = 0.0
    other_cpu_share: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Held(Value):
    """How the broker held messages of a stage back because of ``prefetch``.

    The shares (0 to 1) are of the stage's time: in which messages waited until ``side`` had read an
    earlier one, and of that what was this side's own lag, at least and at most. ``way_ns`` is what
    acknowledgement and next message then took, typically; None where nothing was held back.
    """

    prefetch: int
    side: str
    waited_share: float = 0.0
    own_share: float = 0.0
    own_most_share: float = 0.0
    way_ns: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class EndpointTime:
    """What endpoints do in their time, as shares (0 to 1) of it: they send messages and wait for
    these, and their thread computes otherwise (None: not known, with green threads)."""

    nested_share: float = 0.0
    computing_share: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known beside the times of the stages; every default means "not known".

    ``workers`` of a producer (0: unknown); ``processes`` by side, of those that have several;
    ``pool_size`` is ``rpc_conn_pool_size``, of the producer and of the consumer
    (``reply_pool_size``), ``executor_pool_size`` ``executor_thread_pool_size``, ``prefetch``
    ``rabbit_qos_prefetch_count`` by side. ``combs`` and ``held`` are keyed by stage;
    ``network`` and ``cpu_share`` (CPU seconds per second of a measured process, of several their
    mean) by side, ``broker_cpu_share`` likewise, of all its ``broker_nodes`` on this host, and
    ``broker_core_wait`` how many of the broker's threads were ready and waited for a core, on
    average. ``spread`` is how several members of a side differed. ``quorum`` are the wires
    (``amqp_request``, ``amqp_reply``) on which messages wait in a quorum queue;
    ``native_heartbeat`` says that the driver sends heartbeats from a thread of its own.
    ``is_measurement`` is False for in-memory transports. One of ``sample`` messages has stages.

    Of services that were recorded ``names`` are those of the processes by side, and ``executors``
    theirs; ``endpoint`` is what their endpoints do, ``pools`` are lines on how far their executors
    were in use, and ``executor_free`` says that each had a free thread all the time. All are empty
    for a run.
    """

    workers: int = 0
    processes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    pool_size: int | None = None
    reply_pool_size: int | None = None
    executor_pool_size: int | None = None
    prefetch: Mapping[str, int] = dataclasses.field(default_factory=dict)
    held: Mapping[str, Held] = dataclasses.field(default_factory=dict)
    combs: Mapping[str, Comb] = dataclasses.field(default_factory=dict)
    blocked: Sequence[Blocked] = ()
    outages: Sequence[Outage] = ()
    broker_nodes: int = 1
    quorum: frozenset[str] = frozenset()
    native_heartbeat: bool = False
    network: Mapping[str, Network] = dataclasses.field(default_factory=dict)
    cpu_share: Mapping[str, float] = dataclasses.field(default_factory=dict)
    broker_cpu_share: float | None = None
    broker_core_wait: float | None = None
    machines: Sequence[Machine] = ()
    is_measurement: bool = True
    sample: int = 1
    spread: Spread | None = None
    names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    executors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    endpoint: EndpointTime | None = None
    pools: Sequence[str] = ()
    executor_free: bool = False

    @property
    def of_services(self) -> bool:
        """Whether what was measured is no load of the rig's, but services at their work."""
        return bool(self.names)

    def who(self, side: str) -> str:
        """The process, or the processes, of a side in words."""
        return " and ".join(self.names.get(side, (f"the {side}",)))

    def whose(self, side: str) -> str:
        """The same as those who own something."""
        known = self.names.get(side, (f"the {side}",))
        return " and ".join(f"{each}'" if each.endswith("s") else f"{each}'s" for each in known)

    @property
    def all_workers(self) -> int:
        """The workers of all producers (0: unknown)."""
        return self.workers * self.processes.get("producer", 1)
