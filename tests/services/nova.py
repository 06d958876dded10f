"""nova: a conductor, and a client that pings it."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services import environments, programs
from tests.services.environments import HERE, Environment
from tests.services.programs import Prefix, Program

NAME = "nova"

EXECUTORS = ("threading", "eventlet")

READY = "Starting conductor node"
"""What each worker logs before it serves."""


@dataclass(frozen=True)
class Nova:
    """A running conductor, and a client of it that waits to be told how many calls to make."""

    conductor: Program
    client: Program

    def ping(self, calls: int, threads: int = 1) -> list[int]:
        """Call the conductor as often: how long each took, in ns. Raises if one failed."""
        pipe = self.client.process.stdin
        assert pipe
        pipe.write(f"{calls} {threads}\n".encode())
        pipe.flush()
        before = len(self._answers())
        programs.wait(lambda: len(self._answers()) > before, self.client)
        answer = self._answers()[before]
        if answer["failed"]:
            raise RuntimeError(f"{len(answer['failed'])} of {calls} pings: {answer['failed'][0]}")
        return list(answer["took_ns"])

    def _answers(self) -> list[dict[str, Any]]:
        whole = self.client.said().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith('{"took_ns"')]


@contextlib.contextmanager
def running(
    folder: Path,
    transport_url: str,
    prefix: Prefix = programs.bare,
    *,
    executor: str = "threading",
    workers: int = 1,
) -> Iterator[Nova]:
    """Run both in ``folder``, with ``prefix`` before the programs.

    The client has threads, whatever ``executor`` the conductor has.
    """
    of = environments.environment(NAME)
    shutil.copytree(_state(of), folder, dirs_exist_ok=True)
    config = programs.configure(
        folder, NAME, transport_url=transport_url, executor=executor, workers=workers
    )
    conduct = [of.program("nova-conductor"), "--config-file", str(config)]
    ping = [of.program("python"), str(HERE / "inside/pinger.py"), str(config)]
    conduct = [*prefix("nova-conductor"), *conduct]
    with programs.started("nova-conductor", conduct, folder) as conductor:
        programs.wait(lambda: conductor.said().count(READY) == workers, conductor)
        ping = [*prefix("pinger"), *ping]
        with programs.started("pinger", ping, folder, stdin=subprocess.PIPE) as client:
            yield Nova(conductor, client)
            assert client.process.stdin
            client.process.stdin.close()
            client.process.wait(programs.STOP_SECONDS)


def _state(of: Environment) -> Path:
    def make(folder: Path) -> None:
        config = programs.configure(
            folder, NAME, transport_url="fake://", executor="threading", workers=1
        )
        manage = [of.program("nova-manage"), "--config-file", str(config)]
        for arguments in (
            ["api_db", "sync"],
            ["cell_v2", "map_cell0", "--database_connection", "sqlite:///cell0.sqlite"],
            ["db", "sync"],
            ["cell_v2", "create_cell", "--name", "cell1"],
        ):
            programs.run([*manage, *arguments], folder)

    return environments.state(of, make)
