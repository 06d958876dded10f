"""What each member of a side did, where there are several, and how far they are apart."""

import dataclasses

from omrig.model.values import UNLESS_NONE, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemberRow(Value):
    """A member of a side that has several: what it did, and what it used.

    ``complete`` is whether it left a recording in which nothing is missing, ``reason`` why not.
    ``sent`` messages, of which ``failed``, are a producer's, ``received`` ones a consumer's, with
    ``duplicated`` ones apart. ``messages_per_second`` is over its own time, ``cpu_ns_per_message``
    of what it sent or received. ``p50_ns`` and ``p99_ns`` are the latencies of a producer. None for
    what is another side's or not known.
    """

    name: str
    side: str
    host: str = ""
    pid: int | None = None
    complete: bool
    reason: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    sent: int | None = None
    failed: int | None = None
    received: int | None = None
    duplicated: int | None = None
    messages_per_second: float | None = None
    cpu_seconds: float | None = None
    cpu_ns_per_message: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range(Value):
    """How the members of a side differ in a figure: who has the ``least`` of it, who the ``most``.

    ``even`` is what each would have were they all alike, ``max_min`` the most over the least, None
    where the least is nothing.
    """

    least: float
    least_at: str
    median: float
    most: float
    most_at: str
    even: float
    max_min: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread(Value):
    """How the members differ: ``producers`` in msg/s, ``consumers`` in messages received.

    None for a side of one member, and of which fewer than two are known.
    """

    producers: Range | None = None
    consumers: Range | None = None
