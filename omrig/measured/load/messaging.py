"""The transports, clients and servers of a load: those of RPC, of notifications, or of both."""

import copy
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from omrig.measured.executors.base import Executor
from omrig.measured.load import notify, rpc, services
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
        self, pattern: Pattern, client: Any, producer_id: str, payload: Mapping[str, Json]
    ) -> Send:
        """A function that sends the message with the given sequence number."""


KINDS: Mapping[Traffic, Kind] = MappingProxyType({RPC: rpc, NOTIFICATIONS: notify})


class Messaging:
    """What a measured process sends and serves with, for all traffic of its plan.

    ``conf`` is oslo.config's, ``url`` a parsed transport URL, and ``broker`` what is behind it, of
    :data:`omrig.model.transport.BROKERS`; several services are made by ``executor``. ``deliveries``
    are what is reported of messages where the
    driver sends in the background.
    """

    def __init__(self, conf: Any, url: Any, plan: Plan, broker: str, executor: Executor) -> None:
        self._plan = plan
        self.deliveries: Deliveries | None = None
        if broker == KAFKA:
            self.deliveries = Deliveries()
            self.deliveries.watch()
        self._transports = {
            traffic: services.transport(
                plan,
                executor,
                functools.partial(_transport, KINDS[traffic], conf, url, plan),
            )
            for traffic in plan.load.traffic
        }
        self._clients: dict[Traffic, Any] = {}
        self._servers: list[Any] = []

    def rpc_transport(self) -> Any:
        """The transport of RPC, that of one service where a process is several."""
        return services.one_of(self._transports[RPC])

    def serve(self, endpoint: Any) -> None:
        """Have the messages of the plan served; when this returns their queues exist.

        Raises what oslo.messaging raises when it cannot listen.
        """
        for traffic, transport in self._transports.items():
            self._servers.append(_making(traffic).serve(transport, self._plan, endpoint))
        if self.deliveries:
            for server in self._servers:
                assigned(server, self._plan.load.patience_s)

    def stop_serving(self) -> None:
        """Listen no more, and wait until what came is served."""
        for server in self._servers:
            server.stop()
        for server in self._servers:
            server.wait()

    def about(self) -> dict[str, Json]:
        """What is to be told of how the servers began."""
        found: dict[str, Json] = {}
        for server in self._servers:
            found |= services.about(server)
        return found

    def sender(
        self,
        pattern: Pattern,
        producer_id: str,
        payload: Mapping[str, Json],
        taking: Callable[[Any], Any],
    ) -> Send:
        """A function that sends the message of ``pattern`` with the given sequence number.

        ``taking`` makes of an RPC client what is called in its place.
        """
        traffic = pattern.traffic
        if traffic not in self._clients:
            client = _making(traffic).client(self._transports[traffic], self._plan)
            self._clients[traffic] = taking(client) if traffic == RPC else client
        return KINDS[traffic].sender(pattern, self._clients[traffic], producer_id, payload)

    def cleanup(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            transport.cleanup()


def _making(traffic: Traffic) -> Any:
    """What makes clients and servers of a kind: of RPC those of one service or of several."""
    return services if traffic == RPC else KINDS[traffic]


def _transport(kind: Kind, conf: Any, url: Any, plan: Plan) -> Any:
    return kind.transport(conf, _copy(url), plan)


def _copy(url: Any) -> Any:
    """The driver shuffles the hosts of the URL that it is given."""
    copied = copy.copy(url)
    copied.hosts = list(url.hosts)
    return copied
