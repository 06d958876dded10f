"""What a process of a service says of itself, in a folder of its own."""

import json
import posix
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

from omrig.measured.attached import files
from omrig.measured.probes.stamp import IMPLEMENTATION
from omrig.model import redaction
from omrig.model.stamps import COLUMNS
from omrig.model.values import Json

NAME = "process.json"

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_PACKAGES = ("oslo.messaging", "kombu", "amqp")


def is_green() -> bool:
    """Whether the process' threads are eventlet's: whether they were patched, not whether eventlet
    was imported, which libraries do without being asked."""
    patcher: Any = sys.modules.get("eventlet.patcher")
    return bool(patcher and patcher.is_monkey_patched("thread"))


def folder_name(started_ns: int) -> str:
    """The name of this process' folder: its host, its pid, and when it was first connected."""
    return f"{posix.uname().nodename}.{posix.getpid()}.{started_ns // 1_000_000}"


def called() -> str:
    """What this process is called: as ``omrig exec`` was told, or by its program."""
    named = posix.environ.get(b"OMRIG_EXEC_NAME", b"").decode(errors="replace")
    return named or sys.argv[0].rpartition("/")[2] or "python"


def describe(
    folder: str,
    started_ns: int,
    missing: Sequence[str],
    lost_stages: Iterable[str],
    others: Sequence[str],
) -> None:
    """Write ``process.json``. Raises ``OSError``."""
    green = is_green()
    about: dict[str, Json] = {
        "name": called(),
        "host": posix.uname().nodename,
        "pid": posix.getpid(),
        "ppid": posix.getppid(),
        "program": [redaction.shown_argument(redaction.redact(each)) for each in sys.orig_argv],
        "executor": "eventlet" if green else "threading",
        "python": sys.version.split()[0],
        "versions": _versions((*_PACKAGES, "eventlet") if green else _PACKAGES),
        "boot_id": files.read(_BOOT_ID).strip(),
        "started_ns": started_ns,
        "missing": list(missing),
        "lost_stages": sorted(lost_stages),
        "stamps": IMPLEMENTATION,
        "columns": {side: list(columns) for side, columns in COLUMNS.items()},
        "others": list(others),
    }
    files.replace(folder, NAME, json.dumps(about))


def threads() -> int:
    """How many threads of the system the process has."""
    return len(posix.listdir("/proc/self/task"))


def cpu_ns() -> int:
    """CPU time that all threads of the process have used."""
    return time.process_time_ns()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            # Put there without saying which: a copy in a source tree.
            found[package] = ""
    return found
