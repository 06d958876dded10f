"""A bare loop over oslo.messaging, to compare omrig with: no rig, no records, the same load.

    tools/bare_loop.py server EXECUTOR            (transport URL in the environment: BARE_URL)
    tools/bare_loop.py client EXECUTOR MESSAGES WORKERS SIZE_BYTES WARMUP

The client prints messages per second.
"""

import itertools
import logging
import os
import sys
import time
import warnings

TOPIC = "omrig-bare"


def patch(executor: str) -> None:
    """Make the process what the executor needs, as a service does."""
    warnings.simplefilter("ignore")
    if executor == "eventlet":
        import eventlet

        eventlet.monkey_patch()
    else:
        from oslo_service import backend

        vars(sys)["modules"]["eventlet"] = None
        backend.init_backend(backend.BackendType.THREADING)


class Endpoint:
    """Answers with the sequence number."""

    def message(self, ctxt: object, seq: int, **payload: object) -> int:  # noqa: ARG002
        """One message."""
        return seq


def serve() -> None:
    """Serve until killed."""
    import oslo_messaging
    from oslo_config import cfg

    cfg.CONF([])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["BARE_URL"])
    target = oslo_messaging.Target(exchange=TOPIC, topic=TOPIC, server="bare")
    server = oslo_messaging.get_rpc_server(
        transport, target, [Endpoint()], access_policy=oslo_messaging.DefaultRPCAccessPolicy
    )
    server.start()
    print("ready", flush=True)
    while True:
        time.sleep(1)


def load(messages: int, workers: int, size_bytes: int, warmup: int) -> None:
    """Send the load and print the rate."""
    import threading

    import oslo_messaging
    from oslo_config import cfg

    from omrig.model import payload

    cfg.CONF([])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["BARE_URL"])
    target = oslo_messaging.Target(exchange=TOPIC, topic=TOPIC)
    client = oslo_messaging.get_rpc_client(transport, target).prepare()
    arguments = payload.build(size_bytes)

    def work(numbers: "itertools.islice[int]") -> None:
        for seq in numbers:
            client.call({}, "message", seq=seq, **arguments)

    def run(count: int, parallel: int) -> float:
        numbers = itertools.islice(itertools.count(), count)
        threads = [threading.Thread(target=work, args=(numbers,)) for _ in range(parallel)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    if warmup:
        run(warmup, min(warmup, workers))
    print(messages / run(messages, workers), flush=True)
    os._exit(0)


if __name__ == "__main__":
    patch(sys.argv[2])
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1] == "server":
        serve()
    else:
        load(*map(int, sys.argv[3:]))
