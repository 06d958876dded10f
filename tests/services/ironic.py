"""ironic: an API and a conductor, and operations on nodes that it is asked for over HTTP."""

import contextlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from omrig.broker.rabbitmq.node import free_port
from tests.services import environments, programs
from tests.services.environments import Environment
from tests.services.programs import Prefix, Program

NAME = "ironic"


@dataclass(frozen=True)
class Ironic:
    """A running ironic."""

    url: str
    conductor: Program
    api: Program

    def create(self, count: int) -> list[str]:
        """Make so many nodes: their ids."""
        bodies = [{"driver": "fake-hardware", "name": f"node-{number}"} for number in range(count)]
        made = self._at_once([("POST", "/v1/nodes", body) for body in bodies], clients=4)
        return [each["uuid"] for each in made]

    def switch(self, nodes: Sequence[str], target: str, clients: int) -> None:
        """Switch the nodes' power (``power on``, ``power off``): a call a node."""
        body = {"target": target}
        paths = [f"/v1/nodes/{node}/states/power" for node in nodes]
        self._at_once([("PUT", path, body) for path in paths], clients)

    def validate(self, nodes: Sequence[str], clients: int) -> None:
        """Have the nodes' drivers look at their settings: a call a node."""
        self._at_once([("GET", f"/v1/nodes/{node}/validate", None) for node in nodes], clients)

    def is_ready(self) -> bool:
        """Whether the API answers, and the conductor has said what it can drive."""
        try:
            return any(each["name"] == "fake-hardware" for each in self._drivers())
        except (urllib.error.URLError, ConnectionError):
            return False

    def _drivers(self) -> list:
        return self._ask("GET", "/v1/drivers")["drivers"]

    def _at_once(self, requests: Sequence[tuple], clients: int) -> list:
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(lambda request: self._ask(*request), requests))

    def _ask(self, method: str, path: str, body: object = None):
        headers = {"X-OpenStack-Ironic-API-Version": "1.90", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


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
