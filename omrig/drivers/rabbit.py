"""What no table says of the RabbitMQ driver: its options, and what it declares on a broker.

As oslo.messaging's ``impl_rabbit`` declares it; an option that a release does not have is off.
``options`` are always the driver's own, as it resolves them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

GROUP = "oslo_messaging_rabbit"
"""The group of the driver's options in a configuration."""

IDENTITY = ("hostname", "processname")
"""The options that a run never takes from a configuration or a transport URL: who it is."""

Options = Mapping[str, Any]

Arguments = dict[str, int | str | bool]
"""What a queue is declared with beside its name, or consumed with."""


def full(option: str) -> str:
    """An option of the driver as people write it, with its group."""
    return f"[{GROUP}] {option}"


NOT_TAKEN = tuple(full(option) for option in IDENTITY)
"""The options of :data:`IDENTITY` as people write them."""


@dataclasses.dataclass(frozen=True)
class Queue:
    """A queue as the driver declares it; ``exchange`` is what it is bound to, empty for none."""

    name: str
    exchange: str
    durable: bool
    auto_delete: bool
    arguments: Arguments
    consumer_arguments: Arguments | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it takes no ``x-expires``, and nothing but its deletion ends it."""
        return self.arguments.get("x-queue-type") == "stream"


def served(topic: str, options: Options) -> list[Queue]:
    """The queues of a server: of the topic, of the server itself, and for all servers."""
    auto_delete = bool(options.get("amqp_auto_delete"))
    arguments = _arguments(options, bool(options.get("rabbit_quorum_queue")), expires=False)
    cancel: Arguments | None = None
    if options.get("enable_cancel_on_failover"):
        cancel = {"x-cancel-on-ha-failover": True}
    stream = bool(options.get("rabbit_stream_fanout"))
    fanout = Queue(
        name=f"{topic}_fanout",
        exchange=f"{topic}_fanout",
        durable=is_fanout_durable(options),
        auto_delete=False,
        arguments=_stream_arguments(options) if stream else _transient_arguments(options),
        consumer_arguments={"x-stream-offset": "last"} if stream else cancel,
    )
    return [
        Queue(name, topic, is_durable(options), auto_delete, arguments, cancel)
        for name in (topic, f"{topic}.server")
    ] + [fanout]


def notified(topic: str, priority: str, options: Options) -> Queue:
    """The queue of a topic's notifications of a priority: the notifier declares it as well."""
    of_topic = served(f"{topic}.{priority}", options)[0]
    return dataclasses.replace(of_topic, exchange=topic)


def reply(name: str, options: Options) -> Queue:
    """The queue on which a client waits for replies."""
    return Queue(
        name=name,
        exchange="",
        durable=bool(options.get("rabbit_transient_quorum_queue")),
        auto_delete=False,
        arguments=_transient_arguments(options),
    )


def is_durable(options: Options) -> bool:
    """Whether the exchange and the queues of a topic outlive a restart of the broker."""
    return bool(options.get("amqp_durable_queues") or options.get("rabbit_quorum_queue"))


def is_fanout_durable(options: Options) -> bool:
    """Whether the exchange and the queue of a fanout outlive a restart of the broker."""
    return bool(options.get("rabbit_transient_quorum_queue") or options.get("rabbit_stream_fanout"))


def declaring_options(options: Options) -> dict[str, bool]:
    """Those options that decide how both sides declare the exchange of a topic."""
    names = ("amqp_durable_queues", "amqp_auto_delete", "rabbit_quorum_queue")
    return {name: bool(options.get(name)) for name in names}


def topic_exchange(options: Options) -> tuple[bool, bool]:
    """How the exchange of a topic is declared: whether durable, whether it deletes itself."""
    return is_durable(options), bool(options.get("amqp_auto_delete"))


def _transient_arguments(options: Options) -> Arguments:
    return _arguments(options, bool(options.get("rabbit_transient_quorum_queue")), expires=True)


def _arguments(options: Options, quorum: bool, expires: bool) -> Arguments:
    arguments: Arguments = {}
    if options.get("rabbit_ha_queues"):
        arguments["x-ha-policy"] = "all"
    if quorum:
        arguments["x-queue-type"] = "quorum"
        for argument, option in (
            ("x-delivery-limit", "rabbit_quorum_delivery_limit"),
            ("x-max-in-memory-length", "rabbit_quorum_max_memory_length"),
            ("x-max-in-memory-bytes", "rabbit_quorum_max_memory_bytes"),
        ):
            if options.get(option):
                arguments[argument] = options[option]
    ttl_s = options.get("rabbit_transient_queues_ttl") or 0
    if expires and ttl_s > 0:
        arguments["x-expires"] = ttl_s * 1000
    return arguments


def _stream_arguments(options: Options) -> Arguments:
    ttl_s = options.get("rabbit_transient_queues_ttl") or 0
    age: Arguments = {"x-max-age": f"{ttl_s}s"} if ttl_s > 0 else {}
    return {"x-queue-type": "stream", **age}
