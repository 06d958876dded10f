"""The check before a run: does a broker answer, and does it let us in?"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from omrig.broker.connection import Endpoint, Login, call_within, open_first

REACHABLE_SECONDS = 1.0


@dataclass(frozen=True)
class BrokerInfo:
    """What the broker said of itself, and the address at which it did."""

    product: str
    version: str
    platform: str
    cluster_name: str
    vhost: str
    host: str
    port: int


def check(login: Login, deadline_s: float = 10.0) -> BrokerInfo:
    """Log in to the first endpoint that answers and return what the broker is.

    Takes `deadline_s` seconds at most, over all endpoints. Raises UsageError, one line saying what
    was wrong with each and what to do.
    """
    connection, endpoint = open_first(login, deadline_s)
    properties = connection.server_properties
    connection.collect()
    return BrokerInfo(
        product=_text(properties.get("product")),
        version=_text(properties.get("version")),
        platform=_text(properties.get("platform")),
        cluster_name=_text(properties.get("cluster_name")),
        vhost=login.vhost,
        host=endpoint.host,
        port=endpoint.port,
    )


def reachable(endpoints: Sequence[Endpoint]) -> bool:
    """Say whether any endpoint takes a TCP connection; each gets a second. Never raises."""
    return any(_connects(endpoint) for endpoint in endpoints)


def _connects(endpoint: Endpoint) -> bool:
    def connect() -> None:
        socket.create_connection((endpoint.host, endpoint.port), REACHABLE_SECONDS).close()

    try:
        call_within(REACHABLE_SECONDS, connect)
    except (OSError, UnicodeError):
        return False
    return True


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
