"""What the stage instrument of a member says of itself: its ``stages.json``."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from omrig.model.values import Value
from omrig.recordings import folder as run_folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class WatcherReport(Value):
    """How the arrival clock of a member was run, and what it cost beside the measured process.

    ``capturing`` says that the kernel noted every segment, of which it had no room for ``dropped``.
    """

    alive: bool = False
    scheduling: str = ""
    events: int = 0
    cpu_ns: int = 0
    capturing: bool = False
    dropped: int = 0


@dataclasses.dataclass(frozen=True)
class Blocking:
    """The broker took nothing from a connection, on the member's CLOCK_MONOTONIC."""

    begin_ns: int
    end_ns: int
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StampCost(Value):
    """How many stamps were ``made``, and what one was found to cost before the load."""

    made: int
    hot_ns: float
    cold_ns: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stamping(Value):
    """``columns`` are the names of a row's stamps by side; empty where others were stamped.

    ``realtime_offsets`` are readings of CLOCK_MONOTONIC and of how far CLOCK_REALTIME was ahead,
    the first and the last around the load. ``missing`` are words on what the driver did not have,
    ``lost_stages`` those that cannot be told without it. ``notices`` are the broker's: when, and
    why it blocked, empty where it went on. ``connections`` are notes on those to the broker: when,
    their number, what happened (:mod:`omrig.model.connections`) and at which address; empty where
    none was lost. ``stamps`` is in what they were made, ``c`` or
    ``python``; ``failures`` are what went wrong in the instrument and did not break a message;
    ``cost`` is None where that was not recorded.
    """

    columns: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    realtime_offsets: Sequence[tuple[int, int]]
    watcher: WatcherReport = WatcherReport()
    missing: tuple[str, ...] = ()
    lost_stages: tuple[str, ...] = ()
    notices: Sequence[tuple[int, str]] = dataclasses.field(default=(), metadata={"key": "blocked"})
    connections: Sequence[tuple[int, int, str, str]] = ()
    receive_buffer_bytes: int = 0
    stamps: str | None = None
    failures: tuple[str, ...] = ()
    cost: StampCost | None = None

    def blocked(self) -> list[Blocking]:
        """When the broker blocked a connection, each until it went on or the recording ended."""
        found: list[Blocking] = []
        since: tuple[int, str] | None = None
        for when, reason in [*self.notices, (self.realtime_offsets[-1][0], "")]:
            if reason and since is None:
                since = (when, reason)
            elif not reason and since is not None:
                found.append(Blocking(since[0], when, since[1]))
                since = None
        return found


def read(folder: Path) -> Stamping | None:
    """The instrument of the member in ``folder``; None without one."""
    value = run_folder.read_json(folder / run_folder.INSTRUMENT)
    return None if value is None else Stamping.from_json(value)
