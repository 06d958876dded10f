"""The spool of a host: where the members of a fleet write until their folders are collected.

``$OMRIG_SPOOL``, else the user's cache, holds a folder a run, for this user's eyes alone, with a
folder a member in it. What was collected is deleted; what could not be stays until it is, or until
``omrig clean --spool``.
"""

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from omrig.model import locks

ENVIRONMENT = "OMRIG_SPOOL"
"""Names another place than the user's cache."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True)
class Kept:
    """The folder of a run in the spool: its size, when something last came into it (seconds since
    the epoch), and whether a process still writes there."""

    path: Path
    size_bytes: int
    changed_s: float
    in_use: bool


def root() -> Path:
    """The spool of this user on this host."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "omrig" / "fleet"


def made(run_id: str) -> Path:
    """The folder of a run, which several members of it share; nobody else may look into it.

    Raises ``OSError`` where it cannot be made so, ``ValueError`` for what is no id.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"no id of a run: {run_id!r}")
    folder = root() / run_id
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(1, "is not a folder of this user's own", str(folder))
    folder.chmod(0o700)
    return folder


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """A block in which the folder of a run is not deleted by :func:`prune`; it ends with the
    process, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def kept() -> list[Kept]:
    """The runs of which something is in the spool, the oldest first."""
    found = []
    for folder in _runs():
        sizes, changes = [0], [folder.stat().st_mtime]
        for path in folder.rglob("*"):
            # It may be collected meanwhile.
            with contextlib.suppress(FileNotFoundError):
                about = path.lstat()
                sizes.append(about.st_size if stat.S_ISREG(about.st_mode) else 0)
                changes.append(about.st_mtime)
        found.append(Kept(folder, sum(sizes), max(changes), locks.is_held(folder)))
    return sorted(found, key=lambda each: each.changed_s)


def _runs() -> Iterator[Path]:
    place = root()
    if place.is_dir():
        for path in place.iterdir():
            if path.is_dir() and not path.is_symlink() and _RUN_ID.fullmatch(path.name):
                yield path


def remove(folder: str | Path) -> None:
    """Delete a run's folder, or one in it; with the last in a folder that one goes, too.

    Raises ``ValueError`` for one that is not in the spool, ``OSError`` where it cannot be deleted.
    """
    place, path = root().resolve(), Path(folder).resolve()
    if place not in path.parents:
        raise ValueError(f"{folder} is not in the spool {place}")
    if path.exists():
        shutil.rmtree(path)
    for parent in path.parents:
        if parent == place:
            return
        try:
            parent.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            # Others of the run are still there.
            return
