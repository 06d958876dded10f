"""What a recording of running services came to: the ``result.json`` of ``omrig record``.

A recording is of processes that omrig did not load: whatever they sent and served meanwhile, by RPC
method. Times are in ns; shares are from 0 to 1.
"""

import dataclasses
from collections.abc import Mapping
from typing import Self

from omrig.model.facts import Comb
from omrig.model.latency import Latency
from omrig.model.result import Closure, StageRow, Waterfall
from omrig.model.values import UNLESS_NONE, Json, Value
from omrig.model.verdict import Verdict

SCHEMA = 1
"""The newest schema of a recording's result that is known."""

KIND = "services"
"""What ``kind`` is in such a result: that of a run has none."""

REMOTE = "remote"
"""In the place of a process that is not recorded."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pool(Value):
    """How far a pool of a process was in use: its executor's threads, or connections that send.

    ``size`` is None where it is not known. ``mean`` and ``most`` are how many were in use at a
    time, ``at_most_share`` is the share of the time at which ``most`` were, and ``advice`` what to
    do about it, in words; None for nothing.
    """

    size: int | None = None
    mean: float = 0.0
    most: int = 0
    at_most_share: float = 0.0
    advice: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Process(Value):
    """A process that was recorded.

    ``name`` is what it was called, with its pid where several are called so; ``executor`` that of
    its servers (``eventlet`` or ``threading``). ``sent`` and ``served`` are rows that it left,
    ``overwritten`` those that it had no room for. ``cpu_share`` is of one core while it was
    recorded. ``arrivals`` says how the arrival of messages was timed, ``failures`` what went wrong
    in the instrument. ``ended`` is why its recording ended before the others'; None else.
    """

    name: str
    host: str
    pid: int
    executor: str
    program: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recorded_ns: int = 0
    sent: int = 0
    served: int = 0
    overwritten: int = 0
    cpu_share: float | None = None
    threads: int | None = None
    connections: int = 0
    executor_pool: Pool | None = None
    send_pool: Pool | None = None
    stamps: str | None = None
    turning_on_ns: int | None = None
    arrivals: str = ""
    failures: tuple[str, ...] = ()
    ended: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodName(Value):
    """A kind of message: ``method`` is the event type of a notification; empty is unknown."""

    pattern: str = ""
    exchange: str = ""
    topic: str = ""
    namespace: str = ""
    method: str = ""

    @property
    def label(self) -> str:
        """How it is called in a table: ``call conductor baseapi.ping``."""
        own = f"{self.namespace}.{self.method}" if self.namespace else self.method
        return " ".join(each for each in (self.pattern, self.topic, own) if each)

    def is_called(self, name: str) -> bool:
        """Whether ``name`` names it: its label, or its method with or without the namespace."""
        return name in (self.label, self.method, f"{self.namespace}.{self.method}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unanswered(Value):
    """Messages that did not end well, and where they were last seen.

    ``last_seen`` is one of ``LAST_SEEN``; ``outcome`` what became of them for who sent them: an
    exception's name, or empty where it waited still.
    """

    count: int
    last_seen: str
    outcome: str = ""
    requests: tuple[str, ...] = ()


LAST_SEEN: Mapping[str, str] = {
    "not_sent": "never left the sender",
    "sent": "sent; no recorded server has finished it",
    "received": "received by the server, its executor did not begin it",
    "started": "begun by the server's executor, its endpoint not entered",
    "endpoint": "in the endpoint",
    "replying": "the endpoint returned, no reply was sent",
    "replied": "replied; the reply did not reach its caller",
    "answered": "answered, with an error",
}
"""Where a message was last seen, in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(Value):
    """The messages of one kind: how many, how long, and whose time.

    ``senders`` and ``servers`` are names of processes (``REMOTE`` for what is not recorded).
    ``sent``, ``served`` and ``matched`` count messages by their rows; ``timed_out`` and ``raised``
    (by the exception's name) are outcomes. ``latency`` is of calls that were answered, be it with
    an error, from call() to its return; of what nobody answers it is the sum of the stages, of a
    fanout that of each copy. ``total_ns`` is that of all messages, ``self_ns`` the same without
    what nested messages of recorded methods took, and ``share`` the latter's share of all methods'.

    ``owners`` are shares of ``total_ns`` by ``amqp``, ``driver``, ``process`` and ``endpoint``. Of
    the same, the endpoint's is ``endpoint_own`` and ``endpoint_nested``; ``computing`` is the share
    of the endpoint's own time in which its thread computed (None with green threads).
    What stages are needed for is None or empty without them. ``distribution`` are latencies in ns
    by percentile (``50``, ``99.9``).
    """

    name: MethodName
    senders: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    sent: int = 0
    served: int = 0
    matched: int = 0
    timed_out: int = 0
    raised: Mapping[str, int] = dataclasses.field(default_factory=dict)
    unanswered: tuple[Unanswered, ...] = ()
    latency: Latency | None = None
    total_ns: int = 0
    self_ns: int = 0
    share: float = 0.0
    owners: Mapping[str, float] = dataclasses.field(default_factory=dict)
    endpoint_own: float | None = None
    endpoint_nested: float | None = None
    computing: float | None = None
    stages: tuple[StageRow, ...] | None = None
    buckets: Mapping[str, float] | None = None
    closure: Closure | None = None
    waterfall: Waterfall | None = None
    quantised: Mapping[str, Comb] | None = None
    distribution: Mapping[str, int] = dataclasses.field(default_factory=dict)
    verdict: Verdict | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node(Value):
    """A message of a request, and the messages that its endpoint sent, in order.

    ``count`` messages of the same kind are one node; ``begin_ns`` is since the request began.
    """

    label: str
    count: int
    begin_ns: int
    total_ns: int
    self_ns: int
    children: tuple["Node", ...] = ()

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The node that :meth:`to_json` wrote."""
        if not isinstance(data, Mapping):
            raise ValueError(f"{cls.__name__}: {data!r} is no JSON object")
        below = data.get("children") or ()
        found = super().from_json({**data, "children": ()})
        if not isinstance(below, list | tuple):
            raise ValueError("children: no list")
        return dataclasses.replace(found, children=tuple(cls.from_json(each) for each in below))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(Value):
    """All messages with one request id, of which ``id`` is the beginning.

    ``duration_ns`` is from its first message's begin to its last one's end; ``methods`` how many
    messages of which label.
    """

    id: str
    messages: int
    duration_ns: int
    methods: Mapping[str, int] = dataclasses.field(default_factory=dict)
    tree: tuple[Node, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requests(Value):
    """The requests of a recording: how many, of how many messages, a typical one, the slowest."""

    count: int = 0
    mean_messages: float = 0.0
    most_messages: int = 0
    without: int = 0
    typical: Request | None = None
    slowest: tuple[Request, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceResult(Value):
    """What a recording came to; :meth:`to_json` is its ``result.json``.

    ``methods`` are by their self time, most first. One message in ``sample`` was recorded.
    ``not_seen`` says in words what the recording could not see.
    """

    schema: int = SCHEMA
    kind: str = KIND
    complete: bool = True
    reason: str | None = None
    recording: str
    started_at: str = ""
    duration_ns: int = 0
    sample: int = 1
    sent: int = 0
    served: int = 0
    matched: int = 0
    closure: Closure
    processes: tuple[Process, ...] = ()
    methods: tuple[Method, ...] = ()
    requests: Requests = Requests()
    broker_messages: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    not_seen: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The result in a recording's ``result.json``.

        Raises ``ValueError`` where it is none, or of a schema that is not known.
        """
        if not isinstance(data, Mapping) or data.get("kind") != KIND:
            raise ValueError("no result of a recording")
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not known; {SCHEMA} is")
        return super().from_json(data)

    def called(self, name: str) -> tuple[Method, ...]:
        """The methods that ``name`` names."""
        return tuple(each for each in self.methods if each.name.is_called(name))
