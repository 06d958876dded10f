"""How a message is sent: one function a pattern, chosen once, before the load."""

from collections.abc import Callable
from typing import Any

from omrig.model.patterns import CATCH_UP_S
from omrig.model.payload import METHOD

Send = Callable[[int], None]


class ReplyMismatch(Exception):
    """A call returned the reply of another message."""


def sender(pattern: str, client: Any, producer_id: str, payload: dict[str, Any]) -> Send:
    """A function that sends the message with the given sequence number.

    For ``call`` it returns when the reply is there and raises :class:`ReplyMismatch` when that is
    not the reply of this message; for ``cast`` it returns when oslo.messaging does.
    """
    context: dict[str, Any] = {}

    def send_call(seq: int) -> None:
        reply = client.call(context, METHOD, seq=seq, producer=producer_id, **payload)
        if reply != seq:
            raise ReplyMismatch(f"message {seq} got the reply {reply!r}")

    def send_cast(seq: int) -> None:
        client.cast(context, METHOD, seq=seq, producer=producer_id, **payload)

    return {"call": send_call, "cast": send_cast}[pattern]


def catch_up(client: Any, producer_id: str) -> None:
    """Wait until the consumer has got through what was sent to it before.

    Raises what oslo.messaging raises when the consumer does not answer.
    """
    # Negative: not a message of the load. It is served in its turn.
    client.prepare(timeout=CATCH_UP_S).call({}, METHOD, seq=-1, producer=producer_id)
