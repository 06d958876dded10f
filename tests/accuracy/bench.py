"""Runs with faults in them: a broker, the modes that inject, a link that can be made longer."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tests.accuracy import injection
from tests.accuracy.injection import BLOCK, FAULT, HELD, faulty

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.model.columns import Integers

EXECUTORS = ("eventlet", "threading")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's result, the stages of its messages and how long the mode held them.

    Both in ns, a row a message. ``folder`` is what the run left, as long as the bench is there.
    """

    result: Mapping[str, Any]
    stages: Mapping[str, "Integers"]
    seq: "Integers"
    injected: "Integers"
    folder: Path

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
        (plugin / "omrig_faults.py").symlink_to(Path(injection.__file__).resolve())
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: omrig_faults\nVersion: 0\n")
        (about / "entry_points.txt").write_text(
            "[omrig.profilers]\nfaults = omrig_faults:Faults\nplanted = omrig_faults:Planted\n"
        )
        self.environment = {**os.environ, "PYTHONPATH": str(plugin), "XDG_CACHE_HOME": str(folder)}

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
        environment = {**self.environment, FAULT: json.dumps({**fault, "mark": str(mark)})}
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
    return Run(json.loads((folder / "result.json").read_text()), stages, seq, injected, folder)


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


def wait_for(file: Path) -> str:
    """An Erlang expression that waits until a file is there."""
    look = f'case filelib:is_file("{file}") of true -> ok; false -> timer:sleep(10), Wait() end'
    return f"(fun Wait() -> {look} end)()"


def evaluate(broker: "Embedded", expression: str) -> str:
    """What the broker's Erlang machine makes of an expression."""
    from tests.rabbitmqctl import control

    return control(broker, "eval", expression)
