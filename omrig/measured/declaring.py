"""Writing down what the measured process declares, before the broker is asked for it."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from omrig.model.declared import EXCHANGE, QUEUE, note


def watch(record: str, tag: str) -> None:
    """Have py-amqp write down every queue and exchange before it asks the broker for it.

    For a process whose names have ``tag`` in them. Nothing is added to what a message passes.
    """
    import amqp

    noted = set[tuple[str, str]]()

    def wrap(kind: str, declare: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(declare)

        @functools.wraps(declare)
        def declaring(*positional: Any, **named: Any) -> Any:
            values = signature.bind(*positional, **named).arguments
            name = values.get(kind, "")
            is_ours_to_make = name and not name.startswith("amq.") and not values.get("passive")
            if is_ours_to_make and (kind, name) not in noted:
                note(record, kind, name, tag)
                noted.add((kind, name))
            return declare(*positional, **named)

        return declaring

    amqp.Channel.queue_declare = wrap(QUEUE, amqp.Channel.queue_declare)
    amqp.Channel.exchange_declare = wrap(EXCHANGE, amqp.Channel.exchange_declare)
