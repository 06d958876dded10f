"""The drivers of oslo.messaging that omrig knows, each as its stage map describes it."""

import dataclasses

from omrig.drivers import maps
from omrig.model.errors import UsageError
from omrig.model.transport import AMQP


@dataclasses.dataclass(frozen=True)
class Driver:
    """A driver: the transport URLs that it takes, what it carries, and what is behind it.

    ``name`` is its stage map's, ``patterns`` are of :data:`omrig.drivers.maps.PATTERNS`, and
    ``broker`` is one of :data:`omrig.model.transport.BROKERS`.
    """

    name: str
    schemes: tuple[str, ...]
    patterns: tuple[str, ...]
    broker: str

    @property
    def logs_in(self) -> bool:
        """Whether there is a broker behind it, which it reaches by AMQP 0-9-1."""
        return self.broker == AMQP


def known() -> list[Driver]:
    """The drivers that omrig's own maps describe, in the order of their names."""
    return [
        Driver(each.name, each.schemes, each.patterns, each.broker)
        for each in maps.known().values()
        if each.broker
    ]


def by_scheme(scheme: str, option: str) -> Driver:
    """The driver of a transport URL's scheme; ``option`` says whose URL it is, for errors.

    Raises ``UsageError`` for a driver that omrig cannot measure.
    """
    drivers = known()
    for driver in drivers:
        if scheme in driver.schemes:
            return driver
    *others, last = sorted((each.schemes[0] for each in drivers), reverse=True)
    raise UsageError(
        f"{option}: omrig sends over {', '.join(others)} or {last}, not over {scheme!r}; name a"
        " broker that speaks AMQP 0-9-1, or for notifications a Kafka cluster"
    )
