"""mistral: API, engine and executor, and workflows that it is asked for over HTTP."""

import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from omrig.broker.rabbitmq.node import free_port
from tests.services import environments, programs, web
from tests.services.environments import HERE, Environment
from tests.services.programs import Prefix, Program

NAME = "mistral"

READY = ("Engine server started", "Executor server started")

ENDED = ("SUCCESS", "ERROR", "CANCELLED")

WORKFLOW = """\
version: '2.0'
echoes:
  type: direct
  tasks:
    first:
      action: std.echo output='1'
      on-success: second
    second:
      action: std.echo output='2'
      on-success: third
    third:
      action: std.echo output='3'
"""
"""Three tasks, one after the other, that do nothing."""


@dataclass(frozen=True)
class Mistral:
    """A running mistral."""

    url: str
    server: Program

    def is_ready(self) -> bool:
        """Whether the API answers, and the others have said that they serve."""
        try:
            web.ask("GET", self.url)
        except web.NOT_THERE:
            return False
        said = self.server.said()
        return all(words in said for words in READY)

    def define(self) -> None:
        """Have it know the workflow."""
        headers = {"Content-Type": "text/plain"}
        web.ask("POST", f"{self.url}/v2/workflows", WORKFLOW, headers)

    def execute(self, count: int, clients: int = 4, seconds: float = 120) -> Counter[str]:
        """Start the workflow as often, and wait until all have ended: how many in which state."""
        body = json.dumps({"workflow_name": "echoes"})

        def start(_number: int) -> str:
            return str(web.ask("POST", f"{self.url}/v2/executions", body)["id"])

        with ThreadPoolExecutor(clients) as pool:
            left = set(pool.map(start, range(count)))
        states: Counter[str] = Counter()
        end = time.monotonic() + seconds
        while left and time.monotonic() < end:
            for execution in sorted(left):
                state = web.ask("GET", f"{self.url}/v2/executions/{execution}")["state"]
                if state in ENDED:
                    left.discard(execution)
                    states[state] += 1
            time.sleep(0.2)
        return states + Counter({"RUNNING": len(left)})


@contextlib.contextmanager
def running(folder: Path, transport_url: str, prefix: Prefix = programs.bare) -> Iterator[Mistral]:
    """Run it in ``folder``, with ``prefix`` before the program."""
    of = environments.environment(NAME)
    shutil.copytree(_state(of), folder, dirs_exist_ok=True)
    port = free_port()
    config = programs.configure(folder, NAME, transport_url=transport_url, port=port)
    serve = [of.program("mistral-server"), "--config-file", str(config)]
    command = [*prefix("mistral-server"), *serve, "--server=api,engine,executor"]
    with programs.started("mistral-server", command, folder) as server:
        mistral = Mistral(f"http://127.0.0.1:{port}", server)
        programs.wait(mistral.is_ready, server)
        yield mistral


def _state(of: Environment) -> Path:
    def make(folder: Path) -> None:
        config = programs.configure(folder, NAME, transport_url="fake://", port=0)
        (folder / "policy.yaml").touch()
        for command in (
            [of.program("python"), str(HERE / "inside/mistral_database.py"), str(config)],
            [of.program("mistral-db-manage"), "--config-file", str(config), "populate"],
        ):
            programs.run(command, folder)

    return environments.state(of, make)
