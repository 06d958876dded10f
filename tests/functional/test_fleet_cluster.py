"""The cluster of a fleet: made here, over ssh or there before, quiet meanwhile, then gone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from omrig.fleet import cluster
from omrig.model.errors import UsageError

CORE_SHARE = 0.005
"""Of a core each: what a process of the engine may take of a host that it loads."""

MEASURED_S = 8.0

SSH = """\
#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
host=$1
shift
if [ "$host" = closed ]; then
    echo "ssh: connect to host closed port 22: Connection refused" >&2
    exit 255
fi
cd / && exec sh -c "$*"
"""
"""Stands in for ssh: the command is run here."""


def workers_of(parent: int) -> list[psutil.Process]:
    found = psutil.Process(parent).children(recursive=True)
    return [each for each in found if "omrig.fleet.worker" in each.cmdline()]


def are_gone(processes: list[psutil.Process], within_s: float = 10.0) -> bool:
    return not psutil.wait_procs(processes, timeout=within_s)[1]


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses at which they can be reached."""
    sockets = [each for process in processes for each in process.net_connections()]
    return {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}


def shares(processes: list[psutil.Process]) -> list[float]:
    """The cores that each used in a while."""

    def used() -> list[float]:
        return [sum(each.cpu_times()[:2]) for each in processes]

    before, began = used(), time.monotonic()
    time.sleep(MEASURED_S)
    wall = time.monotonic() - began
    return [(after - earlier) / wall for earlier, after in zip(before, used(), strict=True)]


def test_a_local_cluster_is_one_host_and_takes_next_to_nothing() -> None:
    said: list[str] = []
    with cluster.opened("local", 2, said.append) as opened:
        (host,) = opened.hosts
        assert len(host.workers) == 2
        assert opened.is_ours
        assert opened.kind == "local"
        assert opened.resources == {"omrig": 1.0}
        assert opened.engine.startswith("dask.distributed 20")
        processes = workers_of(os.getpid())
        assert len(processes) == 2
        # Whoever gets there can have anything done.
        assert listening([psutil.Process(), *processes]) == {"127.0.0.1"}
        assert max(shares(processes)) < CORE_SHARE
    assert said == ["starting 2 workers of dask.distributed"]
    assert are_gone(processes)


OPENED = """\
import sys, time
from omrig.fleet import cluster
with cluster.opened("local", 2, print):
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_with_the_coordinator_go_its_workers(number) -> None:
    command = [sys.executable, "-c", OPENED]
    # A shell in the background would have the interrupt ignored.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as coordinator:
        assert coordinator.stdout
        assert [line.strip() for line in iter(coordinator.stdout.readline, "open\n")]
        processes = workers_of(coordinator.pid)
        assert len(processes) == 2
        coordinator.send_signal(number)
    assert are_gone(processes)


@pytest.fixture
def ssh(tmp_path, monkeypatch) -> Path:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "hosts.txt"


def test_workers_are_started_over_ssh(ssh) -> None:
    ssh.write_text(f"127.0.0.2 {sys.executable}  # the one\n")
    with cluster.opened("hosts", str(ssh), print) as opened:
        assert [(each.name, each.address) for each in opened.hosts] == [("127.0.0.2", "127.0.0.1")]
        processes = workers_of(os.getpid())
        assert len(processes) == 1
    assert are_gone(processes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("closed", "no worker on closed: ssh: connect to host closed port 22: Connection refused"),
        ("127.0.0.2 /usr/bin/no-python", r"no worker on 127.0.0.2: .*no-python.*; install omrig"),
    ],
)
def test_a_host_that_cannot_be_used_is_named(ssh, line, said) -> None:
    ssh.write_text(f"{line}\n")
    with (
        pytest.raises(UsageError, match=f"--hosts: {said}"),
        cluster.opened("hosts", str(ssh), print),
    ):
        pytest.fail("it opened")
    assert not workers_of(os.getpid())


@pytest.fixture
def address() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{found.getsockname()[1]}"


@contextlib.contextmanager
def stock(*arguments: str) -> Iterator[psutil.Process]:
    """A process of the engine as anybody starts it, with those that it starts."""
    process = psutil.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in process.children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(address) -> Iterator[psutil.Process]:
    port = address.rpartition(":")[2]
    name = "distributed.cli.dask_scheduler"
    options = ("--port", port, "--no-dashboard", "--dashboard-address", ":0")
    with stock(name, "--host", "127.0.0.1", *options) as process:
        yield process


@pytest.fixture
def nanny(address, scheduler) -> Iterator[psutil.Process]:
    with stock("distributed.cli.dask_worker", address, "--no-dashboard") as process:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(UsageError), cluster.opened("scheduler", address, print):
                break
            assert time.monotonic() < deadline
        yield process


def test_a_cluster_of_others_is_quiet_meanwhile_and_goes_on_as_it_was(
    address, scheduler, nanny
) -> None:
    with cluster.opened("scheduler", address, print) as opened:
        assert not opened.is_ours
        assert opened.resources is None
        processes = [scheduler, nanny, *nanny.children(recursive=True)]
        assert max(shares(processes)) < CORE_SHARE
    # By default each looks at itself many times a second.
    assert max(shares(processes)) > CORE_SHARE


def test_a_scheduler_that_is_killed_holds_nobody_up(address, scheduler, nanny) -> None:
    with cluster.opened("scheduler", address, print):
        scheduler.kill()
        killed = time.monotonic()
    assert time.monotonic() - killed < 30


def test_a_scheduler_without_workers_is_refused(address, scheduler) -> None:
    with (
        pytest.raises(UsageError, match=r"--scheduler: the scheduler at .* has no workers"),
        cluster.opened("scheduler", address, print),
    ):
        pytest.fail("it opened")


def test_nobody_answers_where_there_is_no_scheduler(address) -> None:
    with (
        pytest.raises(UsageError, match=f"--scheduler: no scheduler answers at {address}"),
        cluster.opened("scheduler", address, print),
    ):
        pytest.fail("it opened")
