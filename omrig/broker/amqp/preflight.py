"""The check before a run: does a broker answer, does it let us in, does it do what we need?"""

import time

from omrig.broker.amqp import trial
from omrig.broker.amqp.connection import call_within, drop, open_first
from omrig.broker.base import BrokerInfo, Needs, QueueState
from omrig.model.errors import UsageError
from omrig.model.transport import Login

TRIAL_SECONDS = 3.0
"""A trial has so long at least, however long the login took."""


def check(login: Login, deadline_s: float = 10.0, needs: Needs | None = None) -> BrokerInfo:
    """Log in to the first endpoint that answers, try there what the run needs of the broker, and
    return what the broker is.

    Takes about ``deadline_s`` seconds at most, over all endpoints. Raises UsageError, one line
    saying what was wrong with each and what to do, and RunError from a broker that is blocked.
    """
    end = time.monotonic() + deadline_s
    connection, endpoint = open_first(login, deadline_s)
    properties = connection.server_properties
    try:
        if needs:
            left = max(TRIAL_SECONDS, end - time.monotonic())
            trial.perform(connection, endpoint, login, needs, left)
    finally:
        drop(connection)
    return BrokerInfo(
        product=_text(properties.get("product")),
        version=_text(properties.get("version")),
        platform=_text(properties.get("platform")),
        cluster_name=_text(properties.get("cluster_name")),
        vhost=login.vhost,
        host=endpoint.host,
        port=endpoint.port,
    )


def state(login: Login, queue: str, deadline_s: float = 3.0) -> QueueState | None:
    """How a queue is; None where there is none, or the broker does not say. Never raises."""
    import amqp

    try:
        connection, _ = open_first(login, deadline_s)
    except UsageError:
        return None
    try:
        declared = call_within(
            deadline_s, lambda: connection.channel().queue_declare(queue, passive=True)
        )
    except (amqp.AMQPError, OSError):
        return None
    finally:
        drop(connection)
    return QueueState(int(declared.consumer_count), int(declared.message_count))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
