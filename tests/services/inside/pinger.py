"""A client that pings conductors as often as it is told, in an environment of nova's.

    python pinger.py CONFIG

A line ``CALLS THREADS`` on standard input has so many calls made, each thread after thread; the
answer is a line with how long each took, in ns, and each that failed by its exception.
"""

import json
import sys
import threading
import time

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402


def main(config: str) -> None:
    # Its own object would lack options that oslo.messaging registers on the global one alone.
    cfg.CONF(["--config-file", config])
    oslo_messaging.set_transport_defaults("nova")
    transport = oslo_messaging.get_rpc_transport(cfg.CONF)
    target = oslo_messaging.Target(topic="conductor", namespace="baseapi", version="1.0")
    client = oslo_messaging.get_rpc_client(transport, target, timeout=30)
    for line in sys.stdin:
        calls, threads = map(int, line.split())
        print(json.dumps(ping(client, calls, threads)), flush=True)
    transport.cleanup()


def ping(client, calls: int, threads: int) -> dict[str, list]:
    """Call as often, divided among so many threads."""
    took_ns: list[int] = []
    failed: list[str] = []

    def work(count: int) -> None:
        for _ in range(count):
            begin = time.perf_counter_ns()
            try:
                client.call({}, "ping", arg="x")
            except oslo_messaging.MessagingException as error:
                failed.append(type(error).__name__)
            else:
                took_ns.append(time.perf_counter_ns() - begin)

    counts = [calls // threads + (number < calls % threads) for number in range(threads)]
    workers = [threading.Thread(target=work, args=(count,)) for count in counts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"took_ns": took_ns, "failed": failed}


if __name__ == "__main__":
    main(sys.argv[1])
