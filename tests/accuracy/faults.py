"""Faults of known size, and where their time came to lie.

Books that close prove nothing about whose time it is, so time is taken on purpose: inside the
measured processes by a profiler mode, on the way by a proxy, in the broker by signals and alarms.
Where the fault can be turned on and off it is, in blocks of messages within one run, so that
neither a drift nor a neighbour's load counts as growth.
"""

import dataclasses
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omrig.model.units import MS
from tests.accuracy.bench import NOTHING, Bench, Run, evaluate, proxy, wait_for


@dataclasses.dataclass(frozen=True)
class Finding:
    """What became of a fault.

    ``injected`` are the stages that should have grown and by how much, in ns; where the size is
    known for all of them together only, it stands at the first and the others have 0. ``growth``
    is what each stage did grow, in ns. ``run`` is the run with the fault.
    """

    fault: str
    executor: str
    injected: Mapping[str, float]
    growth: Mapping[str, float]
    run: Run

    @property
    def size(self) -> float:
        """All that was injected, in ns."""
        return sum(self.injected.values())

    @property
    def right(self) -> float:
        """What the stages that should have grown did grow, in ns."""
        return sum(self.growth[name] for name in self.injected)

    @property
    def share(self) -> float:
        """The part of all growth that lies where it should."""
        return self.right / sum(growth for growth in self.growth.values() if growth > 0)

    @property
    def named(self) -> str:
        """The stage that grew most."""
        return max(self.growth, key=lambda name: self.growth[name])

    @property
    def largest_other(self) -> str:
        """Of the stages that should not have grown, the one that changed most."""
        others = [name for name in self.growth if name not in self.injected]
        return max(others, key=lambda name: abs(self.growth[name]))

    def growth_of(self, *buckets: str) -> float:
        """What the stages of some buckets grew together, in ns."""
        from omrig.model.stages import BY_NAME

        return sum(
            growth for name, growth in self.growth.items() if BY_NAME[name].bucket in buckets
        )


AMQP = ("amqp_request", "amqp_reply", "confirm_wait", "socket_wait", "reply_socket_wait")
CONSUMER_BUSY = (
    "receive_lag",
    "executor_queue",
    "decode_stall",
    "dispatch_stall",
    "reply_publish_stall",
)
PRODUCER_BUSY = ("reply_receive_lag", "wakeup", "publish_stall", "reply_decode_stall")


def serialize(
    bench: Bench,
    executor: str,
    size_ms: float = 2.0,
    load: tuple[str, ...] = (),
    options: Mapping[str, Any] = NOTHING,
) -> Finding:
    """The producer's serialize_msg takes longer."""
    fault = {"kind": "serialize", "side": "producer", "ms": size_ms}
    run = bench.run(executor, fault, load=load, options=options)
    return Finding("serialize", executor, {"serialize": run.injection()}, run.growth(), run)


def reply_serialize(bench: Bench, executor: str, size_ms: float = 2.0) -> Finding:
    """The consumer's serialize_msg takes longer."""
    run = bench.run(executor, {"kind": "serialize", "side": "consumer", "ms": size_ms})
    injected = {"reply_serialize": run.injection()}
    return Finding("reply_serialize", executor, injected, run.growth(), run)


def endpoint(
    bench: Bench, executor: str, size_ms: float = 5.0, load: tuple[str, ...] = ()
) -> Finding:
    """The endpoint takes longer."""
    run = bench.run(executor, {"kind": "endpoint", "side": "consumer", "ms": size_ms}, load=load)
    return Finding("endpoint", executor, {"endpoint": run.injection()}, run.growth(), run)


def large(bench: Bench, executor: str) -> Finding:
    """The endpoint takes longer, and messages have 300 KiB: several frames, several receives."""
    found = endpoint(bench, executor, load=("-s", "300"))
    return dataclasses.replace(found, fault="large")


def link(
    bench: Bench, executor: str, delay_ms: float = 20.0, options: Mapping[str, Any] = NOTHING
) -> Finding:
    """The broker is farther away: both ways of a message lead to it and from it."""
    load = ("-m", "60")
    with proxy(bench.broker.port) as (port, command):
        clean = bench.run(executor, load=load, port=port, options=options)
        slow = bench.run(
            executor,
            load=load,
            port=port,
            options=options,
            # Not before: the driver's start takes many round trips.
            meanwhile=lambda: command(f"delay {delay_ms}"),
        )
    injected = dict.fromkeys(("amqp_request", "amqp_reply"), 2 * delay_ms * MS)
    return Finding("link", executor, injected, slow.growth_since(clean), slow)


def _hog(bench: Bench, executor: str, side: str, expected: tuple[str, ...]) -> Finding:
    run = bench.run(executor, {"kind": "hog", "side": side, "ms": 20.0})
    # Some messages meet the hog, others slip through: the median tells either, the mean both.
    growth = run.growth("mean")
    # How often a message has to wait for it depends on both: its size is what was added in all.
    # The stalls exist with native threads only.
    injected = {name: 0.0 for name in expected if name in growth}
    injected[expected[0]] = sum(growth.values())
    return Finding(f"{side}_hog", executor, injected, growth, run)


def consumer_hog(bench: Bench, executor: str) -> Finding:
    """Something else in the consumer's process takes the CPU 20 ms of every 25."""
    # The executor's queue with it: no endpoint and no full pool holds the message there, but a
    # thread that exists and does not get to run.
    return _hog(bench, executor, "consumer", CONSUMER_BUSY)


def producer_hog(bench: Bench, executor: str) -> Finding:
    """Something else in the producer's process takes the CPU 20 ms of every 25."""
    return _hog(bench, executor, "producer", PRODUCER_BUSY)


def pool(bench: Bench, executor: str, delay_ms: float = 5.0) -> Finding:
    """Twenty workers share two connections, which a confirm of some ms keeps busy."""
    load = ("-w", "20", "-m", "500")
    small = {"rpc_conn_pool_size": 2, "conn_pool_min_size": 1}
    runs = []
    with proxy(bench.broker.port) as (port, command):
        for options in (NOTHING, small):
            command("delay 0")
            runs.append(
                bench.run(
                    executor,
                    load=load,
                    options=options,
                    port=port,
                    meanwhile=lambda: command(f"delay {delay_ms}"),
                )
            )
    clean, run = runs
    # The pool is unfair: only the mean counts those that wait.
    growth = run.growth_since(clean, "mean")
    # Both sides have the small pool. In a closed loop the size is what came to be.
    injected = {"pool_wait": sum(growth.values()), "reply_pool_wait": 0.0}
    return Finding("pool", executor, injected, growth, run)


def stopped(bench: Bench, executor: str, stops: int = 3) -> Finding:
    """The broker does not run for 300 ms of a second."""
    held_ns = 0

    def stop() -> None:
        nonlocal held_ns
        for _ in range(stops):
            time.sleep(0.7)
            begin = time.perf_counter_ns()
            os.kill(bench.broker.beam_pid, signal.SIGSTOP)
            try:
                time.sleep(0.3)
            finally:
                os.kill(bench.broker.beam_pid, signal.SIGCONT)
                held_ns += time.perf_counter_ns() - begin

    # Enough to last beyond the last stop, each of which holds one of them.
    run = bench.run(executor, load=("-m", str(1000 * stops)), meanwhile=stop)
    injected = dict.fromkeys(AMQP, 0.0) | {AMQP[0]: float(held_ns)}
    return Finding("stopped", executor, injected, run.excess(100 * MS), run)


def alarm(bench: Bench, executor: str, held_ms: int = 2000) -> Finding:
    """The broker is short of memory and takes nothing from those that publish."""
    set_limit = "vm_memory_monitor:set_vm_memory_high_watermark"
    with tempfile.TemporaryDirectory() as folder, futures.ThreadPoolExecutor(1) as pool:
        ready, mark = Path(folder) / "ready", Path(folder) / "mark"
        # An Erlang shell takes a core while it starts: it starts before, and the broker waits.
        waiting = pool.submit(
            evaluate,
            bench.broker,
            f'file:write_file("{ready}", []), {wait_for(mark)}, {set_limit}(0.00001),'
            f" timer:sleep({held_ms}), {set_limit}(0.4).",
        )
        while not ready.exists() and not waiting.done():
            time.sleep(0.01)
        try:
            # Few, so that most of their time is the alarm's, also where each of them takes long.
            run = bench.run(executor, load=("-m", "300"), meanwhile=mark.touch)
        finally:
            mark.touch()
        waiting.result()
    injected = dict.fromkeys(AMQP, 0.0) | {AMQP[0]: float(held_ms * MS)}
    return Finding("alarm", executor, injected, run.excess(100 * MS), run)


def reconnect(bench: Bench, executor: str) -> Finding:
    """All connections are cut once."""
    with proxy(bench.broker.port) as (port, command):

        def cut() -> None:
            time.sleep(0.5)
            command("cut")

        run = bench.run(executor, port=port, load=("-m", "1500", "--timeout", "20"), meanwhile=cut)
    growth = run.excess(100 * MS)
    # The driver finds out when it publishes, on either side, and sleeps a second before it tries
    # again; or a message is lost on the way and sent again by the broker.
    expected = ("connect", "reply_connect", *AMQP)
    injected = dict.fromkeys(expected, 0.0) | {"connect": sum(growth.values())}
    return Finding("reconnect", executor, injected, growth, run)


def tls_options(bench: Bench) -> dict[str, Any]:
    """What a client of the bench's broker needs if it speaks TLS."""
    return {"ssl": "true", "ssl_ca_file": bench.broker.ca_file} if bench.broker.ca_file else {}


def tls_link(bench: Bench, executor: str) -> Finding:
    """The link is longer, and the bytes on it are encrypted. Needs a broker that speaks TLS."""
    found = link(bench, executor, options=tls_options(bench))
    return dataclasses.replace(found, fault="tls_link")


def tls_serialize(bench: Bench, executor: str) -> Finding:
    """The producer's serialize_msg takes longer, and there is TLS as well."""
    found = serialize(bench, executor, options=tls_options(bench))
    return dataclasses.replace(found, fault="tls_serialize")


FAULTS: Mapping[str, Callable[[Bench, str], Finding]] = MappingProxyType(
    {
        fault.__name__: fault
        for fault in (
            link,
            serialize,
            reply_serialize,
            endpoint,
            consumer_hog,
            producer_hog,
            pool,
            stopped,
            alarm,
            large,
            reconnect,
            tls_link,
            tls_serialize,
        )
    }
)
"""Every fault by name."""
