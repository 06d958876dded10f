"""How calls, casts and fanouts are sent and served: the client, the server, one function a pattern.

Chosen once, before the load: nothing is decided for each message.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from omrig.measured.load.injected import EXCEPTIONS_OF
from omrig.model.patterns import Pattern
from omrig.model.payload import METHOD
from omrig.model.plan import Plan
from omrig.model.values import Json

Send = Callable[[int], None]


class ReplyMismatch(Exception):
    """A call returned the reply of another message."""


def transport(conf: Any, url: Any, _plan: Plan) -> Any:
    """The transport of RPC, which lets the errors through that an endpoint is told to raise."""
    import oslo_messaging

    return oslo_messaging.get_rpc_transport(conf, url, EXCEPTIONS_OF)


def client(transport: Any, plan: Plan) -> Any:
    """A client that calls whoever serves the messages of ``plan``; no message is sent."""
    import oslo_messaging

    # get_rpc_client came with oslo.messaging 14.1.
    make = getattr(oslo_messaging, "get_rpc_client", oslo_messaging.RPCClient)
    target = oslo_messaging.Target(exchange=plan.exchange, topic=plan.queue_topic)
    return make(transport, target, timeout=plan.load.timeout_s)


def server_name() -> str:
    """What the servers of this process are called."""
    return f"{socket.gethostname()}.{os.getpid()}"


def serve(transport: Any, plan: Plan, endpoint: object, name: str = "") -> Any:
    """A started server with this endpoint, called ``name``, or as those of this process are.

    When this returns its queues exist, and one of them takes what is sent to all servers.

    Raises what oslo.messaging raises when it cannot listen.
    """
    import oslo_messaging

    target = oslo_messaging.Target(
        exchange=plan.exchange,
        topic=plan.queue_topic,
        server=name or server_name(),
    )
    server = oslo_messaging.get_rpc_server(
        transport, target, [endpoint], access_policy=oslo_messaging.DefaultRPCAccessPolicy
    )
    server.start(override_pool_size=plan.load.executor_pool_size)
    return server


def sender(pattern: Pattern, client: Any, producer_id: str, payload: Mapping[str, Json]) -> Send:
    """A function that sends the message with the given sequence number.

    Where the ``pattern`` has replies it returns when the reply is there and raises
    :class:`ReplyMismatch` when that is not the reply of this message; else it returns when
    oslo.messaging does.
    """
    context: dict[str, Json] = {}
    # A prepared context is what services keep and call.
    client = client.prepare(fanout=True) if pattern.copies else client.prepare()

    def send_call(seq: int) -> None:
        reply = client.call(context, METHOD, seq=seq, producer=producer_id, **payload)
        if reply != seq:
            raise ReplyMismatch(f"message {seq} got the reply {reply!r}")

    def send_cast(seq: int) -> None:
        client.cast(context, METHOD, seq=seq, producer=producer_id, **payload)

    return send_call if pattern.replies else send_cast
