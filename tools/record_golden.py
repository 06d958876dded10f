#!/usr/bin/env python
"""Record the runs in tests/data/golden, and what omrig makes of their recordings.

Usage: tools/record_golden.py [CASE ...]            record anew, and make the expectations
       tools/record_golden.py --expect [CASE ...]   only make the expectations, of what is recorded

What is recorded says nothing of the machine it was recorded on; a RabbitMQ is started for it.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import psutil

# As a program it is started from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from omrig.broker.rabbitmq.embedded import embedded_broker
from tests.unit import golden

HOST, KERNEL = "bench", "6.1.0"
BOOT_ID = "0b5e55ed-0000-4000-8000-00000000000{}"

MESSAGES = 80

HOTTEST = golden.DATA / "hottest.py"

_DERIVED = {
    "result.json",
    "report.html",
    "trace.json",
    "stages.speedscope.json",
    "latency.hlog",
}
_OF_THE_LOAD = ("start_ns", "end_ns", "received_ns", "failed_seq", "failed_ns")
_TEXTS = {".json", ".csv", ".dat", ".txt"}

Options = Sequence[object]


class Rig:
    """omrig as a user starts it, in an empty home, and a broker."""

    def __init__(self, work: Path, url: str) -> None:
        self.work = work
        self._url = url

    @contextlib.contextmanager
    def started(
        self, command: str, output: str, *options: object
    ) -> Iterator["subprocess.Popen[str]"]:
        """omrig while it runs; it has ended when the block has."""
        url: Options = () if "--transport-url" in options else ("--transport-url", self._url)
        words = [command, "-s", 1, "--warmup", 5, *options, *url, "--output", self.work / output]
        process = subprocess.Popen(
            [sys.executable, "-m", "omrig", *map(str, words)],
            cwd=self.work,
            env={"HOME": str(self.work / "home"), "PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
            print(process.communicate(timeout=120)[1], end="")
        finally:
            process.kill()
            process.wait()

    def run(self, output: str, *options: object) -> None:
        """Both sides, to their end."""
        with self.started("run", output, "-m", MESSAGES, "-w", 8, *options):
            pass


def one(*options: object) -> Callable[[Rig], None]:
    """A run with these options."""
    return lambda rig: rig.run("run", *options)


def two_hosts(*options: object) -> Callable[[Rig], None]:
    """A consumer and a producer, started one by one, as if on two hosts."""

    def record(rig: Rig) -> None:
        with rig.started("-c", "consumer", "-m", MESSAGES, *options) as consumer:
            with rig.started("-p", "producer", "-m", MESSAGES, "-w", 8, *options):
                pass
            consumer.communicate(timeout=60)
        _move(rig.work / "consumer")

    return record


def alone(side: str, *options: object) -> Callable[[Rig], None]:
    """One side of a run, its other side not recorded."""

    def record(rig: Rig) -> None:
        two_hosts(*options)(rig)
        (rig.work / side).rename(rig.work / "run")
        for other in {"producer", "consumer"} - {side}:
            shutil.rmtree(rig.work / other)

    return record


def interrupted(rig: Rig) -> None:
    """A run that is interrupted in the middle of its load."""
    with rig.started("run", "run", "-m", 1000, "-w", 2) as process:
        _wait_for_load(process)
        process.send_signal(signal.SIGINT)


def dead_consumer(rig: Rig) -> None:
    """A run whose consumer is killed in the middle of its load."""
    with rig.started("run", "run", "-m", 1000, "-w", 2) as process:
        _wait_for_load(process)
        for child in psutil.Process(process.pid).children(recursive=True):
            if "consumer" in child.cmdline():
                child.kill()


def sets(rig: Rig) -> None:
    """Three runs, and three with larger messages."""
    for number in range(3):
        rig.run(f"base/{number}", "-m", 60)
        rig.run(f"new/{number}", "-m", 60, "-s", 200)


def pair(rig: Rig) -> None:
    """A run of each executor."""
    rig.run("base", "-m", 150, "--executor", "eventlet")
    rig.run("new", "-m", 150, "--executor", "threading")


def with_source(record: Callable[[Rig], None]) -> Callable[[Rig], None]:
    """With a function that is in this repository and never changes as the hottest of yappi's."""

    def recorded(rig: Rig) -> None:
        record(rig)
        for path in rig.work.rglob("profile.yappi.json"):
            found = json.loads(path.read_text())
            row = max(found["functions"], key=lambda each: each["share"])
            line = HOTTEST.read_text().splitlines().index("def hottest(numbers):") + 1
            file = f"{golden.CHECKOUT}/{HOTTEST.relative_to(golden.ROOT)}"
            row |= {"function": "hottest", "file": file, "line": line}
            _write(path, found)

    return recorded


CASES: dict[str, Callable[[Rig], None]] = {
    "call-eventlet": one("--executor", "eventlet"),
    "call-threading": one("--executor", "threading"),
    "cast-eventlet": one("--pattern", "cast", "--executor", "eventlet"),
    "cast-threading": one("--pattern", "cast", "--executor", "threading"),
    "fanout-eventlet": one("--pattern", "fanout", "--executor", "eventlet"),
    "producer": alone("producer", "--pattern", "cast"),
    "consumer": alone("consumer", "--pattern", "cast", "--executor", "threading"),
    "two-hosts-call": two_hosts("--executor", "threading"),
    "two-hosts-cast": two_hosts("--pattern", "cast"),
    "in-memory": one("--transport-url", "kombu+memory://", "--executor", "threading"),
    "none": one("--profile", "none"),
    "resources": one("--profile", "resources"),
    "yappi": with_source(one("--profile", "yappi")),
    "stages-yappi": one("--profile", "stages,yappi", "--executor", "threading"),
    "lines": one("--profile", "lines"),
    "memory": one("--profile", "memory", "-m", 900),
    "stages-memory": one("--profile", "stages,memory", "--executor", "threading"),
    "memory-lines": one(
        *("--profile", "memory-lines", "--executor", "threading"),
        *("--target", "oslo_messaging.rpc.dispatcher:RPCDispatcher"),
    ),
    "memray": one("--profile", "memray"),
    "pyspy": one("--profile", "pyspy", "--executor", "threading"),
    "sample": one("--sample", "1/4"),
    "twin": one("--twin", "-m", 440),
    "interrupted": interrupted,
    "dead-consumer": dead_consumer,
    "timeouts": one(
        *("-m", 60, "-w", 30, "-s", 2000, "--timeout", "0.2", "--executor", "threading"),
        *("--executor-pool-size", 1),
    ),
    "compare-pair": pair,
    "compare-sets": sets,
}
"""How each case is recorded, by the name of its folder."""


def main() -> None:
    """Record the named cases, or only make their expectations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--expect", action="store_true", help="record nothing")
    options = parser.parse_args()
    cases = options.case or list(CASES)
    if unknown := set(cases) - set(CASES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if not options.expect:
        with embedded_broker() as broker:
            for case in cases:
                print(f"{case}: recording", flush=True)
                _record(case, broker.url)
    for case in cases:
        folder = golden.DATA / case
        texts = golden.outcome(folder)
        print(f"{case}: {golden.differences(golden.expected(folder), texts) or 'as it was'}")
        golden.expect(folder, texts)


def _record(case: str, url: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        home = Path(work, "home")
        home.mkdir()
        CASES[case](Rig(Path(work), url))
        shutil.rmtree(home)
        target = golden.DATA / case / "recorded"
        shutil.rmtree(target, ignore_errors=True)
        runs = sorted(path.parent for path in Path(work).rglob("run.json"))
        if not runs:
            raise RuntimeError(f"{case}: nothing was recorded")
        for run in runs:
            _strip(run)
            _neutralise(run, work)
        shutil.copytree(work, target, ignore=shutil.ignore_patterns(".*"))


def _strip(run: Path) -> None:
    """Leave what the accounting begins with: no results, and no artefacts that it never reads."""
    for path in run.rglob("artefacts.json"):
        for artefact in json.loads(path.read_text()):
            if not artefact["path"].endswith("stamps.npz"):
                (run / artefact["path"]).unlink(missing_ok=True)
    for path in run.rglob("*"):
        if path.name in _DERIVED or path.name == "log.txt":
            path.unlink()
        elif path.suffix == ".npz":
            with numpy.load(path) as file:
                columns = {name: file[name] for name in file.files if _is_recorded(path, name)}
            numpy.savez_compressed(path, **columns)
    about = json.loads((run / "run.json").read_text())
    about |= {"complete": False, "reason": "the run has not ended"}
    _write(run / "run.json", about)


def _is_recorded(path: Path, column: str) -> bool:
    return path.name != "messages.npz" or column.partition(".")[0] in _OF_THE_LOAD


def _neutralise(run: Path, work: str) -> None:
    """Put neutral names in place of this machine's, in every text."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    names = {
        work: golden.RUNS,
        sysconfig.get_path("purelib"): f"{golden.HOME}/lib/python3.11/site-packages",
        sysconfig.get_path("stdlib"): f"{golden.HOME}/lib/python3.11",
        str(golden.ROOT): f"{golden.HOME}/omrig",
        sys.prefix: f"{golden.HOME}/python",
        boot_id: BOOT_ID.format(1),
        os.uname().release: KERNEL,
    }
    for path in run.rglob("*"):
        if path.suffix in _TEXTS:
            text = path.read_text()
            for name, neutral in names.items():
                text = text.replace(name, neutral)
            text = re.sub(rf"\b{re.escape(socket.gethostname())}\b", HOST, text)
            path.write_text(re.sub(r"/tmp/omrig-broker-\w+", f"{golden.HOME}/broker", text))


def _move(run: Path) -> None:
    """Make it that of another host."""
    for path in run.rglob("*.json"):
        text = path.read_text()
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        text = re.sub(rf"\b{re.escape(socket.gethostname())}\b", f"{HOST}2", text)
        path.write_text(text.replace(boot_id, BOOT_ID.format(2)))


def _wait_for_load(process: "subprocess.Popen[str]") -> None:
    assert process.stderr
    for line in process.stderr:
        if "producer: load" in line:
            time.sleep(0.6)
            return
    raise RuntimeError("it ended before its load")


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
