"""What a message takes that can be counted: AMQP methods, frames and bytes, calls of functions."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from omrig.model.values import UNLESS_NONE, Value

METHODS: Mapping[int, str] = MappingProxyType(
    {
        class_id << 16 | method_id: f"{kind}.{name}"
        for class_id, kind, names in (
            (
                10,
                "connection",
                "10 start 11 start-ok 20 secure 21 secure-ok 30 tune 31 tune-ok 40 open 41 open-ok"
                " 50 close 51 close-ok 60 blocked 61 unblocked 70 update-secret"
                " 71 update-secret-ok",
            ),
            (20, "channel", "10 open 11 open-ok 20 flow 21 flow-ok 40 close 41 close-ok"),
            (
                40,
                "exchange",
                "10 declare 11 declare-ok 20 delete 21 delete-ok 30 bind 31 bind-ok 40 unbind"
                " 51 unbind-ok",
            ),
            (
                50,
                "queue",
                "10 declare 11 declare-ok 20 bind 21 bind-ok 30 purge 31 purge-ok 40 delete"
                " 41 delete-ok 50 unbind 51 unbind-ok",
            ),
            (
                60,
                "basic",
                "10 qos 11 qos-ok 20 consume 21 consume-ok 30 cancel 31 cancel-ok 40 publish"
                " 50 return 60 deliver 70 get 71 get-ok 72 get-empty 80 ack 90 reject"
                " 100 recover-async 110 recover 111 recover-ok 120 nack",
            ),
            (85, "confirm", "10 select 11 select-ok"),
            (
                90,
                "tx",
                "10 select 11 select-ok 20 commit 21 commit-ok 30 rollback 31 rollback-ok",
            ),
        )
        for method_id, name in zip(map(int, names.split()[::2]), names.split()[1::2], strict=True)
    }
)
"""The methods of AMQP 0-9-1 and RabbitMQ by number: the class in the upper 16 bits."""

DELIVER = 60 << 16 | 60
"""``basic.deliver``."""

SIDES = ("producer", "consumer")

AT_START: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "declares": ("queue.declare", "exchange.declare"),
        "binds": ("queue.bind", "exchange.bind"),
        "connects": ("connection.open",),
    }
)
"""What is counted from a process' start to its load: which methods sent each is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(Value):
    """One kind of method: how many of it a message takes, ``sent`` and ``received``.

    ``exact`` is whether each message takes that many; else they are means. ``load_sent`` and
    ``load_received`` are all of it during the load, ``start_sent`` and ``start_received`` all
    before.
    """

    sent: float
    received: float
    exact: bool
    load_sent: int = 0
    load_received: int = 0
    start_sent: int = 0
    start_received: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Amqp(Value):
    """What a side exchanges with its broker for a message, both ways together; heartbeats apart.

    ``exact`` is whether each of the ``messages_alike`` takes so much. ``by_method`` is by name
    (``basic.ack``). ``round_trips`` are answers waited for, and ``at_start`` what a process did
    before its load: ``declares``, ``binds``, ``connects`` and ``round_trips``, warm-up included.
    ``heartbeats`` are frames in all.
    """

    exact: bool
    messages_alike: int
    round_trips: float
    methods: float
    frames: float
    bytes: float
    by_method: Mapping[str, Method]
    at_start: Mapping[str, int]
    heartbeats: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskCalls(Value):
    """Python functions entered a message in the threads, or greenlets, of one kind.

    ``usual`` is the most frequent count from one message to the next, ``alike`` of ``counted``
    messages have it; ``mean`` is that of all. Functions by which threads wait for one another are
    in none of them, and ``waiting`` is their mean.
    """

    usual: int
    mean: float
    counted: int
    alike: int
    waiting: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calls(Value):
    """Python functions entered a message, in all threads that take part in it.

    ``exact`` is whether ``messages_alike`` of the messages are enough to say so; ``reason`` is why
    not, and then ``a_message`` is a mean. ``by_task`` is by what the thread does: ``sends``,
    ``receives``, ``serves``.
    """

    a_message: float
    exact: bool
    messages_alike: int
    by_task: Mapping[str, TaskCalls]
    reason: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SideCounts(Value):
    """What a message takes on one side.

    ``exact`` is whether all of ``calls`` and ``amqp`` is; ``amqp`` is None where the driver is
    another. ``switches_voluntary``, ``switches_involuntary`` and ``syscalls`` (reads and writes of
    files and pipes; None where the kernel does not say) are means, and never exact.
    """

    messages: int
    exact: bool
    calls: Calls | None = None
    amqp: Amqp | None = None
    switches_voluntary: float = 0.0
    switches_involuntary: float = 0.0
    syscalls: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded(Value):
    """What one process counted: its ``counts.json``.

    ``frames`` is by phase (``start``, ``load``), then by ``sent`` or ``received``, then by method:
    how many, their frames, their bytes with the frames of the content. ``waits`` are answers
    waited for, by phase. The rest is by what a thread does: ``marks`` is how often messages of the
    load passed it, ``calls`` how often so many functions were entered from one to the next, and
    ``waiting`` the mean of those by which threads wait for one another.
    """

    frames: Mapping[str, Mapping[str, Mapping[str, tuple[int, ...]]]]
    waits: Mapping[str, int]
    heartbeats: int
    marks: Mapping[str, int]
    calls: Mapping[str, Mapping[str, int]]
    waiting: Mapping[str, float]
    switches_voluntary: int
    switches_involuntary: int
    syscalls: int | None = None
