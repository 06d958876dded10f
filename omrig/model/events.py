"""What a measured process and the one that started it say to each other: a JSON object a line, on a
pipe each way.

Questions and answers go both ways: a producer asks, and the process that started it asks the
consumers in its turn (:mod:`omrig.supervisor.control`). None of it is on the broker that is
measured.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from omrig.model.values import Json


@dataclasses.dataclass(frozen=True)
class Loaded:
    """All that is needed is imported; the plan may come. ``stamps`` are made in ``c`` or in
    ``python``."""

    stamps: str = ""


@dataclasses.dataclass(frozen=True)
class Ready:
    """The consumer's queues exist."""

    side: str


@dataclasses.dataclass(frozen=True)
class Moved:
    """A further message of the warm-up got through."""

    side: str


@dataclasses.dataclass(frozen=True)
class Phase:
    """A side goes on to another phase."""

    side: str
    phase: Literal["warm-up", "load", "saving"]


@dataclasses.dataclass(frozen=True)
class Progress:
    """Messages of a side so far.

    Of a producer ``sent``, ``done`` and ``errors``, of a consumer ``received``.
    """

    side: str
    counts: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Latencies:
    """How long messages took that have ended since the last time, in ns."""

    side: str
    latencies_ns: list[int]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of stamps of messages that have ended since the last time."""

    side: str
    rows: list[list[int]]


@dataclasses.dataclass(frozen=True)
class Saved:
    """What these sides measured is written."""

    sides: list[str]


@dataclasses.dataclass(frozen=True)
class Unwritten:
    """What could not be written: files by the reason."""

    paths: dict[str, list[str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failed:
    """The process ends, and why.

    ``usage`` says that what the user asked for cannot be, ``late`` that a step took too long,
    ``unanswered`` that it was the other side which did not answer. ``likely`` is what it may come
    from, unless the broker is asked and knows better.
    """

    text: str
    usage: bool = False
    late: bool = False
    unanswered: bool = False
    likely: str = ""


@dataclasses.dataclass(frozen=True)
class Ask:
    """A question of a producer to its consumers, and the same as each of them hears it.

    ``method`` is what is asked for, ``number`` what the answer will have.
    """

    number: int
    method: str
    arguments: dict[str, Json]


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to the question ``number``: a consumer's own, or those of all, by their names."""

    number: int
    values: dict[str, Json]


@dataclasses.dataclass(frozen=True)
class Note:
    """A step that has been taken, for a person."""

    text: str


@dataclasses.dataclass(frozen=True)
class CallEnded:
    """Of a ping: the call to server ``number`` ended so after ``took_ns``, ``at`` a time in UTC."""

    number: int
    outcome: str
    took_ns: int
    at: str


Shown = Progress | Latencies | Rows | Note | CallEnded
"""What is said for who watches the run."""

Event = Loaded | Ready | Moved | Phase | Saved | Unwritten | Failed | Ask | Answer | Shown
"""Whatever can be said."""

METHODS = ("hello", "warmed", "begin", "profile", "received")
"""What producers ask their consumers."""

BEGIN_AT = "at_ns"
"""Among the answers to "begin": when all producers begin together, CLOCK_MONOTONIC."""

Emit = Callable[[Event], None]
"""Says an event."""

_KINDS: Mapping[str, type[Event]] = MappingProxyType(
    {kind.__name__.lower(): kind for kind in get_args(Event)}
)


def encode(event: Event) -> str:
    """The line that says an event."""
    return json.dumps({"event": type(event).__name__.lower(), **vars(event)}) + "\n"


def decode(line: str) -> Event:
    """The event that a line says.

    Raises ``ValueError`` for a line that says none.
    """
    values: dict[str, Any] = json.loads(line)
    try:
        return _KINDS[values.pop("event")](**values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{line.strip()!r} is no event of a measured process: {error}") from error
