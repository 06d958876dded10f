"""What ran where: versions, kernel, processors."""

import os
import platform
import socket
from importlib import metadata
from typing import Any

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


def describe() -> dict[str, Any]:
    """Versions of Python and of the packages a message passes, kernel, CPU count, host."""
    return {
        "host": socket.gethostname(),
        "kernel": platform.release(),
        "cpu_count": os.cpu_count(),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
