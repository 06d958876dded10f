"""What no table says of the Kafka driver: its options, and how its clients get into a cluster."""

from collections.abc import Mapping
from typing import Any

from omrig.drivers import rabbit
from omrig.model.errors import UsageError
from omrig.model.transport import AMQP, KAFKA, MEMORY, Endpoint, Login

GROUP = "oslo_messaging_kafka"
"""The group of the driver's options in a configuration."""

MOCK_HOST = "mock"
"""The host of a transport URL that asks for a cluster of our own: librdkafka's, for tests."""

MOCK_PRODUCT = "librdkafka's mock cluster"

CONSUMER_GROUP = "consumer_group"
"""The option that a run never takes from a configuration: its messages would go to a service."""

GROUPS: Mapping[str, str] = {AMQP: rabbit.GROUP, MEMORY: rabbit.GROUP, KAFKA: GROUP}
"""The group of a driver's options, by what is behind it."""


def topic(run_topic: str, priority: str) -> str:
    """The topic of a run's notifications of a priority, as the driver names it."""
    return f"{run_topic}.{priority}"


def consumer_group(tag: str) -> str:
    """The group of a run's consumers: of this run alone, so that nothing older is committed."""
    return f"omrig-{tag}"


def login(transport: Any, parsed: Any, option: str) -> Login:
    """How the driver of a transport gets into the cluster that its URL names.

    Raises ``UsageError`` for a URL with which the driver cannot find its messages again.
    """
    if not any(host.hostname for host in parsed.hosts):
        raise UsageError(f"{option}: names no broker; the form is kafka://host:9092/")
    for host in parsed.hosts:
        if not host.port:
            raise UsageError(
                f"{option}: the driver knows no port but the one it is given; write"
                f" kafka://{host.hostname}:9092/, or kafka://{MOCK_HOST}/ for a cluster of our own"
            )
    if parsed.virtual_host:
        raise UsageError(
            f"{option}: the driver sends to topics with the virtual host in their names, and"
            " listens to those without it: leave it out"
        )
    first = parsed.hosts[0]
    return Login(
        endpoints=tuple(
            Endpoint(host.hostname, host.port, first.username or "", first.password or "")
            for host in parsed.hosts
            if host.hostname
        ),
        vhost="",
        client=_client(transport._driver.conf[GROUP], first),
    )


def _client(options: Any, host: Any) -> dict[str, Any]:
    """librdkafka's configuration, as the driver makes it of its options and the URL's login."""
    return {
        "security.protocol": options.security_protocol,
        "sasl.mechanism": options.sasl_mechanism,
        "sasl.username": host.username,
        "sasl.password": host.password,
        "ssl.ca.location": options.ssl_cafile,
        "ssl.certificate.location": options.ssl_client_cert_file,
        "ssl.key.location": options.ssl_client_key_file,
        "ssl.key.password": options.ssl_client_key_password,
    }
