"""The hosts of a cluster: which workers are on one, and what is installed there."""

import collections
import dataclasses
import os
import platform
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import omrig
from omrig.model.boot import boot_id

if TYPE_CHECKING:
    from distributed import Client

COMPARED = ("oslo.messaging", "kombu", "amqp", "eventlet")
"""The packages a message passes, of which every host has to have the same release."""

_ANY_PORT = 9
_TRACKING = ("chronyc", "tracking")
_TRACKING_S = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """One host of a cluster.

    ``name`` is unique in the cluster, ``address`` the IP address that its ``workers`` (addresses of
    the engine's, in order) listen at. ``boot_id`` is the kernel's, ``versions`` has the packages in
    :data:`COMPARED`, None for one that is not installed, ``synchronisation`` what the time daemon
    says of the host's clock in one line, None where none answers.
    """

    name: str
    address: str
    workers: tuple[str, ...]
    cpu_count: int
    boot_id: str
    kernel: str
    python: str
    omrig: str
    versions: Mapping[str, str | None]
    synchronisation: str | None = None


def describe() -> dict[str, Any]:
    """What this process' host is: the fields of a :class:`Host`, its own name as ``hostname``."""
    return {
        "hostname": socket.gethostname(),
        "cpu_count": len(os.sched_getaffinity(0)),
        "boot_id": boot_id(),
        "kernel": platform.release(),
        "synchronisation": synchronisation(),
        **installed(),
    }


def installed() -> dict[str, Any]:
    """What is installed where this is called: ``python``, ``omrig`` and ``versions`` of a Host."""
    return {
        "python": platform.python_version(),
        "omrig": omrig.__version__,
        "versions": {name: _version(name) for name in COMPARED},
    }


def synchronisation() -> str | None:
    """What chrony says of this host's clock, in one line; None where it does not answer."""
    try:
        ran = subprocess.run(
            _TRACKING, capture_output=True, text=True, timeout=_TRACKING_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    told = dict(line.split(":", 1) for line in ran.stdout.splitlines() if ":" in line)
    parts = {key.strip(): value.strip() for key, value in told.items()}
    wanted = ("Reference ID", "System time", "Frequency", "Root dispersion")
    return "chrony: " + ", ".join(f"{key} {parts[key]}" for key in wanted if key in parts)


def of_workers(described: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> list[Host]:
    """The hosts on which workers are, in the order of their first workers.

    ``described`` has by a worker's address what :func:`describe` gave there, ``names`` what a host
    is to be called, where something was said; else it is its own name, and of several that are
    called alike the IP address.
    """
    groups: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for address, about in described.items():
        groups[ip_of(address), about["boot_id"]].append(address)
    firsts = [workers[0] for workers in groups.values()]
    called = [names.get(each) or str(described[each]["hostname"]) for each in firsts]
    unique = _unique(called, [ip for ip, _ in groups])
    return [
        _host(name, workers, described[workers[0]])
        for name, workers in zip(unique, groups.values(), strict=True)
    ]


def own_address(host: str) -> str:
    """The address of this host at which ``host`` reaches it. Raises ``OSError`` where it cannot be
    told."""
    family, _, _, _, address = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM)[0]
    # Nothing is sent: the kernel only chooses the way.
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect(address)
        return str(way.getsockname()[0])


def ip_of(address: str) -> str:
    """The IP address in one of the engine's: of ``tcp://10.0.0.1:4711`` it is ``10.0.0.1``."""
    return urlsplit(address).hostname or address


def described(client: "Client", timeout_s: float) -> dict[str, Any]:
    """What :func:`describe` gives on each worker, by its address, or the error it came to.

    Raises :class:`TimeoutError` when one does not answer within ``timeout_s``.
    """

    async def ask() -> dict[str, Any]:
        found: dict[str, Any] = await client.run(describe, on_error="return")
        return found

    answers: dict[str, Any] = client.sync(ask, callback_timeout=timeout_s)
    return answers


def _unique(called: Sequence[str], addresses: Sequence[str]) -> list[str]:
    for names in (called, addresses):
        if len(set(names)) == len(names):
            return list(names)
    # Several machines behind one address.
    return [f"{name}-{number}" for number, name in enumerate(called, 1)]


def _host(name: str, workers: Iterable[str], about: Mapping[str, Any]) -> Host:
    fields = {key: value for key, value in about.items() if key != "hostname"}
    workers = tuple(workers)
    return Host(name=name, address=ip_of(workers[0]), workers=workers, **fields)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
