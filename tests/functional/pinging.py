"""A service as others write them, which knows nothing of omrig: it is started as a program.

    pinging.py serve URL TOPIC [--green] [--workers N] [--spawn]
    pinging.py load URL TOPIC [--green] [--threads N] [--messages N]

``serve`` says ``listens`` for each worker that does, and ends by SIGTERM. ``load`` calls until it
gets SIGTERM, or so many times, and then says as JSON what came of it, and what it found in its own
process and in those that serve, before and afterwards.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

OPTIONS = argparse.ArgumentParser()
OPTIONS.add_argument("role", choices=("serve", "load"))
OPTIONS.add_argument("url")
OPTIONS.add_argument("topic")
OPTIONS.add_argument("--green", action="store_true")
OPTIONS.add_argument("--workers", type=int, default=0)
OPTIONS.add_argument("--spawn", action="store_true")
OPTIONS.add_argument("--threads", type=int, default=1)
OPTIONS.add_argument("--messages", type=int, default=0)
OPTIONS.add_argument("--timeout", type=float, default=20)
OPTIONS.add_argument("--early", action="store_true", help="connected before workers are made")
OPTIONS.add_argument("--fault", action="store_true", help="what looks at messages fails")
OPTIONS.add_argument("--without", default="", help="what cannot be imported here")

FUNCTIONS = (
    ("oslo_messaging.rpc.client", "_BaseCallContext", "call"),
    ("oslo_messaging._drivers.amqpdriver", "AMQPDriverBase", "_send"),
    ("oslo_messaging._drivers.amqpdriver", "AMQPIncomingMessage", "reply"),
    ("oslo_messaging._drivers.amqpdriver", "ReplyWaiters", "get"),
    ("oslo_messaging._drivers.pool", "Pool", "get"),
    ("oslo_messaging._drivers.impl_rabbit", "Consumer", "_callback"),
    ("oslo_messaging.rpc.server", "RPCServer", "_process_incoming"),
    ("oslo_messaging.rpc.dispatcher", "RPCDispatcher", "_do_dispatch"),
    ("amqp.channel", "Channel", "basic_publish_confirm"),
    ("kombu.messaging", "Producer", "_prepare"),
    ("kombu.message", "Message", "_decode"),
)


def codes():
    return [
        getattr(getattr(importlib.import_module(module), owner), name).__code__
        for module, owner, name in FUNCTIONS
    ]


class Facts:
    """What a process has, besides what it had when it was made."""

    def __init__(self, green):
        self.codes = codes()
        self.green = green

    def __call__(self):
        maps = Path("/proc/self/maps").read_text().splitlines()
        opened = []
        for path in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                opened.append(str(path.readlink()))
        own = codes()
        return {
            "pid": os.getpid(),
            "replaced": [
                ".".join(where)
                for where, one, other in zip(FUNCTIONS, self.codes, own, strict=True)
                if one is not other
            ],
            "threads": len(list(Path("/proc/self/task").iterdir())) - own_threads(self.green),
            "mapped": sorted({line.split()[-1] for line in maps if line.endswith(".rows")}),
            "rows": [each for each in opened if each.endswith(".rows")],
            "attributes": sorted(
                {
                    f"{type(each).__name__}.{name}"
                    for each in transports()
                    for name in ("_write", "_quick_recv")
                    if "sendall" not in repr(getattr(each, name))
                    and "recv" not in repr(getattr(each, name))
                }
            ),
        }


def own_threads(green):
    return 1 if green else threading.active_count()


def transports():
    import gc

    from amqp.transport import _AbstractTransport

    return [each for each in gc.get_objects() if isinstance(each, _AbstractTransport)]


class Endpoint:
    """What is served."""

    def __init__(self, facts):
        self.facts = facts

    def ping(self, _ctxt, number):
        return number

    def tell(self, _ctxt):
        return self.facts()


def transport(options):
    import oslo_messaging
    from oslo_config import cfg

    conf = cfg.CONF
    conf([], project="pinging")
    made = oslo_messaging.get_rpc_transport(conf, url=options.url)
    if options.fault:
        sys.modules["omrig.measured.probes.messages"].request_number = fail
    return oslo_messaging, made


def fail(*_):
    raise ArithmeticError("asked to fail")


def client(messaging, made, options):
    target = messaging.Target(topic=options.topic)
    return messaging.get_rpc_client(made, target, timeout=options.timeout)


def serve(options, number):
    messaging, made = transport(options)
    endpoint = Endpoint(Facts(options.green))
    target = messaging.Target(topic=options.topic, server=f"server-{number}")
    executor = "eventlet" if options.green else "threading"
    server = messaging.get_rpc_server(made, target, [endpoint], executor=executor)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server.start()
    print("listens", os.getpid(), flush=True)
    while not ended.is_set():
        time.sleep(0.05)
    server.stop()
    server.wait()
    made.cleanup()


def end_all(pids):
    for pid in pids:
        # Of one that was killed nothing may be left.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def served_by_children(options):
    # As a service does: the driver is there before it forks; a connection should not be.
    messaging, made = transport(options)
    if options.early:
        client(messaging, made, options).prepare(topic="nobodys").cast({}, "note")
    pids = []
    for number in range(options.workers):
        if options.spawn:
            import multiprocessing

            child = multiprocessing.get_context("spawn").Process(
                target=spawned, args=(options, number)
            )
            child.start()
            pids.append(child.pid)
        elif pid := os.fork():
            pids.append(pid)
        else:
            status = 1
            try:
                serve(options, number)
                status = 0
            except Exception:  # noqa: BLE001 - said, and the child ends
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
    signal.signal(signal.SIGTERM, lambda *_: end_all(pids))
    codes = []
    for pid in pids:
        while True:
            try:
                _, status = os.waitpid(pid, 0)
                break
            except InterruptedError:
                continue
        codes.append(os.waitstatus_to_exitcode(status))
    print(json.dumps(codes))
    return max(map(abs, codes))


def spawned(options, number):
    if options.green:
        import eventlet

        eventlet.monkey_patch()
    serve(options, number)


class Load:
    """What calls, in several threads."""

    def __init__(self, options):
        self.options = options
        messaging, made = transport(options)
        self.client = client(messaging, made, options)
        self.facts = Facts(options.green)
        self.sent = self.answered = 0
        self.errors = []
        self.lock = threading.Lock()
        self.ended = False
        self.transport = made

    def tell(self):
        servers = range(max(1, self.options.workers))
        asked = [
            self.client.prepare(server=f"server-{number}").call({}, "tell") for number in servers
        ]
        return [self.facts(), *asked]

    def call(self):
        while not self.ended and (not self.options.messages or self.sent < self.options.messages):
            with self.lock:
                self.sent += 1
                number = self.sent
            try:
                is_answered = self.client.call({}, "ping", number=number) == number
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self.errors.append(f"{type(error).__name__}: {error}")
                continue
            with self.lock:
                self.answered += is_answered

    def end(self, *_):
        self.ended = True

    def run(self):
        signal.signal(signal.SIGTERM, self.end)
        self.client.call({}, "ping", number=0)
        before = self.tell()
        print("loads", os.getpid(), flush=True)
        threads = [threading.Thread(target=self.call) for _ in range(self.options.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = {
            "sent": self.sent,
            "answered": self.answered,
            "errors": self.errors[:5],
            "before": before,
            "after": self.tell(),
        }
        self.transport.cleanup()
        print(json.dumps(told))


def main():
    options = OPTIONS.parse_args()
    for name in filter(None, options.without.split(",")):
        assert importlib.util.find_spec(name) is None, name
    if options.green:
        import eventlet

        eventlet.monkey_patch()
    else:
        from oslo_service import backend

        backend.init_backend(backend.BackendType.THREADING)
    if options.role == "load":
        Load(options).run()
    elif options.workers:
        sys.exit(served_by_children(options))
    else:
        serve(options, 0)


if __name__ == "__main__":
    main()
