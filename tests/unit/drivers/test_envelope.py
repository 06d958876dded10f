"""The size of a message is what kombu is given to publish."""

import dataclasses

import pytest

from omrig.drivers import configuration, envelope
from omrig.measured.load import rpc
from omrig.model import payload
from omrig.model.load import Load
from omrig.model.patterns import PATTERNS
from omrig.model.plan import Plan

LOAD = Load(messages=100, size_bytes=10_240)
PLAN = Plan(sides=("producer",), run_id="r", load=LOAD)


def published(plan, monkeypatch):
    """Bytes of the body that goes to the broker for a message of ``plan``."""
    import kombu.messaging
    import oslo_messaging

    bodies = []

    class Published(Exception):
        pass

    def publish(_self, body, *_):
        bodies.append(body)
        raise Published

    monkeypatch.setattr(kombu.messaging.Producer, "_publish", publish)
    transport = oslo_messaging.get_rpc_transport(configuration.load(plan).conf, "kombu+memory:////")
    client = oslo_messaging.get_rpc_client(
        transport, oslo_messaging.Target(exchange="omrig", topic="omrig"), timeout=1
    )
    send = rpc.sender(
        PATTERNS[plan.load.pattern], client, "0" * 32, payload.build(plan.load.size_bytes)
    )
    with pytest.raises(oslo_messaging.MessageDeliveryFailure):
        send(plan.load.messages - 1)
    transport.cleanup()
    body = bodies[0]
    return len(body if isinstance(body, bytes) else body.encode())


@pytest.mark.parametrize("pattern", ["call", "cast"])
@pytest.mark.parametrize("size", [0, 20, 1000, 4096, 4097, 204_800])
def test_the_size_is_that_of_what_is_published(monkeypatch, pattern, size):
    plan = dataclasses.replace(
        PLAN, load=dataclasses.replace(LOAD, pattern=pattern, size_bytes=size)
    )
    assert envelope.body_bytes(plan, {}) == published(plan, monkeypatch)


def test_a_compressed_message_is_smaller():
    plain = envelope.body_bytes(PLAN, {})
    assert 0 < envelope.body_bytes(PLAN, {"kombu_compression": "gzip"}) < plain / 2


def test_a_consumer_sends_no_load():
    assert envelope.body_bytes(dataclasses.replace(PLAN, sides=("consumer",)), {}) == 0
