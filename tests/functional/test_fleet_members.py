"""Members on the hosts of a cluster: a run to its end, and what gets lost on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from omrig import cli
from tests.functional.conftest import result_of

ROOT = Path(__file__).parents[2]
MESSAGES = 400
"""At 100 a second."""


class Cluster:
    """A scheduler and two workers, each a process that can be lost."""

    def __init__(self, folder):
        self.folder = folder
        self.spool = folder / "spool"
        about = folder / "scheduler.json"
        self.log = (folder / "log").open("wb")
        self.scheduler = self.start(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
            "--no-dashboard", "--scheduler-file", about,
        )  # fmt: skip
        self.workers = {}
        while not about.exists():
            time.sleep(0.1)
        self.address = json.loads(about.read_text())["address"]
        for number in (1, 2):
            self.workers[f"127.0.0.{number}"] = self.start(
                "distributed.cli.dask_worker", self.address, "--host", f"127.0.0.{number}",
                "--no-nanny", "--nthreads", "1", "--no-dashboard",
                "--local-directory", folder / f"worker-{number}", "--death-timeout", "60",
            )  # fmt: skip
        self.wait()

    def start(self, module, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "OMRIG_SPOOL": str(self.spool)},
            stdout=self.log,
            stderr=self.log,
        )

    def wait(self):
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)

    def run(self, broker, output, messages=MESSAGES):
        return subprocess.Popen(
            [
                sys.executable, "-m", "omrig", "fleet", "--scheduler", self.address, "--",
                "--producers", "2", "--consumers", "2", "-m", str(messages), "-w", "2", "--rate",
                "100", "--timeout", "10", "--transport-url", broker.url, "--output", str(output),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "XDG_STATE_HOME": str(self.folder / "state"),
                "OMRIG_SPOOL": str(self.spool),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def close(self):
        for each in (*self.workers.values(), self.scheduler):
            each.kill()
            each.wait()
        self.log.close()

    def queues(self):
        """What omrig has on the scheduler."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return client.run_on_scheduler(
                lambda dask_scheduler: list(dask_scheduler.extensions["queues"].queues)
            )

    def said(self):
        return (self.folder / "log").read_text()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture
def mortal(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def members_of(worker):
    """The measured processes that a worker started."""
    children = psutil.Process(worker.pid).children()
    return [each for each in children if "omrig.measured.process" in each.cmdline()]


def wait_for_load(process):
    """What the coordinator says until messages come through."""
    said = ""
    for line in process.stdout:
        said += line
        if re.search(r" [1-9]\d*/[\d,]+ messages", line):
            return said
    raise AssertionError(said)


def test_a_run_over_two_hosts_is_as_one_on_this(lasting, broker, tmp_path):
    process = lasting.run(broker, tmp_path / "r")
    out, _ = process.communicate(timeout=80)
    assert process.returncode == 0, out
    result = result_of(tmp_path / "r")
    assert result["complete"], result["reason"]
    assert result["messages"]["sent"] == result["messages"]["received"] == MESSAGES
    assert result["messages"]["lost"] == result["messages"]["duplicated"] == 0
    run = json.loads((tmp_path / "r/run.json").read_text())
    hosts = run["fleet"]["hosts"]
    assert [each["members"] for each in hosts] == [
        ["producer-1", "consumer-1"],
        ["producer-2", "consumer-2"],
    ]
    # One machine has one clock.
    assert all(2 * abs(each["offset_ns"]) <= each["round_trip_ns"] for each in hosts)
    assert all((tmp_path / "r/hosts" / each["name"] / "machine.csv").exists() for each in hosts)
    assert all((tmp_path / "r" / name / "resources.csv").exists() for name in run["began"])
    assert list((lasting.spool).iterdir()) == []
    said = lasting.said()
    assert urlsplit(broker.url).password not in said
    assert not any(members_of(each) for each in lasting.workers.values())


def ended(process, folder, before):
    """What the coordinator said to its end, how long that took in seconds, and the run."""
    began = time.monotonic()
    out, _ = process.communicate(timeout=90)
    took_s = time.monotonic() - began
    assert process.returncode == (0 if "incomplete" not in out else cli.INCOMPLETE), before + out
    return before + out, took_s, json.loads((folder / "run.json").read_text())


def test_a_worker_that_is_killed_costs_its_own_messages(mortal, broker, tmp_path):
    process = mortal.run(broker, tmp_path / "r", 1000)
    said = wait_for_load(process)
    lost = members_of(mortal.workers["127.0.0.2"])
    mortal.workers["127.0.0.2"].kill()
    said, _, run = ended(process, tmp_path / "r", said)
    assert psutil.wait_procs(lost, timeout=0)[1] == [], said
    first, second = run["fleet"]["hosts"]
    assert first.get("ended_because") is None
    assert second["ended_because"] == "the worker on 127.0.0.2 is gone"
    assert "the worker on 127.0.0.2 is gone" in run["ended_because"]
    result = result_of(tmp_path / "r")
    assert not result["complete"]
    assert urlsplit(broker.url).password not in mortal.said()
    rows = {each["name"]: each for each in result["members"]}
    # The others sent and received all that was theirs; the lost ones saved what they had.
    assert rows["producer-1"]["sent"] == 500
    assert 0 < rows["producer-2"]["sent"] < 500
    assert rows["consumer-1"]["received"] > 0
    assert second.get("left_in") is None


def test_a_worker_that_stands_still_costs_nothing(lasting, broker, tmp_path):
    process = lasting.run(broker, tmp_path / "r", 2000)
    said = wait_for_load(process)
    worker = lasting.workers["127.0.0.2"]
    worker.send_signal(signal.SIGSTOP)
    time.sleep(12)
    worker.send_signal(signal.SIGCONT)
    said, _, run = ended(process, tmp_path / "r", said)
    assert "127.0.0.2 has said nothing for" in said
    assert "127.0.0.2 is heard again" in said
    assert run["ended_because"] is None, said
    result = result_of(tmp_path / "r")
    assert result["complete"]
    assert result["messages"]["received"] == 2000


def test_without_its_scheduler_a_run_ends_with_what_it_has(mortal, broker, tmp_path):
    process = mortal.run(broker, tmp_path / "r", 2000)
    said = wait_for_load(process)
    of_all = [each for worker in mortal.workers.values() for each in members_of(worker)]
    mortal.scheduler.kill()
    said, took_s, run = ended(process, tmp_path / "r", said)
    assert took_s < 60
    assert psutil.wait_procs(of_all, timeout=0)[1] == [], said
    assert "the scheduler of the fleet is gone" in run["ended_because"]
    result = result_of(tmp_path / "r")
    # Both hosts are this machine: what they saved is there.
    assert 0 < result["messages"]["sent"] < 2000
    assert result["messages"]["received"] > 0


def test_without_its_coordinator_nothing_goes_on(mortal, broker, tmp_path):
    process = mortal.run(broker, tmp_path / "r", 100_000)
    wait_for_load(process)
    workers = list(mortal.workers.values())
    of_all = [each for worker in workers for each in members_of(worker)]
    assert len(of_all) == 4
    assert len(mortal.queues()) == 2
    process.kill()
    process.wait()
    killed = time.monotonic()
    assert psutil.wait_procs(of_all, timeout=45)[1] == []
    assert all(worker.poll() is None for worker in workers)
    # It is there for whoever collects it.
    kept = [each.name for each in mortal.spool.glob("*/*") if (each / "messages.npz").exists()]
    assert sorted(kept) == ["consumer-1", "consumer-2", "producer-1", "producer-2"]
    # Nothing is left of it on a scheduler that goes on, nor is there a process that cannot end.
    while mortal.queues():
        assert time.monotonic() - killed < 60
        time.sleep(1)
    for each in (*workers, mortal.scheduler):
        each.terminate()
        each.wait(30)
