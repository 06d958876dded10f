"""How calls, casts and fanouts are sent and served: the client, the server, one function a pattern.

Chosen once, before the load: nothing is decided for each message.
"""

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from omrig.measured.load.side import DRAIN_S
from omrig.model.patterns import CATCH_UP_S, Pattern
from omrig.model.payload import METHOD
from omrig.model.plan import Plan
from omrig.model.values import Json

Send = Callable[[int], None]

CatchUp = Callable[[int | None], None]
"""Waits until the consumer has got through what a worker has sent, given the number of the last
message of it; None when that was not sent well."""

_ASK_AGAIN_S = 0.01
"""How long after a consumer had not caught up it is asked again."""


class ReplyMismatch(Exception):
    """A call returned the reply of another message."""


def client(transport: Any, plan: Plan) -> Any:
    """A client that calls whoever serves the messages of ``plan``; no message is sent."""
    import oslo_messaging

    # get_rpc_client came with oslo.messaging 14.1.
    make = getattr(oslo_messaging, "get_rpc_client", oslo_messaging.RPCClient)
    target = oslo_messaging.Target(exchange=plan.exchange, topic=plan.queue_topic)
    return make(transport, target, timeout=plan.load.timeout_s)


def serve(transport: Any, plan: Plan, endpoint: object) -> Any:
    """A started server with this endpoint; when this returns its queues exist, and one of them
    takes what is sent to all servers.

    Raises what oslo.messaging raises when it cannot listen.
    """
    import oslo_messaging

    target = oslo_messaging.Target(
        exchange=plan.exchange,
        topic=plan.queue_topic,
        server=f"{socket.gethostname()}.{os.getpid()}",
    )
    server = oslo_messaging.get_rpc_server(
        transport, target, [endpoint], access_policy=oslo_messaging.DefaultRPCAccessPolicy
    )
    server.start(override_pool_size=plan.load.executor_pool_size)
    return server


def sender(pattern: Pattern, client: Any, producer_id: str, payload: dict[str, Json]) -> Send:
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


def catching_up(pattern: Pattern, client: Any, producer_id: str) -> CatchUp:
    """A function that waits for the consumer, chosen once as :func:`sender` is.

    It raises what oslo.messaging raises when the consumer does not answer, and ``TimeoutError``
    when that message does not come though others still do.
    """
    asking = client.prepare(timeout=CATCH_UP_S)

    def wait_in_turn(_seq: int | None) -> None:
        # Negative: not a message of the load. It is served in its turn.
        asking.call({}, METHOD, seq=-1, producer=producer_id)

    def wait_for(seq: int | None) -> None:
        if seq is None:
            wait_in_turn(None)
            return
        # The copies have a queue of their own, in which they may wait long after a call was served.
        best, since = -1, time.monotonic()
        end = since + CATCH_UP_S
        while time.monotonic() < end:
            # Not by the name that marks a message of the load.
            is_there, count = asking.call({}, "arrived", producer=producer_id, number=seq)
            if is_there:
                return
            if count > best:
                best, since = count, time.monotonic()
            elif time.monotonic() - since > DRAIN_S:
                # It is lost: those that are to come are not held up by it.
                return
            time.sleep(_ASK_AGAIN_S)
        raise TimeoutError(f"message {seq} did not come")

    return wait_for if pattern.copies else wait_in_turn
