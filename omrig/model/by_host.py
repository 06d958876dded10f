"""What the members on each host of a fleet did, and how far the hosts are apart."""

import dataclasses

from omrig.model.latency import Latency
from omrig.model.spread import Range
from omrig.model.values import UNLESS_NONE, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClockAgainst(Value):
    """A host's CLOCK_MONOTONIC against that of the fleet's host ``against``.

    It was ahead by ``offset_ns`` when the load began, wrong by ``error_ns`` at most, and gains
    ``drift_ppm``, None where that was not told. It was told from the ``messages``, or from the
    ``exchanges`` with the coordinator before the start, as ``by`` says.
    """

    against: str
    by: str
    offset_ns: int
    error_ns: int
    drift_ppm: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostPart(Value):
    """A host of a fleet: what its ``members`` did, and what became of it.

    ``missing`` are those of them that left nothing. ``sent`` messages, of which ``failed``, are its
    producers', ``received`` ones its consumers'; ``messages_per_second`` is of those that ended
    well with its producers, and of those received where it has none, over the time from the first
    to the last. ``latency`` is of the messages that its producers sent, ``served`` of the calls
    that its consumers served. ``cpu_seconds`` are its members', ``cpu_ns_per_message`` of what they
    sent and received. None for what is another side's or not known.

    ``clock`` is None where nothing is known of it. ``began_after_ns`` is by how much its first
    message left after the first one of the run, on one clock, wrong by ``began_error_ns`` at most.
    ``ended_because`` says how it was lost, ``last_seen_seconds`` how long after the beginning it
    was heard of last, ``left_in`` the folder there of what could not be collected. ``engine_cores``
    is what the engine used of its cores during the load.
    """

    name: str
    address: str
    cpu_count: int
    members: tuple[str, ...]
    missing: tuple[str, ...] = ()
    sent: int | None = None
    failed: int | None = None
    received: int | None = None
    messages_per_second: float | None = None
    latency: Latency | None = None
    served: Latency | None = None
    cpu_seconds: float | None = None
    cpu_ns_per_message: int | None = None
    clock: ClockAgainst | None = None
    began_after_ns: int | None = None
    began_error_ns: int | None = None
    synchronisation: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    ended_because: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    last_seen_seconds: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    left_in: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    engine_cores: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slowest(Value):
    """The host whose messages took longest, by more than chance explains.

    They took ``median_ns``, those of another host ``others_ns``: the median of the other hosts'
    medians. Of ``parts`` of the
    load's time it was the slowest in ``slowest_in``, where chance would have it in ``by_chance``.
    It is told by the members of a ``side``: by the messages that producers sent, or by the calls
    that consumers served.
    """

    name: str
    side: str
    median_ns: int
    others_ns: int
    parts: int
    slowest_in: int
    by_chance: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class BrokerAt(Value):
    """An ``address`` of the broker, and the fleet's ``host`` there; None where none is known to
    have that address."""

    address: str
    host: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmongHosts(Value):
    """How the hosts of a fleet differ.

    ``rates`` are in msg/s of those with producers, ``received`` in messages of those with
    consumers, ``latencies`` in ns at the median of what was sent; None for fewer than two. Of
    ``compared`` sides it was possible to say whether a host was slower than the others, and
    ``slowest`` are those that were. The producers began within ``begin_skew_ns`` of each other,
    wrong by ``begin_error_ns`` at most; None where one clock is not known.
    """

    rates: Range | None = None
    received: Range | None = None
    latencies: Range | None = None
    compared: tuple[str, ...] = ()
    slowest: tuple[Slowest, ...] = ()
    begin_skew_ns: int | None = None
    begin_error_ns: int | None = None
    broker: tuple[BrokerAt, ...] = ()
