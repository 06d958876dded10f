"""The broker of a run: asked before the load, during it and after it, never by what is measured."""

from omrig.broker.base import Broker
from omrig.model.transport import MEMORY, Transport

__all__ = ["Broker", "of"]


def of(transport: Transport) -> Broker:
    """What is behind ``transport``."""
    if transport.broker == MEMORY:
        from omrig.broker.memory import MemoryBroker

        return MemoryBroker()
    from omrig.broker.amqp.broker import AmqpBroker

    return AmqpBroker(transport.login, transport.options)
