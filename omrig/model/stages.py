"""The stage model as data: which stages the life of a message has, and who owns their time."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Side = Literal["producer", "consumer", "wire"]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One named part of a message's life, which overlaps with no other.

    ``side`` is the process whose time it is, or ``wire`` between two processes. ``bucket`` is what
    its time counts as. ``span`` says where it starts and ends, as "from -> to", ``less`` what in
    there is not its own. ``needs`` are the columns (:mod:`omrig.model.stamps`) without which it
    cannot be told, and "arrival" where it needs the kernel's word. ``mixed`` marks a stage whose
    time cannot be told apart by owner, whatever its bucket says.
    """

    name: str
    side: Side
    bucket: str
    span: str
    needs: tuple[str, ...]
    less: str = ""
    mixed: bool = False

    @property
    def what(self) -> str:
        """Its ``span``, less what is not its own."""
        return f"{self.span}, less {self.less}" if self.less else self.span


_PUBLISHING = (
    "json_out",
    "connect_early",
    "pool_begin",
    "pool_end",
    "reconnect",
    "socket_wait",
    "depart",
)
_PUBLISH = ("send", *_PUBLISHING)
_REPLY_PUBLISH = ("reply", *_PUBLISHING)
_DISPATCH = ("start", "endpoint", "endpoint_end", "reply")

STAGES = (
    Stage(
        "api", "producer", "driver", "the client is called -> the driver's send entered", ("send",)
    ),
    Stage(
        "serialize",
        "producer",
        "serialization",
        "both JSON passes: the message -> bytes to send",
        ("json_out",),
    ),
    Stage(
        "pool_wait",
        "producer",
        "pool",
        "connection asked for -> a pooled connection held",
        ("pool_begin", "pool_end", "connect"),
    ),
    Stage(
        "connect",
        "producer",
        "driver",
        "pool starts a new connection -> it is usable",
        ("connect", "connect_early", "reconnect", "depart", "put", "confirm_stamp"),
    ),
    Stage(
        "publish",
        "producer",
        "driver",
        "connection held -> last send of the message entered",
        _PUBLISH,
        less="the waits named elsewhere",
    ),
    Stage(
        "publish_stall",
        "producer",
        "scheduler",
        "interpreter lost in publish -> had again, summed (native threads only)",
        _PUBLISH,
    ),
    Stage(
        "socket_wait",
        "producer",
        "backpressure",
        "send buffer full -> writable again, summed",
        ("socket_wait",),
    ),
    Stage(
        "remote",
        "wire",
        "amqp",
        "last send of the request entered -> its reply in the producer host's kernel",
        ("depart", "arrival"),
        mixed=True,
    ),
    Stage(
        "amqp_request",
        "wire",
        "amqp",
        "last send of the message entered -> its last byte in the consumer host's kernel",
        ("depart", "arrival"),
    ),
    Stage(
        "receive_lag",
        "consumer",
        "scheduler",
        "message in our kernel -> read by our process",
        ("read", "arrival"),
    ),
    Stage(
        "decode",
        "consumer",
        "driver",
        "message read -> handed to the listener",
        ("read", "json_in", "submit"),
        less="its deserialization",
    ),
    Stage(
        "decode_stall",
        "consumer",
        "scheduler",
        "interpreter lost in decode -> had again, summed (native threads only)",
        ("read", "json_in", "submit"),
    ),
    Stage(
        "deserialize",
        "consumer",
        "serialization",
        "both JSON passes: bytes -> the message",
        ("json_in",),
    ),
    Stage(
        "batch_wait",
        "consumer",
        "executor",
        "the listener has it -> its batch is full, or waited long enough (batches only)",
        ("taken", "submit"),
    ),
    Stage(
        "executor_queue",
        "consumer",
        "executor",
        "submitted to the executor -> started",
        ("submit", "start"),
    ),
    Stage(
        "dispatch", "consumer", "driver", "started -> endpoint, and endpoint -> reply", _DISPATCH
    ),
    Stage(
        "dispatch_stall",
        "consumer",
        "scheduler",
        "interpreter lost in dispatch -> had again, summed (native threads only)",
        _DISPATCH,
    ),
    Stage(
        "endpoint",
        "consumer",
        "endpoint",
        "endpoint method entered -> returned",
        ("endpoint", "endpoint_end"),
    ),
    Stage(
        "reply_serialize",
        "consumer",
        "serialization",
        "both JSON passes: the reply -> bytes to send",
        ("json_out",),
    ),
    Stage(
        "reply_pool_wait",
        "consumer",
        "pool",
        "connection asked for -> a pooled connection held",
        ("pool_begin", "pool_end", "connect"),
    ),
    Stage(
        "reply_connect",
        "consumer",
        "driver",
        "pool starts a new connection -> it is usable",
        ("connect", "connect_early", "reconnect"),
    ),
    Stage(
        "reply_publish",
        "consumer",
        "driver",
        "connection held -> last send of the reply entered",
        _REPLY_PUBLISH,
        less="the waits named elsewhere",
    ),
    Stage(
        "reply_publish_stall",
        "consumer",
        "scheduler",
        "interpreter lost in reply_publish -> had again, summed (native threads only)",
        _REPLY_PUBLISH,
    ),
    Stage(
        "reply_socket_wait",
        "consumer",
        "backpressure",
        "send buffer full -> writable, summed",
        ("socket_wait",),
    ),
    Stage(
        "amqp_reply",
        "wire",
        "amqp",
        "last send of the reply entered -> its last byte in the producer host's kernel",
        ("depart", "arrival"),
    ),
    Stage(
        "reply_receive_lag",
        "producer",
        "scheduler",
        "reply in our kernel -> read by us",
        ("read", "arrival"),
    ),
    Stage(
        "reply_decode",
        "producer",
        "driver",
        "reply read -> handed to the waiting caller",
        ("read", "json_in", "put"),
        less="its deserialization",
    ),
    Stage(
        "reply_decode_stall",
        "producer",
        "scheduler",
        "interpreter lost in reply_decode -> had again, summed (native threads only)",
        ("read", "json_in", "put"),
    ),
    Stage(
        "reply_deserialize",
        "producer",
        "serialization",
        "both JSON passes: bytes -> the reply",
        ("json_in",),
    ),
    Stage(
        "confirm_wait",
        "producer",
        "confirm",
        "message sent -> publisher confirm read, as far as it ends after the reply",
        ("depart", "reconnect", "put", "confirm", "confirm_stamp"),
    ),
    Stage(
        "wakeup",
        "producer",
        "scheduler",
        "reply handed to its waiter -> the caller runs",
        ("put", "confirm", "confirm_stamp", "wait", "woke"),
    ),
    Stage(
        "return",
        "producer",
        "driver",
        "the caller runs -> the client's call returned",
        ("put", "confirm", "confirm_stamp", "wait", "woke"),
    ),
)
"""Every stage, in the order in which a message goes through them.

``remote`` stands for ``amqp_request`` to ``amqp_reply`` when only the producer was measured.
"""

BY_NAME: Mapping[str, Stage] = MappingProxyType({stage.name: stage for stage in STAGES})
"""Each stage under its name."""

OWNERS: Mapping[str, str] = MappingProxyType(
    {
        "amqp": "amqp",
        "backpressure": "amqp",
        "confirm": "amqp",
        "driver": "driver",
        "serialization": "driver",
        "pool": "driver",
        "scheduler": "process",
        "executor": "process",
        "endpoint": "endpoint",
    }
)
"""Whose time a bucket is: AMQP's, the driver's, our own busy process's, or the endpoint's."""
