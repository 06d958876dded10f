"""Which addresses of a broker take a connection, whatever they then do with it."""

import socket
from collections.abc import Sequence

from omrig.broker.amqp.connection import call_within
from omrig.model.transport import Endpoint

REACHABLE_SECONDS = 1.0


def reachable(endpoints: Sequence[Endpoint]) -> bool:
    """Whether any endpoint takes a TCP connection; each gets a second. Never raises."""
    return any(_connects(endpoint) for endpoint in endpoints)


def has_lost_one(endpoints: Sequence[Endpoint]) -> bool:
    """Whether some take a TCP connection and some do not. Never raises."""
    return len({_connects(endpoint) for endpoint in endpoints}) > 1


def _connects(endpoint: Endpoint) -> bool:
    def connect() -> None:
        socket.create_connection((endpoint.host, endpoint.port), REACHABLE_SECONDS).close()

    try:
        call_within(REACHABLE_SECONDS, connect)
    except (OSError, UnicodeError):
        return False
    return True
