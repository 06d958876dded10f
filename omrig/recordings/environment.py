"""What ran where: versions, kernel, processors."""

import json
import os
import platform
import socket
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from omrig.model.run import CLIENTS, KAFKA_CLIENT, Environment
from omrig.model.software import NOTE
from omrig.model.transport import KAFKA

_PACKAGES = ("oslo.messaging", "oslo.config", "oslo.service")
_BESIDE = ("eventlet", "greenlet", "futurist", "yappi")


def describe(broker: str) -> Environment:
    """Versions of Python and of the packages a message passes, kernel, CPU count, host.

    ``broker`` is one of :data:`omrig.model.transport.BROKERS`.
    """
    clients = (KAFKA_CLIENT,) if broker == KAFKA else CLIENTS
    packages = (*_PACKAGES, *clients, *_BESIDE)
    note = _note(packages)
    return Environment(
        host=socket.gethostname(),
        kernel=platform.release(),
        cpu_count=os.cpu_count() or 1,
        cores=_cores(),
        python=platform.python_version(),
        versions={package: _version(package) for package in packages} | note.get("asked", {}),
        sources=note.get("sources") or None,
    )


def _cores() -> tuple[int, ...] | None:
    """The cores that this process, and who it starts, may use; None where that is all of them."""
    usable = tuple(sorted(os.sched_getaffinity(0)))
    return usable if len(usable) < (os.cpu_count() or 1) else None


def _note(packages: Iterable[str]) -> dict[str, dict[str, str]]:
    """What the environment of this process was made for; nothing where it was not for a run.

    Packages that are among ``packages`` are spelt like there.
    """
    path = Path(sys.prefix, NOTE)
    if not path.exists():
        return {}
    spelt = {canonicalize_name(package): package for package in packages}
    found: dict[str, Mapping[str, str]] = json.loads(path.read_text())
    return {
        key: {spelt.get(canonicalize_name(name), name): text for name, text in found[key].items()}
        for key in ("asked", "sources")
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
