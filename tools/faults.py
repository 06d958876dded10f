"""Does omrig name the right stage? Faults of known size, and where their time came to lie.

    tools/faults.py [--faults serialize,link,...] [--executor eventlet|threading] [--messages 200]

Prints a line for each fault and a confusion matrix: the stages that should have grown against the
stage that grew most. Exits with 1 if any fault was named wrongly.

Books that close prove nothing about whose time it is, so time is taken on purpose: inside the
measured processes by a profiler mode, :class:`Faults`, which comes from a distribution of its own
and goes in before the probes, so that these see the slow functions as the driver's own; on the way
by a proxy; in the broker by signals and alarms. Where the fault can be turned on and off it is, in
blocks of messages within one run, so that neither a drift nor a neighbour's load counts as growth.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.model.units import MS

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.model.columns import Integers

EXECUTORS = ("eventlet", "threading")

VARIABLE = "OMRIG_FAULT"
"""The environment variable that tells the mode what to do: JSON with ``kind``, ``side`` and ``ms``,
and ``mark``, a file that it makes when the load begins."""

HELD = "held.json"
"""What the mode leaves in a side's folder: ns by which it held each message."""

BLOCK = 10
"""Messages after which the fault is turned on or off. The first of a block does not count: the one
before it may still be felt."""

SETTLE_S = 0.001
"""How long a thread sleeps before it is slow. The one that has just woken it (with a reply, with a
message) is not done yet: it would get the interpreter's lock when the slow function lets go of it,
and do the rest while another stage waits, the likelier the longer the function was slow."""


# In the measured process


def faulty(seq: Any) -> bool:
    """Whether the fault is on for the message of this sequence number."""
    return isinstance(seq, int) and seq >= 0 and seq // BLOCK % 2 == 1


def burn(milliseconds: float) -> None:
    """Use the CPU for so long, in Python, without yielding to other greenlets."""
    end = time.perf_counter_ns() + int(milliseconds * MS)
    while time.perf_counter_ns() < end:
        pass


class Faults(Profiler):
    """Mode `faults`: slows the process down as the environment says, and measures nothing."""

    name = "faults"
    coexists_with = frozenset({"stages"})
    pausable = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._fault = json.loads(os.environ.get(VARIABLE, "{}"))
        self._producer = context.side == "producer"
        self._mine = context.side == self._fault.get("side")
        self._ms = self._fault.get("ms", 0.0)
        self._native = context.executor == "threading"
        self._on = False
        self._over = False
        self._burnt: dict[int, int] = {}

    def install(self) -> None:
        """Replace the function that the fault is in."""
        if self._mine and self._fault["kind"] == "serialize":
            self._on_serialize(self._burn)
        elif self._mine and self._fault["kind"] == "endpoint":
            self._on_endpoint(self._burn)
        elif self._mine and self._fault["kind"] == "hog":
            (self._on_serialize if self._producer else self._on_endpoint)(self._turn)

    def start(self) -> None:
        """Say that the load begins; let the hog loose."""
        if self._producer and self._fault.get("mark"):
            Path(self._fault["mark"]).touch()
        if self._mine and self._fault["kind"] == "hog":
            # A greenlet where the executor is eventlet: it has patched both names.
            threading.Thread(target=self._hog, daemon=True).start()

    def stop(self) -> None:
        """Tame the hog."""
        self._over = True

    def save(self, folder: Path) -> list[Artefact]:
        """Write how long each message was held, in ns by sequence number."""
        (folder / HELD).write_text(json.dumps(self._burnt))
        return []

    def _burn(self, seq: Any) -> None:
        # All messages are held, the faulty ones twice as long. A pause of any length has effects of
        # its own (other processes' cores fall asleep, other threads are owed the interpreter's
        # lock), real and no matter of the stage: so they are on both sides of the comparison.
        if isinstance(seq, int) and seq >= 0:
            begin = time.perf_counter_ns()
            if self._native:
                time.sleep(SETTLE_S)
            burn(self._ms * (2 if faulty(seq) else 1))
            # On a busy machine it is longer than asked for: other processes' turn came meanwhile.
            self._burnt[seq] = time.perf_counter_ns() - begin

    def _turn(self, seq: Any) -> None:
        self._on = faulty(seq)

    def _hog(self) -> None:
        while not self._over:
            if self._on:
                burn(self._ms)
            time.sleep(0.005)

    def _on_serialize(self, act: Callable[[Any], None]) -> None:
        from oslo_messaging._drivers import common

        original = common.serialize_msg

        def serialize_msg(message: Any) -> Any:
            # The endpoint answers with the sequence number.
            act(message["args"].get("seq") if "args" in message else message.get("result"))
            return original(message)

        common.serialize_msg = serialize_msg

    def _on_endpoint(self, act: Callable[[Any], None]) -> None:
        from omrig.measured.load import consumer

        original = consumer.Endpoint.message

        def message(endpoint: Any, ctxt: Any, seq: int, producer: str, **payload: Any) -> int:
            act(seq)
            return original(endpoint, ctxt, seq, producer, **payload)

        consumer.Endpoint.message = message  # type: ignore[method-assign,assignment]


# Runs


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's result, the stages of its messages and how long the mode held them.

    Both in ns, a row a message.
    """

    result: Mapping[str, Any]
    stages: Mapping[str, "Integers"]
    seq: "Integers"
    injected: "Integers"

    def growth(self, statistic: str = "median") -> dict[str, float]:
        """How much longer each stage is with the fault on than with it off, in ns."""
        return {name: self._growth(values, statistic) for name, values in self.stages.items()}

    def injection(self) -> float:
        """How much longer the mode held the median message with the fault on, in ns.

        By the mode's own clock: what is known of the fault, whatever the stages say.
        """
        return self._growth(self.injected, "median")

    def _growth(self, values: "Integers", statistic: str) -> float:
        import numpy

        chosen = self.seq % BLOCK != 0
        on = numpy.array([faulty(int(seq)) for seq in self.seq])
        middle = getattr(numpy, statistic)
        return float(middle(values[chosen & on]) - middle(values[chosen & ~on]))

    def growth_since(self, clean: "Run", statistic: str = "median") -> dict[str, float]:
        """How much longer each stage is than in another run, in ns."""
        import numpy

        middle = getattr(numpy, statistic)
        return {
            name: float(middle(values) - middle(clean.stages[name]))
            for name, values in self.stages.items()
        }

    def held(self, least_ns: float) -> int:
        """How many messages took ``least_ns`` longer than the median one."""
        import numpy

        whole = numpy.sum(list(self.stages.values()), axis=0)
        return int((whole > numpy.median(whole) + least_ns).sum())

    def excess(self, least_ns: float) -> dict[str, float]:
        """What the messages that took ``least_ns`` longer than the median one took longer.

        Of all of them together, in ns by stage.
        """
        import numpy

        whole = numpy.sum(list(self.stages.values()), axis=0)
        hit = whole > numpy.median(whole) + least_ns
        return {
            name: float((values[hit] - numpy.median(values)).sum())
            for name, values in self.stages.items()
        }


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Bench:
    """Makes runs against one broker, with the mode `faults` at hand."""

    def __init__(self, broker: "Embedded", folder: Path, messages: int) -> None:
        self.broker = broker
        self.messages = messages
        self._folder = folder
        self._runs = 0
        plugin = folder / "plugin"
        about = plugin / "omrig_faults-0.dist-info"
        about.mkdir(parents=True)
        (plugin / "omrig_faults.py").symlink_to(Path(__file__).resolve())
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: omrig_faults\nVersion: 0\n")
        (about / "entry_points.txt").write_text("[omrig.profilers]\nfaults = omrig_faults:Faults\n")
        self._environment = {**os.environ, "PYTHONPATH": str(plugin), "XDG_CACHE_HOME": str(folder)}

    def run(
        self,
        executor: str,
        fault: Mapping[str, Any] = NOTHING,
        *,
        load: tuple[str, ...] = (),
        options: Mapping[str, Any] = NOTHING,
        port: int | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Run:
        """One run with a single worker, unless ``load`` (further arguments) says otherwise.

        ``options`` are of the group oslo_messaging_rabbit. With ``port`` the messages go through
        it. ``meanwhile`` is called when the load begins. Raises RuntimeError if the run fails.
        """
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        mark = self._folder / f"mark-{self._runs}"
        config = self._folder / f"config-{self._runs}"
        lines = [f"{name} = {value}\n" for name, value in options.items()]
        config.write_text("".join(["[oslo_messaging_rabbit]\n", *lines]))
        url = self.broker.url
        if port:
            url = url.replace(f":{self.broker.port}/", f":{port}/")
        command = [sys.executable, "-m", "omrig", "run", "--quiet", "--profile", "faults,stages"]
        command += ["--executor", executor, "--transport-url", url, "--config-file", str(config)]
        command += ["-w", "1", "-m", str(self.messages), "--output", str(folder), *load]
        environment = {**self._environment, VARIABLE: json.dumps({**fault, "mark": str(mark)})}
        with subprocess.Popen(
            command,
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            while process.poll() is None and not mark.exists():
                time.sleep(0.01)
            if mark.exists():
                meanwhile()
            said, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"omrig ended with {process.returncode}: {said}")
        return _read(folder)


def _read(folder: Path) -> Run:
    import numpy

    from omrig.recordings import messages

    found = messages.read(folder / "producer") or messages.Messages()
    stages, seq = found.stages(), found.seq()
    if seq is None:
        raise RuntimeError(f"{folder}: the producer has no stages")
    held = {
        int(number): burnt
        for side in ("producer", "consumer")
        for number, burnt in json.loads((folder / side / HELD).read_text()).items()
    }
    injected = numpy.array([held.get(int(number), 0) for number in seq], numpy.int64)
    return Run(json.loads((folder / "result.json").read_text()), stages, seq, injected)


@contextlib.contextmanager
def proxy(port: int) -> Iterator[tuple[int, Callable[[str], None]]]:
    """A link to a port of 127.0.0.1: its own port, and how to give it commands."""
    script = Path(__file__).with_name("proxy.py")
    with subprocess.Popen(
        [sys.executable, str(script), f"127.0.0.1:{port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        commands = process.stdin

        def command(line: str) -> None:
            commands.write(f"{line}\n")
            commands.flush()

        yield int(process.stdout.readline()), command
        commands.close()


@contextlib.contextmanager
def bench(messages: int, tls: bool = False) -> Iterator[Bench]:
    """A bench with an embedded broker."""
    from omrig.broker.rabbitmq.embedded import embedded_broker

    with embedded_broker(tls=tls) as broker, tempfile.TemporaryDirectory() as folder:
        yield Bench(broker, Path(folder), messages)


# Faults


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
    bench: Bench, executor: str, size_ms: float = 2.0, options: Mapping[str, Any] = NOTHING
) -> Finding:
    """The producer's serialize_msg takes longer."""
    fault = {"kind": "serialize", "side": "producer", "ms": size_ms}
    run = bench.run(executor, fault, options=options)
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
            f'file:write_file("{ready}", []), {_wait_for(mark)}, {set_limit}(0.00001),'
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


def _wait_for(file: Path) -> str:
    """An Erlang expression that waits until a file is there."""
    look = f'case filelib:is_file("{file}") of true -> ok; false -> timer:sleep(10), Wait() end'
    return f"(fun Wait() -> {look} end)()"


def evaluate(broker: "Embedded", expression: str) -> str:
    """What the broker's Erlang machine makes of an expression."""
    from omrig.broker.rabbitmq import node

    environment = dict(
        variable.split("=", 1)
        for variable in Path(f"/proc/{broker.beam_pid}/environ").read_text().split("\0")
        if "=" in variable
    )
    done = subprocess.run(
        # Not the wrapper on PATH, which wants to be root.
        [str(node.LIB / "bin" / "rabbitmqctl"), "eval", expression],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


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


# The report


def show(findings: list[Finding]) -> None:
    """Print what became of the faults."""
    from rich.console import Console
    from rich.table import Table

    table = Table("fault", "executor", "injected", "where it should", "elsewhere", "verdict")
    for found in findings:
        expected = [f"{name} {_ms(found.growth[name])}" for name in found.injected]
        verdict = found.run.result["verdict"]
        table.add_row(
            found.fault,
            found.executor,
            _ms(found.size),
            "\n".join(expected + [f"{found.share:.1%} of all growth"]),
            f"{found.largest_other} {_ms(found.growth[found.largest_other])}",
            f"{verdict['owner']}, {verdict['stage']}: {verdict['text']}",
        )
    console = Console(width=max(160, Console().width))
    console.print(table)
    columns = sorted({found.named for found in findings})
    matrix = Table("fault, and the stages it belongs to", *columns, title="grew most")
    for fault in dict.fromkeys(found.fault for found in findings):
        mine = [found for found in findings if found.fault == fault]
        counts = [sum(found.named == name for found in mine) for name in columns]
        expected = [name for name in mine[0].injected if name in columns]
        label = f"{fault}: {', '.join(expected or mine[0].injected)}"
        matrix.add_row(label, *(str(count or "") for count in counts))
    console.print(matrix)


def _ms(nanoseconds: float) -> str:
    return f"{nanoseconds / MS:+.3f} ms"


def main() -> int:
    """Inject, print, and say whether all were named rightly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200, help="of a run with one worker")
    parser.add_argument("--executor", choices=EXECUTORS, help="default: both")
    parser.add_argument("--faults", default=",".join(FAULTS), help="default: %(default)s")
    options = parser.parse_args()
    chosen = options.faults.split(",")
    findings = []
    for speaks_tls in (False, True):
        names = [name for name in chosen if name.startswith("tls_") == speaks_tls]
        if not names:
            continue
        with bench(options.messages, tls=speaks_tls) as running:
            for name in names:
                for executor in [options.executor] if options.executor else EXECUTORS:
                    print(f"{name}, {executor}", file=sys.stderr, flush=True)
                    findings.append(FAULTS[name](running, executor))
    show(findings)
    return int(any(found.named not in found.injected for found in findings))


if __name__ == "__main__":
    sys.exit(main())
