"""The size of a message as it is published: the payload in the driver's envelope."""

import uuid
from collections.abc import Mapping
from typing import Any

from omrig.model import payload
from omrig.model.plan import Plan
from omrig.model.values import Json

_SAMPLE_BYTES = 4096
"""From a payload of this size on, each further byte adds one: it is text that JSON leaves alone."""


def body_bytes(plan: Plan, options: Mapping[str, Json]) -> int:
    """Bytes of the largest message of the load as the driver with these ``options`` publishes it.

    0 for a consumer alone, which sends none of it.
    """
    if "producer" not in plan.sides:
        return 0
    compression = options.get("kombu_compression")
    if compression:
        from kombu import compression as codecs

        compress: Any = codecs.compress
        return len(compress(_body(plan, plan.load.largest_bytes), compression)[0])
    sample = min(plan.load.largest_bytes, _SAMPLE_BYTES)
    return len(_body(plan, sample)) + plan.load.largest_bytes - sample


def _body(plan: Plan, size_bytes: int) -> bytes:
    """What ``RPCClient`` or ``Notifier``, ``AMQPDriverBase._send`` and ``kombu.Producer`` make of a
    message."""
    from kombu import serialization
    from oslo_messaging._drivers import common

    number = (plan.load.messages or 1) - 1
    unique = uuid.uuid4().hex
    arguments = {"seq": number, "producer": unique, **payload.build(size_bytes)}
    message: dict[str, Json] = {"method": payload.METHOD, "args": arguments}
    if plan.priority:
        message = {
            "message_id": str(uuid.uuid4()),
            "publisher_id": f"omrig.{plan.tag}",
            "event_type": f"omrig.{payload.METHOD}",
            "priority": plan.priority.upper(),
            "payload": arguments,
            "timestamp": "2026-01-01 00:00:00.000000",
        }
    if any(pattern.replies for pattern in plan.load.patterns):
        message |= {"_msg_id": unique, "_reply_q": f"reply_{unique}", "_timeout": None}
    message["_unique_id"] = unique
    dumps: Any = serialization.dumps
    body = dumps(common.serialize_msg(message), serializer="json")[2]
    return body if isinstance(body, bytes) else str(body).encode()
