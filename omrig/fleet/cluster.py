"""The cluster of a fleet: there before, or made for a run on this host or over ssh.

What is made ends with the block, and also with the coordinator, however that ends: each worker
holds the other end of a pipe of ours, and has its scheduler in the coordinator.
"""

import contextlib
import dataclasses
import logging
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from omrig.fleet import hosts as fleet_hosts
from omrig.fleet import hosts_file, settings
from omrig.fleet.hosts import Host
from omrig.model import interpreter
from omrig.model.errors import RunError, UsageError
from omrig.model.fleet import Kind

if TYPE_CHECKING:
    from distributed import Client

OPTIONS: Mapping[Kind, str] = {
    "local": "--local",
    "hosts": "--hosts",
    "scheduler": "--scheduler",
}
"""The options that say which cluster it is."""

CONNECT_S = 10.0
"""A scheduler that is there answers sooner."""

START_S = 90.0
"""So long may workers of ours take to start: they import a lot, and hosts may be slow."""

ANSWER_S = 30.0
"""So long may a worker take to say what its host is."""

STOP_S = 10.0
"""So long may workers of ours take to end when they are asked."""

_LOOK_S = 0.1
_LONGEST_REASON = 300

_LOOPBACK = "127.0.0.1"

_SSH_FAILED = 255

_SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster while it is open.

    ``engine`` is that with its version, ``is_ours`` whether it was made for this run.
    ``resources`` are what a member takes of its worker, None where not all workers declare them.
    """

    client: "Client"
    kind: Kind
    engine: str
    hosts: tuple[Host, ...]
    is_ours: bool
    resources: Mapping[str, float] | None = None


@contextlib.contextmanager
def opened(kind: Kind, where: str | int, say: Callable[[str], None]) -> Iterator[Cluster]:
    """A cluster for the length of the block; ``say`` is told what takes time.

    ``where`` is the number of workers on this host, the path of a file that lists hosts, or the
    address of a scheduler, by ``kind``.

    Raises ``UsageError`` where ``where`` is no such thing, nobody answers there, a host has no
    omrig or cannot be reached, or the package of the engine is missing; ``RunError`` for a worker
    that does not start.
    """
    engine = _engine()
    with contextlib.ExitStack() as stack:
        if kind == "scheduler":
            client = stack.enter_context(_connected(str(where)))
            names: dict[str, str] = {}
        else:
            client, names = stack.enter_context(_made(where, say))
        found = _hosts(client, names, OPTIONS[kind])
        with settings.quiet(client, ANSWER_S):
            yield Cluster(
                client, kind, engine, found, kind != "scheduler", _resources(client, found)
            )


def _engine() -> str:
    """The engine with its version; raises ``UsageError`` where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            f"omrig fleet: {error.name} is not installed; pip install 'omrig[fleet]', here and on"
            " the hosts"
        ) from error
    # What it tells of its processes is no one's matter; what went wrong is said by who asked.
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith("distributed."):
            logging.getLogger(name).setLevel(logging.NOTSET)
    return f"dask.distributed {distributed.__version__}"


@contextlib.contextmanager
def _connected(address: str) -> "Iterator[Client]":
    """A client of the scheduler at ``address``."""
    from distributed import Client

    option = OPTIONS["scheduler"]
    _check(address)
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise UsageError(
            f"{option}: no scheduler answers at {address} within {CONNECT_S:.0f} s; start one there"
            " (dask scheduler), or give the address of one"
        ) from error
    except (ValueError, TypeError, ImportError) as error:
        raise UsageError(f"{option}: {address}: {error}") from error
    with contextlib.closing(client):
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise UsageError(
                f"{option}: the scheduler at {address} has no workers; start one on each host"
                f" (dask worker {address})"
            )
        yield client


def _check(address: str) -> None:
    """Raise ``UsageError`` for what is no scheduler's address."""
    scheme, _, rest = address.partition("://")
    host, colon, port = rest.rpartition(":")
    if scheme not in ("tcp", "tls", "ws", "wss") or not (host and colon and port.isdigit()):
        raise UsageError(
            f"{OPTIONS['scheduler']}: {address!r} is no address of a scheduler; give one as"
            " tcp://HOST:PORT or tls://HOST:PORT"
        )


@contextlib.contextmanager
def _made(
    where: str | int, say: Callable[[str], None]
) -> "Iterator[tuple[Client, dict[str, str]]]":
    """A client of a scheduler in this process, with its workers running, and the hosts' names by
    the addresses of their workers."""
    listed = hosts_file.read(Path(where)) if isinstance(where, str) else ()
    local = int(where) if isinstance(where, int) else 0
    number = local or len(listed)
    say(f"starting {number} worker{'s' if number > 1 else ''} of dask.distributed")
    with contextlib.ExitStack() as stack:
        scheduler = stack.enter_context(_scheduler("" if listed else _LOOPBACK))
        port = scheduler.scheduler_address.rpartition(":")[2]
        workers = stack.enter_context(_ended([]))
        for count in range(local):
            name = f"{socket.gethostname()}-{count}"
            workers.append(_local(f"tcp://{_LOOPBACK}:{port}", name))
        for each in listed:
            workers.append(_remote(each, f"tcp://{_own_address(each)}:{port}"))
        client = stack.enter_context(_client(scheduler))
        by_worker = _all_there(client, workers)
        yield client, {} if local else by_worker


@contextlib.contextmanager
def _scheduler(host: str) -> "Iterator[Any]":
    """A scheduler in this process that listens at ``host``, all addresses where it is empty."""
    import dask
    from distributed import Scheduler, SpecCluster

    dask.config.set(settings.CONFIGURATION)
    options = {
        "host": f"tcp://{host}",
        "port": 0,
        "dashboard": False,
        "dashboard_address": f"{_LOOPBACK}:0",
    }
    spec = {"cls": Scheduler, "options": options}
    cluster = SpecCluster(scheduler=spec, workers={}, scheduler_sync_interval=settings.HEARTBEAT_S)
    with contextlib.closing(cluster):
        yield cluster


@contextlib.contextmanager
def _client(scheduler: Any) -> "Iterator[Client]":
    from distributed import Client

    with contextlib.closing(Client(scheduler, set_as_default=False)) as client:
        yield client


@dataclasses.dataclass
class _Worker:
    """A worker of ours: what it is called, whether that is a listed host, its process (or ssh's),
    and what that complained of."""

    name: str
    is_listed: bool
    process: "subprocess.Popen[bytes]"
    complaints: IO[bytes]

    def said(self) -> str:
        """The last line of what it complained of."""
        self.complaints.seek(0)
        lines = self.complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:_LONGEST_REASON] if lines else "it said nothing"

    def failed(self) -> UsageError | RunError:
        """Why it did not start: for want of something on a host that was listed, or of ours."""
        if not self.is_listed:
            return RunError(f"the worker {self.name} did not start: {self.said()}")
        todo = f"install omrig[fleet] on {self.name}, and name the Python that has it"
        if self.process.returncode == _SSH_FAILED:
            todo = f"have 'ssh {self.name} true' work here without a question"
        return UsageError(f"{OPTIONS['hosts']}: no worker on {self.name}: {self.said()}; {todo}")


def _local(scheduler: str, name: str) -> _Worker:
    command = interpreter.command("omrig.fleet.worker", scheduler, name)
    return _start(name, False, command, interpreter.environment())


def _remote(listed: hosts_file.Listed, scheduler: str) -> _Worker:
    asked = [listed.python, "-P", "-m", "omrig.fleet.worker", scheduler, listed.name]
    command = [*_SSH, "--", listed.name, f"exec {shlex.join(asked)}"]
    return _start(listed.name, True, command, interpreter.without_options())


def _start(
    name: str, is_listed: bool, command: Sequence[str], environment: Mapping[str, str]
) -> _Worker:
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the worker is ended
    try:
        # A session of its own: a Ctrl-C in the terminal goes to the coordinator alone.
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=complaints,
            stderr=complaints,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        complaints.close()
        raise UsageError(
            f"{OPTIONS['hosts']}: there is no {command[0]} here; install it, or start the workers"
            f" by hand and give {OPTIONS['scheduler']}"
        ) from error
    return _Worker(name, is_listed, process, complaints)


@contextlib.contextmanager
def _ended(workers: list[_Worker]) -> Iterator[list[_Worker]]:
    """What is put into ``workers`` in the block is ended after it."""
    try:
        yield workers
    finally:
        for each in workers:
            if each.process.stdin:
                each.process.stdin.close()
        deadline = time.monotonic() + STOP_S
        for each in workers:
            try:
                each.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                each.process.kill()
                each.process.wait()
            each.complaints.close()


def _own_address(listed: hosts_file.Listed) -> str:
    """The address of this host that a host reaches it by; of none that can be found, the name."""
    try:
        return fleet_hosts.own_address(listed.host)
    except OSError:
        # An alias of ssh's configuration.
        return socket.getfqdn()


def _all_there(client: "Client", workers: Sequence[_Worker]) -> dict[str, str]:
    """Wait until the scheduler knows all workers; their names by their addresses.

    Raises ``RunError`` for one that does not come, or has ended; that of a host which has not what
    it takes is a ``UsageError``.
    """
    deadline = time.monotonic() + START_S
    while True:
        known = client.scheduler_info(n_workers=-1)["workers"]
        by_name = {str(about["name"]): address for address, about in known.items()}
        missing = [each for each in workers if each.name not in by_name]
        if not missing:
            return {by_name[each.name]: each.name for each in workers}
        for each in missing:
            if each.process.poll() is not None:
                raise each.failed()
        if time.monotonic() > deadline:
            names = ", ".join(each.name for each in missing)
            raise RunError(
                f"no worker has come from {names} within {START_S:.0f} s:"
                f" {missing[0].said()}; can it reach this host?"
            )
        time.sleep(_LOOK_S)


def _resources(client: "Client", hosts: Sequence[Host]) -> Mapping[str, float] | None:
    """What a member takes of its worker, where all workers say how much of it they have."""
    known = client.scheduler_info(n_workers=-1)["workers"]
    workers = [known.get(worker, {}) for host in hosts for worker in host.workers]
    declared = all(settings.RESOURCE in each.get("resources", {}) for each in workers)
    return {settings.RESOURCE: 1.0} if declared else None


def _hosts(client: "Client", names: Mapping[str, str], option: str) -> tuple[Host, ...]:
    """The hosts of the workers that the scheduler knows now.

    Raises ``UsageError`` for one without this omrig, or that does not answer.
    """
    try:
        answers = fleet_hosts.described(client, ANSWER_S)
    except TimeoutError as error:
        raise UsageError(
            f"{option}: not every worker answers within {ANSWER_S:.0f} s; look at those that hang"
        ) from error
    for address, answer in answers.items():
        if isinstance(answer, ImportError):
            raise UsageError(
                f"{option}: the worker at {address} cannot import what it needs ({answer}); install"
                " this omrig there"
            )
        if isinstance(answer, BaseException):
            raise RunError(f"the worker at {address}: {type(answer).__name__}: {answer}")
    return tuple(fleet_hosts.of_workers(answers, names))
