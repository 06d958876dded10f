"""Three nodes of RabbitMQ as a cluster on loopback, for the length of a block."""

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import amqp
import psutil

from omrig.broker.rabbitmq import installed, node

START_SECONDS = 150.0


@dataclass(frozen=True)
class Node:
    """A node of a cluster: its port on loopback and the process that listens there."""

    port: int
    process: subprocess.Popen

    @property
    def address(self) -> str:
        """As a measured process knows it."""
        return f"{node.HOST}:{self.port}"

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Cluster:
    """The nodes of a cluster, and how to get in."""

    nodes: tuple[Node, ...]
    password: str

    @property
    def url(self) -> str:
        """The transport URL with all hosts."""
        hosts = ",".join(f"{node.USERNAME}:{self.password}@{each.address}" for each in self.nodes)
        return f"rabbit://{hosts}/"

    def connect(self, which: Node) -> amqp.Connection:
        """An open connection to one node."""
        connection = amqp.Connection(
            which.address,
            userid=node.USERNAME,
            password=self.password,
            login_method="PLAIN",
            connect_timeout=5,
        )
        connection.connect()
        return connection


@contextlib.contextmanager
def cluster(size: int = 3) -> Iterator[Cluster]:
    """A cluster of so many nodes of the RabbitMQ that the environment names.

    Node by node, the first one alone: with all at once it may come to two clusters.
    """
    password, cookie = secrets.token_urlsafe(24), secrets.token_hex(16)
    epmd_port = node.free_port()
    started: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory(prefix="omrig-cluster-") as name:
        folder = Path(name)
        found = installed.find(os.environ.get(installed.VARIABLE, ""), folder / "programs")
        environments = {}
        nodes = []
        for number in range(size):
            (folder / str(number)).mkdir()
            environments[number] = node.environment(folder / str(number), epmd_port, found.path)
        names = [each["RABBITMQ_NODENAME"] for each in environments.values()]
        try:
            epmd = [found.epmd, "-port", str(epmd_port), "-address", node.HOST]
            started.append(subprocess.Popen(epmd, env=environments[0]))
            for number, environment in environments.items():
                port = node.free_port()
                place = folder / str(number)
                _write(place, port, password, cookie, names[: number + 1])
                with (place / "console").open("wb") as console:
                    process = subprocess.Popen(
                        [str(found.server)], env=environment, stdout=console, stderr=console
                    )
                started.append(process)
                nodes.append(Node(port, process))
                _wait(Cluster(tuple(nodes), password), nodes[-1], place)
            yield Cluster(tuple(nodes), password)
        finally:
            for process in reversed(started):
                with contextlib.suppress(psutil.NoSuchProcess):
                    for child in psutil.Process(process.pid).children(recursive=True):
                        child.send_signal(signal.SIGKILL)
                process.kill()
                process.wait()


def _write(place: Path, port: int, password: str, cookie: str, names: list[str]) -> None:
    """The files of a node, which knows those that were started before it."""
    discovery = {"cluster_formation.peer_discovery_backend": "classic_config"}
    for number, name in enumerate(names, 1):
        discovery[f"cluster_formation.classic_config.nodes.{number}"] = name
    node.write_files(place, port, password, False, discovery)
    secret = place / "home" / ".erlang.cookie"
    secret.write_text(cookie)
    secret.chmod(0o400)


def _wait(to: Cluster, which: Node, place: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if which.process.poll() is not None:
            break
        with contextlib.suppress(OSError, amqp.AMQPError):
            to.connect(which).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"node {which.address} did not come up: {node.log_tail(place)}")
