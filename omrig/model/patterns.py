"""The message patterns as data: which legs a message has, and which ways it goes over them.

A leg is a stretch of a message's way that one process sees, or the wire between two processes. A
way is the legs to one of the ends that a message has: a call has one end, the return of ``call()``;
a cast has two, the return of ``cast()`` and the endpoint. What differs between patterns is asked of
them: nothing else compares their names.
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from omrig.model.stages import Side

End = Literal["reply", "receipt"]
"""Where a message ends: its sender has the reply, or its receiver has the message."""

Traffic = Literal["rpc", "notifications"]
"""How messages are sent and served: by an RPC client and server, or a notifier and listener."""

RPC: Traffic = "rpc"
NOTIFICATIONS: Traffic = "notifications"

CATCH_UP_S = 300.0
"""How long the consumers may take for the messages that were sent ahead."""


@dataclasses.dataclass(frozen=True)
class Leg:
    """A stretch of a message's way, with its ``stages`` in the order in which they happen.

    ``side`` is the side that sees it, or ``wire``. A stage may be in two legs: its time is then the
    sum of both.
    """

    name: str
    side: Side
    stages: tuple[str, ...]


LEGS: Mapping[str, Leg] = MappingProxyType(
    {
        leg.name: leg
        for leg in (
            Leg(
                "send",
                "producer",
                (
                    "api",
                    "serialize",
                    "pool_wait",
                    "connect",
                    "publish",
                    "publish_stall",
                    "socket_wait",
                ),
            ),
            Leg("request", "wire", ("amqp_request",)),
            Leg(
                "serve",
                "consumer",
                (
                    "receive_lag",
                    "decode",
                    "decode_stall",
                    "deserialize",
                    "batch_wait",
                    "executor_queue",
                    "dispatch",
                    "dispatch_stall",
                    "endpoint",
                ),
            ),
            Leg(
                "answer",
                "consumer",
                (
                    "dispatch",
                    "reply_serialize",
                    "reply_pool_wait",
                    "reply_connect",
                    "reply_publish",
                    "reply_publish_stall",
                    "reply_socket_wait",
                ),
            ),
            Leg("reply", "wire", ("amqp_reply",)),
            Leg(
                "return",
                "producer",
                (
                    "reply_receive_lag",
                    "reply_decode",
                    "reply_decode_stall",
                    "reply_deserialize",
                    "connect",
                    "confirm_wait",
                    "wakeup",
                    "return",
                ),
            ),
            Leg("confirm", "producer", ("connect", "confirm_wait", "wakeup", "return")),
            Leg("remote", "wire", ("remote",)),
        )
    }
)
"""Every leg under its name.

``remote`` is on no way: it stands for the legs from ``request`` to ``reply`` where the producer
alone was measured.
"""


@dataclasses.dataclass(frozen=True)
class Crossing:
    """A stage on the wire, and the sides from and to which messages go in it."""

    stage: str
    sender: Side
    receiver: Side


@dataclasses.dataclass(frozen=True)
class Fork:
    """Where a message with two ends begins to go on to both of them at the same time.

    ``at`` is the first stage of the way to the receiver alone, ``aside`` are the stages to the
    sender's own end alone, in their order.
    """

    at: str
    aside: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pattern:
    """How messages of a kind are sent and end.

    ``noun`` is one message in words, ``method`` what of the client sends it, and ``traffic`` whose
    client that is. ``ways`` are names of
    :data:`LEGS` in order, a tuple for each end that a message has: of two the sender's own comes
    first. ``replies`` says whether the sender waits for the receiver, ``copies``
    whether each consumer has a message of its own of what is sent once, ``ends`` where a message
    counts as done. ``latency`` is from where to where the producer's latency is, in words.
    ``ahead`` is how many messages a worker may have sent that no consumer has yet, None where
    nothing but the reply holds it up.
    """

    name: str
    noun: str
    method: str
    traffic: Traffic
    ways: tuple[tuple[str, ...], ...]
    replies: bool
    copies: bool
    ends: End
    latency: str
    ahead: int | None

    @property
    def stages(self) -> frozenset[str]:
        """Every stage that a message of it can have, whoever sees it."""
        names = {name for way in self.ways for name in way} | {"remote"}
        return frozenset(stage for name in names for stage in LEGS[name].stages)

    def crossings(self) -> tuple[Crossing, ...]:
        """Where messages cross the wire, in the order of the ways, each of them once."""
        found = (
            Crossing(LEGS[wire].stages[0], LEGS[before].side, LEGS[after].side)
            for way in self.ways
            for before, wire, after in zip(way, way[1:], way[2:], strict=False)
            if LEGS[wire].side == "wire"
        )
        return tuple(dict.fromkeys(found))

    def fork(self) -> Fork | None:
        """Where a message's two ways part; None where it has one end."""
        if len(self.ways) == 1:
            return None
        own, way = self.ways
        shared = list(itertools.takewhile(lambda name: name in own, way))
        before = {stage for name in shared for stage in LEGS[name].stages}
        alone = itertools.chain.from_iterable(LEGS[name].stages for name in own[len(shared) :])
        at = LEGS[way[len(shared)]].stages[0]
        return Fork(at, tuple(stage for stage in alone if stage not in before))

    def seen_by(self, sides: Collection[str]) -> tuple[tuple[str, ...], ...]:
        """The ways as far as these sides see them, with ``remote`` for what lies between.

        The wire is seen where both of its ends are. Equal parts of ways are given once.
        """
        ways = (tuple(_seen(way, sides)) for way in self.ways)
        return tuple(dict.fromkeys(way for way in ways if way))

    def legs(self, sides: Collection[str]) -> tuple[Leg, ...]:
        """The legs that these sides see, in the order of the ways, each of them once."""
        names = itertools.chain.from_iterable(self.seen_by(sides))
        return tuple(LEGS[name] for name in dict.fromkeys(names))


def _seen(way: tuple[str, ...], sides: Collection[str]) -> Iterator[str]:
    own = [place for place, name in enumerate(way) if LEGS[name].side in sides]
    for place, following in zip(own, [*own[1:], 0], strict=False):
        yield way[place]
        between = way[place + 1 : following]
        if any(LEGS[name].side != "wire" for name in between):
            between = ("remote",)
        yield from between


CALL = Pattern(
    name="call",
    noun="call",
    method="call()",
    traffic="rpc",
    ways=(("send", "request", "serve", "answer", "reply", "return"),),
    replies=True,
    copies=False,
    ends="reply",
    latency="call() to its reply",
    ahead=None,
)

CAST = Pattern(
    name="cast",
    noun="cast",
    method="cast()",
    traffic="rpc",
    ways=(("send", "confirm"), ("send", "request", "serve")),
    replies=False,
    copies=False,
    ends="receipt",
    latency="cast() to the publisher confirm",
    # Nothing else holds a caster up: the consumer's executor would queue whatever it does not keep
    # up with, at 30 KB a message of 10 KiB.
    ahead=50,
)

FANOUT = dataclasses.replace(CAST, name="fanout", noun="fanout cast", copies=True)

NOTIFY = dataclasses.replace(
    CAST,
    name="notify",
    noun="notification",
    method="notify()",
    traffic="notifications",
    latency="notify() to its return",
)

PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {pattern.name: pattern for pattern in (CALL, CAST, FANOUT, NOTIFY)}
)
"""Every pattern under its name."""


def all_reply(patterns: Iterable[Pattern]) -> bool:
    """Whether whoever sends these waits for the receiver of each message."""
    return all(pattern.replies for pattern in patterns)


def arrived(patterns: Iterable[Pattern], counts: Collection[int]) -> int:
    """How many messages have arrived where they are to be, by what each consumer has.

    Where some have copies and others have not, as many as that at least were delivered.
    """
    copies = all(pattern.copies for pattern in patterns)
    return min(counts, default=0) if copies else sum(counts)
