"""A process with many ends of connections to a broker, for tools/fleet_connections.py.

    tools/connection_ends.py KIND EXECUTOR AT_ONCE    (transport URL in the environment: BARE_URL)

So many connect AT_ONCE. Each line of standard input says how many there are to be, and is answered
when they are there, or with what went wrong. It ends with its input.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bare_loop import Endpoint, patch

TOPIC = "omrig-connections"

HEARTBEAT_S = 20
"""As often as oslo.messaging does, whose connections are dead after 60 s without one."""

CONNECT_S = 30.0
"""After this a bare connection is refused."""


def _of_server(executor: str) -> Callable[[int], Any]:
    import oslo_messaging
    from oslo_config import cfg

    cfg.CONF([])

    def make(number: int) -> Any:
        transport = oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["BARE_URL"])
        name = f"agent-{os.getpid()}-{number}"
        server = oslo_messaging.get_rpc_server(
            transport,
            oslo_messaging.Target(exchange=TOPIC, topic=TOPIC, server=name),
            [Endpoint()],
            executor=executor,
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        server.start()
        return server

    return make


def _of_client() -> Callable[[int], Any]:
    import oslo_messaging
    from oslo_config import cfg

    cfg.CONF([])

    def make(number: int) -> Any:
        transport = oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["BARE_URL"])
        target = oslo_messaging.Target(exchange=TOPIC, topic=TOPIC)
        client = oslo_messaging.get_rpc_client(transport, target)
        if client.call({}, "message", seq=number) != number:
            raise RuntimeError("a call got the reply of another")
        return transport

    return make


def _of_bare() -> Callable[[int], Any]:
    import amqp
    from oslo_config import cfg
    from oslo_messaging import TransportURL

    host = TransportURL.parse(cfg.CONF, os.environ["BARE_URL"]).hosts[0]
    open_ones: list[Any] = []

    def beat() -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            for each in list(open_ones):
                each.send_heartbeat()

    def make(_number: int) -> Any:
        connection = amqp.Connection(
            f"{host.hostname}:{host.port}",
            host.username,
            host.password,
            heartbeat=60,
            connect_timeout=CONNECT_S,
        )
        connection.connect()
        channel = connection.channel()
        queue = channel.queue_declare(exclusive=True).queue
        channel.basic_consume(queue, callback=print)
        open_ones.append(connection)
        return connection

    threading.Thread(target=beat, daemon=True).start()
    return make


def serve(kind: str, executor: str, at_once: int) -> None:
    """Make as many ends as each line of standard input says, and tell when they are there."""
    patch(executor)
    make = {
        "server": lambda: _of_server(executor),
        "client": _of_client,
        "bare": _of_bare,
    }[kind]()
    kept: list[Any] = []
    print("ready", flush=True)
    # To wait in a read would keep green threads from running.
    while select.select([sys.stdin], [], [])[0] and (line := os.read(sys.stdin.fileno(), 64)):
        try:
            with ThreadPoolExecutor(at_once) as pool:
                kept += pool.map(make, range(len(kept), int(line)))
        except Exception as error:  # noqa: BLE001 - told to who asked
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
        else:
            print("there", flush=True)
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
