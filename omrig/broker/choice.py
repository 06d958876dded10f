"""Which broker is behind a transport."""

from omrig.broker.base import Broker
from omrig.model.transport import KAFKA, MEMORY, Transport


def of(transport: Transport) -> Broker:
    """What is behind ``transport``."""
    if transport.broker == MEMORY:
        from omrig.broker.memory import MemoryBroker

        return MemoryBroker()
    if transport.broker == KAFKA:
        from omrig.broker.kafka import KafkaBroker

        return KafkaBroker(transport.login)
    from omrig.broker.amqp.broker import AmqpBroker

    return AmqpBroker(transport.login, transport.options)
