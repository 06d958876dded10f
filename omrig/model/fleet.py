"""The hosts over which a run was spread, as ``run.json`` has them."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from omrig.model.values import UNLESS_NONE, Value

Kind = Literal["local", "hosts", "scheduler"]
"""Where the cluster came from: made on this host, made over SSH, or there before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FleetHost(Value):
    """One host of a fleet: who it is, what it ran with, and what became of it.

    ``name`` is unique in its fleet, ``address`` is the IP address that the cluster knows it by,
    ``members`` are the names of the measured processes that were placed there, ``sampled_in`` the
    folders of the run, beside those of its members, with what was sampled of the machine: one for
    each of the cluster's workers there.

    ``offset_ns`` is by how far its CLOCK_MONOTONIC was ahead of the coordinator's when the start
    was told, from the fastest of several exchanges, which took ``round_trip_ns``: it is wrong by
    half of that at most. Both are None where no exchange came back. ``synchronisation`` is what the
    host's own time daemon says of its clock, None where there is none.

    ``ended_because`` says how the host was lost, None for one that was there until the end;
    ``last_seen_ns`` is when it was heard of last, on the coordinator's CLOCK_MONOTONIC.
    ``left_in`` is the folder on that host that holds what could not be collected, None where
    everything came. ``engine_cpu_seconds`` is what the processes of the engine used on that host in
    the ``engine_wall_seconds`` of the load.
    """

    name: str
    address: str
    boot_id: str
    cpu_count: int
    kernel: str
    python: str
    omrig: str
    versions: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    members: tuple[str, ...] = ()
    sampled_in: tuple[str, ...] = ()
    offset_ns: int | None = None
    round_trip_ns: int | None = None
    synchronisation: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    ended_because: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    last_seen_ns: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    left_in: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    engine_cpu_seconds: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    engine_wall_seconds: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fleet(Value):
    """The hosts of a run and the engine that started its members there.

    ``engine`` is that with its version, ``coordinator`` the host of the command itself.
    ``begin_ns`` is the instant that was told, on the coordinator's CLOCK_MONOTONIC; None where the
    load did not begin. ``differences`` are those of the hosts' versions that were allowed.
    """

    kind: Kind
    engine: str
    coordinator: str
    hosts: tuple[FleetHost, ...] = ()
    begin_ns: int | None = None
    differences: tuple[str, ...] = ()

    def host_of(self, member: str) -> FleetHost:
        """The host on which a member was placed. Raises ``KeyError`` for one that was not."""
        for each in self.hosts:
            if member in each.members:
                return each
        raise KeyError(member)
