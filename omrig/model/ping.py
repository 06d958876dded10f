"""``omrig ping``: what is asked of which servers, and what became of it."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from omrig.model.errors import UsageError
from omrig.model.latency import Latency
from omrig.model.result import StageRow
from omrig.model.values import Json, Value

SCHEMA = 1
"""The newest schema of a ping's result that is known."""

KIND = "ping"
"""What ``kind`` is in a ping's ``result.json``."""

SERVER_PING = "oslo_rpc_server_ping"
"""What a server answers that has ``rpc_ping_enabled``."""

BASE_API = "baseapi.ping"
"""What every service of nova answers."""

METHODS: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {BASE_API: ("baseapi", "ping"), SERVER_PING: (None, SERVER_PING)}
)
"""Namespace and method of the calls that may be made."""

VERSION = "1.0"
"""The version of the namespace that is asked for."""

DEFAULT_RATE, DEFAULT_WORKERS, DEFAULT_TIMEOUT_S = 1.0, 1, 5.0

LEAST_DURATION_S, TURNS = 10.0, 3
"""Without ``--duration`` each server is asked so many times, and all of them for so long."""

ANSWERED = "answered"
"""The server replied as it should."""

REFUSED = "refused"
"""The server replied that it has no such method: it is alive."""

ERROR = "error"
"""The server replied with another error: it is alive."""

SILENT = "silent"
"""Nobody replied in time."""

UNROUTED = "unrouted"
"""The exchange had no queue for it."""

FAILED = "failed"
"""It was not sent: the broker did not take it."""

OUTCOMES = (ANSWERED, REFUSED, ERROR, SILENT, UNROUTED, FAILED)
"""What can become of a call, in the order of their numbers."""

ALIVE = frozenset({ANSWERED, REFUSED, ERROR})
"""Of these outcomes the server said something."""

REFUSALS = frozenset({"NoSuchMethod", "UnsupportedVersion", "RPCVersionCapError"})
"""What a server raises that has no such method."""

State = Literal["answers", "refuses", "fails", "loses", "deaf", "absent", "unsent", "unasked"]
"""How a server is: it answers all; says that it has no such method; replies with errors; does not
answer some, or none; nobody takes from its queue, or there is none; the broker took no call; its
turn never came."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server(Value):
    """Who is asked: the server ``name`` of a topic, or with an empty name whoever takes it.

    ``consumers`` are those of its queue by the broker, None where there is no queue. ``found`` says
    in words how it was found. ``topic`` is empty where it is not known where the name begins.
    """

    topic: str
    name: str = ""
    consumers: int | None = None
    found: str = ""

    @property
    def key(self) -> str:
        """The routing key, which is also the name of its queue."""
        return f"{self.topic}.{self.name}" if self.name else self.topic

    @property
    def label(self) -> str:
        """What it is called: a topic as a whole with how many servers take from it."""
        if self.name:
            return self.key
        count = self.consumers or 0
        return f"{self.topic} (any of {count})" if count != 1 else f"{self.topic} (its server)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ping(Value):
    """What is asked for: ``targets`` as typed, and who they are once they were found.

    At most ``rate`` calls a second to all servers together, ``workers`` of them at a time under way
    and never two to one server. A call waits ``timeout_s``. ``exchange`` and ``duration_s`` are
    empty and None before they are known. ``management`` is whether the broker's management API may
    be asked, too.

    Raises ``UsageError`` when a value makes no sense.
    """

    targets: tuple[str, ...]
    method: str = BASE_API
    exchange: str = ""
    rate: float = DEFAULT_RATE
    workers: int = DEFAULT_WORKERS
    timeout_s: float = DEFAULT_TIMEOUT_S
    duration_s: float | None = None
    servers: tuple[Server, ...] = ()
    management: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"--method: {self.method!r} is none that can be pinged; choose from"
                f" {', '.join(METHODS)}"
            )
        for flag, value in (
            ("--rate", self.rate), ("--timeout", self.timeout_s), ("--duration", self.duration_s),
        ):  # fmt: skip
            if value is not None and value <= 0:
                raise UsageError(f"{flag}: {value:g} is not above 0")

    @property
    def asked(self) -> tuple[Server, ...]:
        """The servers that are called: those whose queue somebody takes from."""
        return tuple(each for each in self.servers if each.consumers)

    @property
    def lasts_s(self) -> float:
        """For how long calls are made."""
        if self.duration_s is not None:
            return self.duration_s
        return max(LEAST_DURATION_S, TURNS * len(self.asked) / self.rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pinged(Value):
    """What became of the calls to one server.

    ``sent`` are all calls, ``answered``, ``refused``, ``silent``, ``unrouted`` and ``failed`` by
    their outcome, ``errors`` by the name of what the server raised; calls that were under way when
    the ping ended are in ``sent`` alone. ``latency`` is of those that the server replied to, with
    whatever. ``silent_since`` is when the first of the calls was made that nobody has answered
    since, ``heard_at`` when the last reply came; UTC, None for never. ``said`` is an example of
    what it said instead of an answer. ``stages`` are the caller's half, None without any.
    """

    server: Server
    state: State
    sent: int = 0
    answered: int = 0
    refused: int = 0
    silent: int = 0
    unrouted: int = 0
    failed: int = 0
    errors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    latency: Latency | None = None
    silent_since: str | None = None
    heard_at: str | None = None
    said: str = ""
    stages: tuple[StageRow, ...] | None = None

    @property
    def ended(self) -> int:
        """How many calls have ended, one way or another."""
        told = (self.answered, self.refused, self.silent, self.unrouted, self.failed)
        return sum(told) + sum(self.errors.values())

    @property
    def is_heard(self) -> bool:
        """Whether every call that ended was replied to, be it with an error, and one was."""
        return self.state in ("answers", "refuses", "fails")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PingResult(Value):
    """What a ping came to; :meth:`to_json` is its ``result.json``.

    ``complete`` is False where it ended before its time for the ``reason``. ``verdict`` says who
    did not answer and since when. ``stages`` are those of all calls that were answered, of which
    ``within_tolerance`` of ``stamped`` add up to what the load's own clock says. ``found`` says how
    servers were looked for, ``not_seen`` what could not be known.
    """

    schema: int = SCHEMA
    kind: str = KIND
    complete: bool = True
    reason: str | None = None
    transport: str = ""
    exchange: str = ""
    method: str = ""
    rate: float = 0.0
    workers: int = 1
    timeout_s: float = 0.0
    started_at: str = ""
    duration_ns: int = 0
    host: str = ""
    versions: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    broker: str = ""
    sent: int = 0
    answered: int = 0
    servers: tuple[Pinged, ...] = ()
    stages: tuple[StageRow, ...] | None = None
    stamped: int = 0
    within_tolerance: int = 0
    found: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()
    verdict: str = ""

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The result in a ping's ``result.json``.

        Raises ``ValueError`` where it is none, or of a schema that is not known.
        """
        if not isinstance(data, Mapping) or data.get("kind") != KIND:
            raise ValueError("no result of a ping")
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not known; {SCHEMA} is")
        return super().from_json(data)

    @property
    def all_answered(self) -> bool:
        """Whether every server was heard, and there was one."""
        return bool(self.servers) and all(each.is_heard for each in self.servers)
