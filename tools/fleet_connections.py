#!/usr/bin/env python
"""What a connection costs when nothing is sent over it: the figures of doc/fleet.rst.

    tools/fleet_connections.py KIND [--counts 100,1000] [--processes 1] [--executor threading]
                               [--idle 20] [--broker-option KEY=VALUE] [--json]

Opens ends of a KIND in processes of this host, on a RabbitMQ of its own, and says what one more of
them takes of memory, CPU, threads and descriptors, on its own side and on the broker's:

    server   an RPC server of a transport of its own, as an agent has: queues that it listens to
    client   a transport with which one call was made, as a service has that called: a connection
             with the queue of its replies, and one to send by
    bare     an AMQP connection of py-amqp with a channel and a queue that it consumes from, and
             a heartbeat each 20 s: what the protocol takes without oslo.messaging

The counts are of all processes together, and each is measured when that many are there. It stops
before the host has no more to give (see ``room``), and says what it was that ran out. The ports are
those of one address: in a network namespace of its own it takes none from anybody else:

    unshare --net sh -c 'ip link set lo up; exec tools/fleet_connections.py bare --counts 20000'
"""

import argparse
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from omrig.broker.rabbitmq.embedded import Embedded, embedded_broker
from tests.rabbitmqctl import control

KINDS = ("server", "client", "bare")

SETTLE_S = 3.0
"""After this what connecting took is over."""

AT_ONCE = 8
"""How many connect at the same time, of all processes together."""

MOST_WAITING = 16.0
"""Of so many threads a core that want to run, over a minute, the host is not to be asked more."""

MEMORY_LEFT = 4 << 30
"""Bytes that are left to the rest of the host."""

THREADS_LEFT = 0.25
"""Part of all threads that a kernel can have that is left to the rest of the host."""

_OF_BROKER = """
io:format("~p ~p ~p ~p~n", [vm_memory_monitor:get_process_memory(),
    vm_memory_monitor:get_memory_limit(), erlang:system_info(process_count),
    length(rabbit_alarm:get_alarms())]).
"""

_LIMITS = """
io:format("~p ~p ~p~n", [proplists:get_value(sockets_limit, file_handle_cache:info()),
    erlang:system_info(process_limit), erlang:system_info(port_limit)]).
"""


@dataclasses.dataclass(frozen=True)
class Use:
    """What the processes of a side hold: bytes that are theirs alone, and what CPU they took."""

    memory_bytes: int
    cpu_seconds: float
    threads: int
    descriptors: int


@dataclasses.dataclass(frozen=True)
class Row:
    """What was there with ``count`` ends, which had ``connections``.

    ``seconds`` they took to connect all that were not there before. ``broker_counted_bytes`` is the
    memory that RabbitMQ counts as its own: with more than ``broker_limit_bytes`` it raises an alarm
    and takes no message from anybody. CPU is in cores, over the idle time.
    """

    count: int
    connections: int
    seconds: float
    ends: Use
    broker: Use
    broker_counted_bytes: int
    broker_limit_bytes: int
    broker_processes: int
    broker_alarms: int
    connecting_cpu_seconds: float
    broker_connecting_cpu_seconds: float
    idle_cores: float
    broker_idle_cores: float


class Ends:
    """The processes that hold the ends."""

    def __init__(self, kind: str, executor: str, processes: int, url: str) -> None:
        share = max(1, AT_ONCE // processes)
        self.processes = [_started(kind, executor, share, url) for _ in range(processes)]
        for each in self.processes:
            _heard(each)

    def grow(self, count: int) -> None:
        """Have ``count`` ends in all. Raises RuntimeError with what a process could not do."""
        share, more = divmod(count, len(self.processes))
        for number, each in enumerate(self.processes):
            assert each.stdin
            each.stdin.write(f"{share + (number < more)}\n")
            each.stdin.flush()
        for each in self.processes:
            if (said := _heard(each)) != "there":
                raise RuntimeError(said)

    def pids(self) -> list[int]:
        """The processes' ids."""
        return [each.pid for each in self.processes]

    def end(self) -> None:
        """End all."""
        for each in self.processes:
            each.kill()
        for each in self.processes:
            each.communicate()


def _started(kind: str, executor: str, at_once: int, url: str) -> "subprocess.Popen[str]":
    program = Path(__file__).with_name("connection_ends.py")
    return subprocess.Popen(
        [sys.executable, str(program), kind, executor, str(at_once)],
        env={**os.environ, "BARE_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip() or "its process ended"


def use(pids: Sequence[int]) -> Use:
    """What processes hold now."""
    processes = [psutil.Process(pid) for pid in pids]
    times = [each.cpu_times() for each in processes]
    return Use(
        memory_bytes=sum(each.memory_full_info().uss for each in processes),
        cpu_seconds=sum(each.user + each.system for each in times),
        threads=sum(each.num_threads() for each in processes),
        descriptors=sum(each.num_fds() for each in processes),
    )


def connections(port: int) -> int:
    """How many are established to a port of this host, by the kernel's own table."""
    ending, found = f":{port:04X}", 0
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            found += fields[1].endswith(ending) and fields[3] == "01"
    return found


def room() -> str:
    """What the host has no more of; empty while it has room."""
    if psutil.virtual_memory().available < MEMORY_LEFT:
        return f"less than {MEMORY_LEFT >> 30} GiB of memory are available"
    waiting, cores = os.getloadavg()[0], os.cpu_count() or 1
    if waiting > MOST_WAITING * cores:
        return f"{waiting:.0f} threads want to run on {cores} cores"
    threads = int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    if threads > most * (1 - THREADS_LEFT):
        return f"{threads:,} threads of the {most:,} that kernel.pid_max allows"
    return ""


def measure(broker: Embedded, ends: Ends, count: int, idle_s: float) -> Row:
    """Have ``count`` ends, and measure them while nothing is sent."""
    mine, theirs = use(ends.pids()), use([broker.beam_pid])
    began = time.monotonic()
    ends.grow(count)
    seconds = time.monotonic() - began
    time.sleep(SETTLE_S)
    connected = use(ends.pids()), use([broker.beam_pid])
    began = time.monotonic()
    time.sleep(idle_s)
    after, of_broker = use(ends.pids()), use([broker.beam_pid])
    lasted = time.monotonic() - began
    counted, limit, erlang_processes, alarms = map(
        int, control(broker, "eval", _OF_BROKER).split()[:4]
    )
    return Row(
        count=count,
        connections=connections(broker.port),
        seconds=seconds,
        ends=after,
        broker=of_broker,
        broker_counted_bytes=counted,
        broker_limit_bytes=limit,
        broker_processes=erlang_processes,
        broker_alarms=alarms,
        connecting_cpu_seconds=connected[0].cpu_seconds - mine.cpu_seconds,
        broker_connecting_cpu_seconds=connected[1].cpu_seconds - theirs.cpu_seconds,
        idle_cores=(after.cpu_seconds - connected[0].cpu_seconds) / lasted,
        broker_idle_cores=(of_broker.cpu_seconds - connected[1].cpu_seconds) / lasted,
    )


def rows(broker: Embedded, options: argparse.Namespace) -> Iterator[Row]:
    """A row for an end in each process, then for each count that the host has room for."""
    answering = Ends("server", "threading", 1, broker.url) if options.kind == "client" else None
    if answering:
        answering.grow(1)
    ends = Ends(options.kind, options.executor, options.processes, broker.url)
    try:
        # The first of a process imports what all others share.
        for count in (options.processes, *options.counts):
            if lacking := room():
                print(f"! {count:,} were not tried: {lacking}", file=sys.stderr)
                return
            try:
                yield measure(broker, ends, count, options.idle)
            except RuntimeError as error:
                there = connections(broker.port)
                print(f"! at {there:,} connections: {error}", file=sys.stderr)
                return
    finally:
        ends.end()
        if answering:
            answering.end()


def _each_ms(seconds: float, row: Row, before: Row) -> float:
    """What was used to connect, for each of the connections since the row before."""
    many = row.connections - before.connections
    return 1e3 * seconds / many if many else 0.0


def lines(row: Row, first: Row, before: Row) -> Iterator[str]:
    """A row in words: what each connection takes beyond those of the first row.

    ``before`` is the row before it.
    """
    many = row.connections - first.connections

    def each(figure: Callable[[Row], float], scale: float = 1.0) -> float:
        return scale * (figure(row) - figure(first)) / many if many else 0.0

    if row is first:
        yield f"{row.count:,} ends, {row.connections:,} connections to begin with"
        return
    yield (
        f"{row.count:,} ends, {row.connections:,} connections; the last"
        f" {row.connections - before.connections:,} took {row.seconds:.1f} s to connect, each"
        f" {_each_ms(row.connecting_cpu_seconds, row, before):.1f} ms of CPU and"
        f" {_each_ms(row.broker_connecting_cpu_seconds, row, before):.1f} ms of the broker's"
    )
    yield (
        f"  processes {row.ends.memory_bytes >> 20:,} MiB, {row.ends.threads:,} threads;"
        f" a connection {each(lambda r: r.ends.memory_bytes, 1 / 1024):.1f} KiB,"
        f" {each(lambda r: r.ends.threads):.2f} threads,"
        f" {each(lambda r: r.ends.descriptors):.2f} descriptors,"
        f" {each(lambda r: r.idle_cores, 1e6):.1f} us of CPU a second"
    )
    yield (
        f"  broker {row.broker.memory_bytes >> 20:,} MiB, counts {row.broker_counted_bytes >> 20:,}"
        f" MiB of {row.broker_limit_bytes >> 20:,}, {row.broker_alarms} alarms;"
        f" a connection {each(lambda r: r.broker.memory_bytes, 1 / 1024):.1f} KiB,"
        f" counted {each(lambda r: r.broker_counted_bytes, 1 / 1024):.1f} KiB,"
        f" {each(lambda r: r.broker.descriptors):.2f} descriptors,"
        f" {each(lambda r: r.broker_processes):.1f} processes of Erlang,"
        f" {each(lambda r: r.broker_idle_cores, 1e6):.1f} us of CPU a second"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--counts", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--executor", choices=("threading", "eventlet"), default="threading")
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--broker-option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.counts = options.counts or [1000]
    # The broker and the processes end with the blocks that they were started in.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # What this process may open is what the broker and the ends may.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"# descriptors: {most:,} a process", flush=True)
    extra = dict(each.split("=", 1) for each in options.broker_option)
    with embedded_broker(extra_config=extra) as broker:
        print(f"# broker's limits: {control(broker, 'eval', _LIMITS).split()[:3]}", flush=True)
        first = before = None
        for row in rows(broker, options):
            first, before = first or row, before or row
            in_words = lines(row, first, before)
            said = [json.dumps(dataclasses.asdict(row))] if options.json else in_words
            print(*said, sep="\n", flush=True)
            before = row


if __name__ == "__main__":
    main()
