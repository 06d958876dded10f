"""The transports, clients and servers of a load: those of RPC, of notifications, or of both."""

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from omrig.measured.load import notify, rpc
from omrig.measured.load.delivery import Deliveries, assigned
from omrig.measured.load.rpc import Send
from omrig.model.patterns import NOTIFICATIONS, RPC, Pattern, Traffic
from omrig.model.plan import Plan
from omrig.model.transport import KAFKA
from omrig.model.values import Json


class Kind(Protocol):
    """How one kind of traffic is sent and served: a module a kind."""

    def transport(self, conf: Any, url: Any, plan: Plan) -> Any:
        """oslo.messaging's transport of it; no connection is opened yet."""

    def client(self, transport: Any, plan: Plan) -> Any:
        """What sends it to whoever serves the messages of ``plan``; no message is sent."""

    def serve(self, transport: Any, plan: Plan, endpoint: Any) -> Any:
        """A started server with this endpoint; when this returns its queues exist.

        Raises what oslo.messaging raises when it cannot listen.
        """

    def sender(
        self, pattern: Pattern, client: Any, producer_id: str, payload: dict[str, Json]
    ) -> Send:
        """A function that sends the message with the given sequence number."""


KINDS: Mapping[Traffic, Kind] = MappingProxyType({RPC: rpc, NOTIFICATIONS: notify})


class Messaging:
    """What a measured process sends and serves with, for all traffic of its plan.

    ``conf`` is oslo.config's, ``url`` a parsed transport URL, and ``broker`` what is behind it, of
    :data:`omrig.model.transport.BROKERS`. ``deliveries`` are what is reported of messages where the
    driver sends in the background.
    """

    def __init__(self, conf: Any, url: Any, plan: Plan, broker: str) -> None:
        self._plan = plan
        self.deliveries: Deliveries | None = None
        if broker == KAFKA:
            self.deliveries = Deliveries()
            self.deliveries.watch()
        self._transports = {
            traffic: KINDS[traffic].transport(conf, _copy(url), plan)
            for traffic in plan.load.traffic
        }
        self._clients: dict[Traffic, Any] = {}
        self._servers: list[Any] = []

    def serve(self, endpoint: Any) -> None:
        """Have the messages of the plan served; when this returns their queues exist.

        Raises what oslo.messaging raises when it cannot listen.
        """
        for traffic, transport in self._transports.items():
            self._servers.append(KINDS[traffic].serve(transport, self._plan, endpoint))
        if self.deliveries:
            for server in self._servers:
                assigned(server, self._plan.load.patience_s)

    def stop_serving(self) -> None:
        """Listen no more, and wait until what came is served."""
        for server in self._servers:
            server.stop()
        for server in self._servers:
            server.wait()

    def sender(self, pattern: Pattern, producer_id: str, payload: dict[str, Json]) -> Send:
        """A function that sends the message of ``pattern`` with the given sequence number."""
        kind = KINDS[pattern.traffic]
        if pattern.traffic not in self._clients:
            transport = self._transports[pattern.traffic]
            self._clients[pattern.traffic] = kind.client(transport, self._plan)
        return kind.sender(pattern, self._clients[pattern.traffic], producer_id, payload)

    def cleanup(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            transport.cleanup()


def _copy(url: Any) -> Any:
    """The driver shuffles the hosts of the URL that it is given."""
    copied = copy.copy(url)
    copied.hosts = list(url.hosts)
    return copied
