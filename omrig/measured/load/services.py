"""Several services in one process, that connect and declare all at once.

Each has a transport, and so connections and queues, of its own; a service that restarts with all
others of its cloud is one of them. Without ``--services`` a process is one service, and its
transport, client and server are oslo.messaging's own.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from omrig.measured.executors.base import Executor
from omrig.measured.load import deadline, rpc
from omrig.measured.load.side import SHUT_DOWN_S, now_ns
from omrig.model.plan import Plan
from omrig.model.values import Json


class Services:
    """The transports of several services."""

    def __init__(self, transports: Sequence[Any], executor: Executor) -> None:
        self.transports = transports
        self.executor = executor

    def cleanup(self) -> None:
        """Close all connections."""
        _at_once(self.executor, [each.cleanup for each in self.transports], SHUT_DOWN_S)


class Servers:
    """A server of each service, started all at once; ``listening_ns`` is how long after the
    beginning each listened, in order.

    Raises what oslo.messaging raises when one cannot listen.
    """

    def __init__(self, services: Services, plan: Plan, endpoint: object) -> None:
        self._executor = services.executor
        self._servers: list[Any] = []
        self.listening_ns: list[int] = []
        failed: list[Exception] = []
        began = now_ns()

        def listen(number: int, transport: Any) -> None:
            try:
                name = f"{rpc.server_name()}.{number}"
                self._servers.append(rpc.serve(transport, plan, endpoint, name))
                self.listening_ns.append(now_ns() - began)
            except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
                failed.append(error)

        starts = [
            functools.partial(listen, number, each)
            for number, each in enumerate(services.transports)
        ]
        is_done = _at_once(self._executor, starts, plan.load.patience_s)
        if failed:
            raise failed[0]
        if not is_done:
            raise deadline.late("not all services could listen", plan.load.patience_s)

    def stop(self) -> None:
        """Stop all servers."""
        _at_once(self._executor, [each.stop for each in self._servers], SHUT_DOWN_S)

    def wait(self) -> None:
        """Wait until they have answered what is under way."""
        _at_once(self._executor, [each.wait for each in self._servers], SHUT_DOWN_S)


class Clients:
    """A client of each service; a call goes by the one whose turn its message's number is."""

    def __init__(self, clients: Sequence[Any]) -> None:
        self._clients = clients

    def prepare(self, **target: Any) -> "Clients":
        """The same for another target."""
        return Clients([each.prepare(**target) for each in self._clients])

    def call(self, context: Any, method: str, *, seq: int, **arguments: Any) -> Json:
        """Call with the client of one service."""
        client = self._clients[seq % len(self._clients)]
        reply: Json = client.call(context, method, seq=seq, **arguments)
        return reply

    def cast(self, context: Any, method: str, *, seq: int, **arguments: Any) -> None:
        """Cast with the client of one service."""
        self._clients[seq % len(self._clients)].cast(context, method, seq=seq, **arguments)


def transport(plan: Plan, executor: Executor, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, once or for each service; nothing is connected."""
    count = plan.load.services
    return make() if count is None else Services([make() for _ in range(count)], executor)


def one_of(transport: Any) -> Any:
    """The transport of one service."""
    return transport.transports[0] if isinstance(transport, Services) else transport


def client(transport: Any, plan: Plan) -> Any:
    """A client, or one of each service."""
    if isinstance(transport, Services):
        return Clients([rpc.client(each, plan) for each in transport.transports])
    return rpc.client(transport, plan)


def serve(transport: Any, plan: Plan, endpoint: object) -> Any:
    """A started server, or one of each service.

    Raises what oslo.messaging raises when one cannot listen.
    """
    if isinstance(transport, Services):
        return Servers(transport, plan, endpoint)
    return rpc.serve(transport, plan, endpoint)


def about(server: Any) -> dict[str, Json]:
    """How long services took to listen, in ns; nothing of one alone."""
    return {"listening_ns": list(server.listening_ns)} if isinstance(server, Servers) else {}


def _at_once(executor: Executor, steps: Sequence[Callable[[], None]], within_s: float) -> bool:
    """Do all steps at the same time; whether all have ended ``within_s``."""
    end = time.monotonic() + within_s
    left = threading.Semaphore(0)

    def run(step: Callable[[], None]) -> None:
        try:
            step()
        finally:
            left.release()

    for step in steps:
        executor.spawn(functools.partial(run, step), "main")
    return all([left.acquire(timeout=max(0.0, end - time.monotonic())) for _ in steps])
