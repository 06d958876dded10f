"""The clock of one host of a run on that of another one, as ``result.json`` has it."""

import dataclasses

import numpy

from omrig.model.columns import Integers
from omrig.model.values import UNLESS_NONE, Value

_MILLION = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClockLine(Value):
    """From ``since_ns`` on, by the host's own clock: how far that is ahead of the other one.

    By ``offset_ns`` then, and by ``drift_ppm`` more with each second, in microseconds.
    """

    since_ns: int
    offset_ns: int
    drift_ppm: float = 0.0

    def ahead_ns(self, own_ns: int) -> int:
        """By how much it is ahead when it shows this time."""
        return self.offset_ns + round((own_ns - self.since_ns) * self.drift_ppm / _MILLION)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostClock(Value):
    """CLOCK_MONOTONIC of the host ``name`` against that of the host ``against``.

    ``members`` are the measured processes that have it; ``boot_id`` is which boot of the machine it
    counts from, and ``against_boot_id`` the other one: None for hosts of a fleet, whose names tell
    them apart.

    ``offset_ns`` is by how much it was ahead when the load began, ``drift_ppm`` how much it gains,
    None where the messages do not tell that it gains or loses anything: then it is that by
    ``drift_error_ppm`` at most. What is put on the other clock by both is wrong by ``error_ns`` at
    most, provided that the network is as fast there as back: its round trips took ``network_ns`` of
    the fastest call, and half of that could be added where it is not. ``windows`` is by how many
    windows of the load's time it was told. ``triangle_ns`` is by how much ways around over other
    hosts say otherwise, None where there is no other way.

    ``lines`` is all of it, one line after the other where the clock was ``stepped``: once less than
    there are lines. ``reason`` is why nothing is known, None where something is.
    """

    name: str
    against: str
    members: tuple[str, ...] = ()
    boot_id: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    against_boot_id: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    offset_ns: int | None = None
    drift_ppm: float | None = None
    drift_error_ppm: float | None = None
    error_ns: int | None = None
    network_ns: int | None = None
    windows: int = 0
    triangle_ns: int | None = None
    lines: tuple[ClockLine, ...] = ()
    reason: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @property
    def host(self) -> str:
        """What the host is known by."""
        return self.boot_id or self.name

    @property
    def against_host(self) -> str:
        """What the other one is known by."""
        return self.against_boot_id or self.against

    @property
    def steps_ns(self) -> tuple[int, ...]:
        """By how much the clock was stepped, each time that it was."""
        return tuple(
            after.offset_ns - before.ahead_ns(after.since_ns)
            for before, after in zip(self.lines, self.lines[1:], strict=False)
        )

    def ahead_ns(self, own_ns: Integers) -> Integers:
        """By how much it is ahead at each of these times of its own.

        Raises ``ValueError`` where that is not known.
        """
        if not self.lines:
            raise ValueError(f"nothing is known of the clock of {self.name}")
        since = numpy.array([line.since_ns for line in self.lines], numpy.int64)
        offset = numpy.array([line.offset_ns for line in self.lines], numpy.int64)
        drift = numpy.array([line.drift_ppm for line in self.lines]) / _MILLION
        # The first line holds before it begins, too.
        place = numpy.maximum(numpy.searchsorted(since, own_ns, side="right") - 1, 0)
        gained = numpy.rint((own_ns - since[place]) * drift[place]).astype(numpy.int64)
        ahead: Integers = offset[place] + gained
        return ahead
