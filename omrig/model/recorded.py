"""What is said of a recording as a whole: its ``recording.json``."""

import dataclasses
from collections.abc import Mapping

from omrig.model.values import Value

FILE = "recording.json"
"""In the folder of a recording."""

CAPTURE = "capture"
"""The folder beside it of what the recorder saw come over the network."""

UNDER_WAY = "its recorder has not ended it: it is under way, or the recorder was killed"
"""The reason that stands there until the end."""

SCHEMA = 1
"""The newest schema that is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captured(Value):
    """What the capture came to: its ``segments``, and how many the kernel ``dropped``, having no
    room to note them. ``why_not`` says in words why there is none, or no more of it.
    """

    used: bool = False
    why_not: str = ""
    segments: int = 0
    dropped: int = 0
    ports: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class About(Value):
    """``recording.json``, written at the begin of a recording and at its end.

    ``began_ns`` is before the first process was turned on, ``ended_ns`` after the last one was
    turned off (CLOCK_MONOTONIC). Of ``sample`` messages one was recorded. ``pid`` is the
    recorder's. ``broker_messages`` is how many the broker counted meanwhile; None where nobody
    asked it. ``ended`` says of processes that ended before the recording why, by their folders'
    names.
    """

    schema: int = SCHEMA
    name: str
    started_at: str = ""
    began_ns: int = 0
    ended_ns: int | None = None
    sample: int = 1
    complete: bool = False
    reason: str | None = UNDER_WAY
    pid: int = 0
    broker_messages: int | None = None
    not_seen: tuple[str, ...] = ()
    capture: Captured = Captured()
    ended: Mapping[str, str] = dataclasses.field(default_factory=dict)
