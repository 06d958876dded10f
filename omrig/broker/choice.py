"""Which broker is behind a transport."""

from omrig.broker.base import Broker
from omrig.model.transport import MEMORY, Transport


def of(transport: Transport) -> Broker:
    """What is behind ``transport``."""
    if transport.broker == MEMORY:
        from omrig.broker.memory import MemoryBroker

        return MemoryBroker()
    from omrig.broker.amqp.broker import AmqpBroker

    return AmqpBroker(transport.login, transport.options)
