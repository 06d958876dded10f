"""Where environments are kept: found by their key, locked while used, listed and removed.

An environment is made under another name and renamed when it is whole. Who uses one holds a lock
of it as long as the process lives, however that ends.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from omrig.model import locks
from omrig.model.software import NOTE

MAKING = "making-"
_REMOVED = "removed-"
CODE = "code-"
_LOCK = "lock"
_held: dict[Path, int] = {}
"""The descriptors of the locks that this process holds until it ends."""


def folder() -> Path:
    """Where this user's environments are; ``XDG_CACHE_HOME`` moves it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "omrig" / "environments"


@contextlib.contextmanager
def locked(say: Callable[[str], None]) -> Iterator[Path]:
    """The folder of the environments, with nobody else that makes or removes one."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another omrig that makes or removes an environment")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield place
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """Whether the folder ``path`` is there; if so it is not removed while this process lives."""
    if path in _held:
        return path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        is_same = os.stat(path).st_ino == os.fstat(descriptor).st_ino  # noqa: PTH116
    except (BlockingIOError, FileNotFoundError):
        # It is being removed.
        is_same = False
    if is_same:
        _held[path] = descriptor
    else:
        os.close(descriptor)
    return is_same


def note(path: Path) -> dict[str, Any] | None:
    """What an environment's note says; None where there is none that can be read."""
    try:
        found = json.loads((path / NOTE).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


@dataclasses.dataclass(frozen=True)
class Stored:
    """Something in the cache: its ``key``, what its note says, its size, and when it was used.

    ``note`` is None for what is no whole environment: omrig's own files, or what was left half
    made.
    """

    path: Path
    note: dict[str, Any] | None
    size_bytes: int
    used_s: float

    @property
    def key(self) -> str:
        """The name of its folder."""
        return self.path.name


def stored() -> list[Stored]:
    """All that is in the cache, the last used first."""
    place = folder()
    paths = [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
    found = []
    for path in paths:
        used = path / NOTE if (path / NOTE).exists() else path
        with contextlib.suppress(FileNotFoundError):
            found.append(Stored(path, note(path), _size_bytes(path), used.stat().st_mtime))
    return sorted(found, key=lambda each: -each.used_s)


def _size_bytes(path: Path) -> int:
    """The room that a folder takes on the disk; a file with several names counts where it is."""
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118
    return total


def prune(say: Callable[[str], None]) -> tuple[list[Stored], list[Stored]]:
    """Remove what no running process uses: what was removed, and what is in use.

    Raises :class:`OSError` for what cannot be removed.
    """
    removed, used = [], []
    if not folder().is_dir():
        return [], []
    with locked(say) as place:
        running = _running()
        for each in stored():
            named = any(str(each.path) in line for line in running)
            if named or locks.is_held(each.path):
                used.append(each)
                continue
            # What is half removed must not be taken for whole.
            away = place / f"{_REMOVED}{each.key.removeprefix(_REMOVED)}"
            each.path.rename(away)
            shutil.rmtree(away)
            removed.append(each)
    return removed, used


def _running() -> Sequence[str]:
    """The command lines and search paths of the processes of this user, each in one text."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            found.append(" ".join([*process.cmdline(), process.environ().get("PYTHONPATH", "")]))
    return found
