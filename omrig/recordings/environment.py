"""What ran where: versions, kernel, processors."""

import os
import platform
import socket
from importlib import metadata

from omrig.model.run import CLIENTS, KAFKA_CLIENT, Environment
from omrig.model.transport import KAFKA

_PACKAGES = ("oslo.messaging", "oslo.config", "oslo.service")
_BESIDE = ("eventlet", "greenlet", "futurist", "yappi")


def describe(broker: str) -> Environment:
    """Versions of Python and of the packages a message passes, kernel, CPU count, host.

    ``broker`` is one of :data:`omrig.model.transport.BROKERS`.
    """
    clients = (KAFKA_CLIENT,) if broker == KAFKA else CLIENTS
    packages = (*_PACKAGES, *clients, *_BESIDE)
    return Environment(
        host=socket.gethostname(),
        kernel=platform.release(),
        cpu_count=os.cpu_count() or 1,
        python=platform.python_version(),
        versions={package: _version(package) for package in packages},
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
