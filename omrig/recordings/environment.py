"""What ran where: versions, kernel, processors."""

import os
import platform
import socket
from importlib import metadata

from omrig.model.run import Environment

_PACKAGES = (
    "oslo.messaging",
    "oslo.config",
    "oslo.service",
    "kombu",
    "amqp",
    "eventlet",
    "greenlet",
    "futurist",
    "yappi",
)


def describe() -> Environment:
    """Versions of Python and of the packages a message passes, kernel, CPU count, host."""
    return Environment(
        host=socket.gethostname(),
        kernel=platform.release(),
        cpu_count=os.cpu_count() or 1,
        python=platform.python_version(),
        versions={package: _version(package) for package in _PACKAGES},
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
