"""How well an open loop kept to its times, and what came of each of its rates."""

import dataclasses
from typing import Literal, TypeAlias

from omrig.model.units import MS
from omrig.model.values import Value

LATE_NS = 10 * MS
"""A message is late that was sent so long after it was to be: two turns of Python's own threads,
which change every 5 ms."""

Limit: TypeAlias = Literal["producer", "consumer", "catching up", "machine", "workers", "unknown"]
"""What kept an open loop from its rate: a process whose core was full, casts that the consumer had
to catch up with, all cores of a machine, workers that all waited, nothing that was measured."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitedBy(Value):
    """What kept an open loop from its rate, and how that is known in words."""

    what: Limit
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pacing(Value):
    """An open loop: what was asked for, in msg/s, and when it was sent.

    ``scheduled`` messages were to be sent. ``late`` ones were sent more than ``late_after_ns``
    after they were to be, ``dropped`` ones not at all, as their time was over. ``lag`` is how long
    after its time a message was sent, ``gap_error`` how far the time between two messages is from
    what it should have been.

    ``fell_behind`` is whether fewer were sent than asked for. ``limited_by`` is None where messages
    were sent in time.
    """

    arrivals: str
    asked_per_second: float
    sent_per_second: float
    scheduled: int
    sent: int
    late: int
    late_after_ns: int = LATE_NS
    dropped: int
    lag_mean_ns: int
    lag_p50_ns: int
    lag_p99_ns: int
    lag_max_ns: int
    gap_error_p50_ns: int
    gap_error_p99_ns: int
    fell_behind: bool
    limited_by: LimitedBy | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RampRow(Value):
    """What came of a rate of a ramp, in msg/s: asked for, sent, and ended well while it lasted.

    The percentiles are of the messages that were to be sent in it, from when that was; None where
    none of them ended well.
    """

    asked_per_second: float
    sent_per_second: float
    messages_per_second: float
    scheduled: int
    sent: int
    late: int
    dropped: int
    failed: int
    p50_ns: int | None = None
    p99_ns: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knee(Value):
    """Where throughput stops to follow the rate: at ``messages_per_second``.

    ``followed_per_second`` is the highest rate asked for that it followed, None where it did not
    follow the lowest; ``p99_ns`` is that rate's. ``broken_per_second`` is the first that it did
    not.
    """

    messages_per_second: float
    followed_per_second: float | None = None
    p99_ns: int | None = None
    broken_per_second: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ramp(Value):
    """The rates of a ramp in their order, and the ``knee``: None where there is none up to the
    highest rate."""

    rows: tuple[RampRow, ...]
    knee: Knee | None = None
