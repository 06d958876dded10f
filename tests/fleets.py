"""A fleet's engine in a rig: its scheduler on the hub, a worker on each host, and what is run."""

import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.namespaces import HUB, Host, Rig

PORT = 8786
ADDRESS = f"tcp://{HUB}:{PORT}"
"""Of the scheduler."""

START_S = 50.0

_WAIT = """
import sys, time
from distributed import Client
address, within_s, *names = sys.argv[1:]
deadline = time.monotonic() + float(within_s)
with Client(address, set_as_default=False) as client:
    while True:
        known = client.scheduler_info(n_workers=-1)["workers"].values()
        there = sorted(each["name"] for each in known)
        if there == sorted(names):
            break
        assert time.monotonic() < deadline, there
        time.sleep(0.1)
"""


@dataclasses.dataclass
class Engine:
    """A scheduler and workers, whose complaints are in ``folder``; :func:`engine` makes one.

    Each host has a spool of its own there: the disk is one in a rig, and hosts do not see each
    other's.
    """

    rig: Rig
    folder: Path
    stack: contextlib.ExitStack
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    """What the worker on each host is called."""

    def spool(self, host: Host) -> Path:
        """Where the members on a host write."""
        return self.folder / "spool" / host.name

    def work(self, host: Host) -> "subprocess.Popen[str]":
        """A worker on a host, which ends with what holds its standard input.

        A second one comes where the first has ended, of which the scheduler may not know yet.
        """
        name = self.names[host.name] = host.name + ("-again" if host.name in self.names else "")
        complaints = self.stack.enter_context((self.folder / f"{host.name}.log").open("a"))
        worker = self.rig.start(
            host, sys.executable, "-m", "omrig.fleet.worker", ADDRESS, name,
            stdin=subprocess.PIPE, stdout=complaints, stderr=complaints, cwd=self.folder,
            env={"OMRIG_SPOOL": str(self.spool(host))},
        )  # fmt: skip
        self.stack.callback(worker.communicate, timeout=30)
        return worker

    def wait(self) -> None:
        """Until the scheduler has all workers that there are, and none that there was."""
        self.rig.python(None, "-c", _WAIT, ADDRESS, START_S, *self.names.values())

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        """``omrig fleet`` on the hub, with this scheduler, once the workers are there."""
        self.wait()
        return self.rig.start(
            None, sys.executable, "-m", "omrig", "fleet", "--scheduler", ADDRESS, *arguments,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
            env={
                "OMRIG_SPOOL": str(self.folder / "spool" / "hub"),
                "XDG_STATE_HOME": str(self.folder / "state"),
            },
        )  # fmt: skip


@contextlib.contextmanager
def engine(rig: Rig, folder: Path) -> Iterator[Engine]:
    """A scheduler on the hub and a worker on each host there is; all of it ends with the block."""
    with contextlib.ExitStack() as stack:
        complaints = stack.enter_context((folder / "scheduler.log").open("w"))
        scheduler = rig.start(
            None, sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", HUB,
            "--port", PORT, "--no-dashboard", "--dashboard-address", ":0",
            stdout=complaints, stderr=complaints, cwd=folder,
        )  # fmt: skip
        stack.callback(scheduler.wait, 30)
        stack.callback(scheduler.kill)
        made = Engine(rig, folder, stack)
        for host in rig.hosts.values():
            made.work(host)
        # A broker may start while they do.
        yield made
