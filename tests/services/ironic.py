"""ironic: an API and a conductor, and operations on nodes that it is asked for over HTTP."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from omrig.broker.rabbitmq.node import free_port
from tests.services import environments, programs, web
from tests.services.environments import Environment
from tests.services.programs import Prefix, Program

NAME = "ironic"

HEADERS = {"X-OpenStack-Ironic-API-Version": "1.90"}


@dataclass(frozen=True)
class Ironic:
    """A running ironic."""

    url: str
    conductor: Program
    api: Program

    def create(self, count: int) -> list[str]:
        """Make so many nodes: their ids."""
        bodies = [{"driver": "fake-hardware", "name": f"node-{number}"} for number in range(count)]
        made = self._at_once("POST", ["/v1/nodes"] * count, bodies, clients=4)
        return [each["uuid"] for each in made]

    def switch(self, nodes: Sequence[str], target: str, clients: int) -> None:
        """Switch the nodes' power (``power on``, ``power off``): a call a node."""
        paths = [f"/v1/nodes/{node}/states/power" for node in nodes]
        self._at_once("PUT", paths, [{"target": target}] * len(nodes), clients)

    def validate(self, nodes: Sequence[str], clients: int) -> None:
        """Have the nodes' drivers look at their settings: a call a node."""
        paths = [f"/v1/nodes/{node}/validate" for node in nodes]
        self._at_once("GET", paths, [None] * len(nodes), clients)

    def is_ready(self) -> bool:
        """Whether the API answers, and the conductor has said what it can drive."""
        try:
            return any(
                each["name"] == "fake-hardware"
                for each in self._ask("GET", "/v1/drivers")["drivers"]
            )
        except web.NOT_THERE:
            return False

    def _at_once(
        self, method: str, paths: Sequence[str], bodies: Sequence[object], clients: int
    ) -> list[Any]:
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(self._ask, repeat(method), paths, bodies))

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body)
        return web.ask(method, self.url + path, data, HEADERS)


@contextlib.contextmanager
def running(
    folder: Path,
    transport_url: str,
    prefix: Prefix = programs.bare,
    *,
    executor_threads: int = 64,
) -> Iterator[Ironic]:
    """Run it in ``folder``, with ``prefix`` before its programs."""
    of = environments.environment(NAME)
    shutil.copytree(_state(of), folder, dirs_exist_ok=True)
    port = free_port()
    config = programs.configure(
        folder, NAME, transport_url=transport_url, port=port, executor_threads=executor_threads
    )

    def command(name: str) -> list[str]:
        return [*prefix(name), of.program(name), "--config-file", str(config)]

    with (
        programs.started("ironic-conductor", command("ironic-conductor"), folder) as conductor,
        programs.started("ironic-api", command("ironic-api"), folder) as api,
    ):
        ironic = Ironic(f"http://127.0.0.1:{port}", conductor, api)
        programs.wait(ironic.is_ready, conductor, api)
        yield ironic


def _state(of: Environment) -> Path:
    def make(folder: Path) -> None:
        config = programs.configure(
            folder, NAME, transport_url="fake://", port=0, executor_threads=1
        )
        sync = [of.program("ironic-dbsync"), "--config-file", str(config)]
        programs.run([*sync, "create_schema"], folder)

    return environments.state(of, make)
