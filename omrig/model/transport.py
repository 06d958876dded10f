"""Where messages go: the parsed transport URL, and how to get into the broker behind it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from omrig.model.values import Json

AMQP, KAFKA, MEMORY = "amqp", "kafka", "memory"
BROKERS = (AMQP, KAFKA, MEMORY)
"""What may be behind a transport: a broker that speaks AMQP 0-9-1, a Kafka cluster, or the memory
of one process."""


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One address of a broker and the credentials for it."""

    host: str
    port: int
    username: str
    password: str = dataclasses.field(repr=False)

    @property
    def address(self) -> str:
        """``host:port``, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclasses.dataclass(frozen=True)
class Login:
    """How to get into a broker: its addresses, and what is said at the door.

    ``ssl_options`` are py-amqp's (``ca_certs``, ``cert_reqs``, ...), an empty mapping for TLS
    without options, None for no TLS. ``method`` is py-amqp's ``login_method``: AMQPLAIN, PLAIN or
    EXTERNAL. ``caution`` says what the driver does not pass on as the URL has it; it may be why a
    login fails. ``client`` is librdkafka's configuration for a Kafka cluster, secrets included.
    """

    endpoints: Sequence[Endpoint]
    vhost: str = "/"
    ssl_options: Mapping[str, object] | None = None
    method: str = "AMQPLAIN"
    caution: str = ""
    client: Mapping[str, object] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True)
class Setting:
    """An option as the driver uses it: its value, where that is from, and whether it is usual.

    ``source`` is a file, a variable of the environment, the query of the transport URL, an option
    of omrig's or ``default``.
    """

    value: Any
    source: str
    is_default: bool


@dataclasses.dataclass(frozen=True)
class Transport:
    """Where messages go: the parsed transport URL and what is needed to reach the broker.

    ``broker`` is one of :data:`BROKERS`, ``patterns`` are what the driver carries. ``redacted`` is
    the URL without password, for people and files. ``source`` says where the URL came from, and
    ``is_named`` whether the command line named it. ``options`` are the driver's, as it resolves
    them; ``settings`` are all of oslo.messaging's that are no secret, by name.
    """

    scheme: str
    broker: str
    patterns: tuple[str, ...]
    login: Login
    options: Mapping[str, Json]
    settings: Mapping[str, Setting]
    redacted: str
    source: str
    is_named: bool
    url: str = dataclasses.field(repr=False)
