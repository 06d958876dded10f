"""The folder of attached processes: who may use it, whose turn it is, what was recorded there."""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.model.values import Json
from omrig.recordings import writer

ON = "on"
"""The file that says which recording is wanted, for processes that begin meanwhile."""

PREFIX = "rec-"
"""What the name of a recording begins with; a number follows."""

_MAPS = "maps.json"
_PRIVATE = 0o077


def checked(name: str, option: str = "DIR") -> Path:
    """The folder called ``name``, that we may record in, with its whole path.

    Raises ``UsageError`` where it is none of ``omrig exec``, somebody else's, or open to others.
    """
    path = Path(name).absolute()
    with errors.naming(option):
        state = path.stat()
    if not stat.S_ISDIR(state.st_mode):
        raise UsageError(f"{option}: {name} is no folder; name that of omrig exec --run")
    if os.geteuid() not in (0, state.st_uid):
        raise UsageError(
            f"{option}: {name} belongs to user {state.st_uid}; only that user and root may look"
            " into its processes"
        )
    if state.st_mode & _PRIVATE:
        raise UsageError(
            f"{option}: others may use {name} (mode {stat.S_IMODE(state.st_mode):04o});"
            f" chmod 0700 {name}"
        )
    if not (path / _MAPS).exists():
        raise UsageError(
            f"{option}: {name} is no folder of omrig exec; name the one of omrig exec --run"
        )
    return path


@contextlib.contextmanager
def private() -> Iterator[None]:
    """What is written in the block is for its owner alone."""
    before = os.umask(_PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Nobody else records in ``folder`` during the block; the kernel ends it with the process.

    Raises ``UsageError`` where somebody does.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"DIR: {_taken(folder)}") from error
        yield
    finally:
        os.close(descriptor)


def _taken(folder: Path) -> str:
    """Who records there already, in words."""
    wanted = read_on(folder)
    if wanted is None:
        return f"another recorder is about to begin in {folder}; wait for it"
    return (
        f"pid {wanted.get('pid')} records {wanted.get('recording')} there already; wait for its"
        " end, or end it (kill -INT)"
    )


def read_on(folder: Path) -> Mapping[str, Json] | None:
    """What is wanted of processes that begin now; None where nothing is."""
    try:
        found = json.loads((folder / ON).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, Mapping) else None


def write_on(folder: Path, wanted: Mapping[str, Json]) -> None:
    """Say what is wanted of processes that begin from now on. Raises ``OSError``."""
    writer.write_json(folder / ON, wanted)


def remove_on(folder: Path) -> None:
    """Nothing is wanted any more. Raises ``OSError``."""
    (folder / ON).unlink(missing_ok=True)


def start_of(pid: int) -> int | None:
    """When the process began, in clock ticks since the boot: with the pid it is unmistakable.

    None where there is no such process any more, or one that nobody has waited for yet.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name of a program may hold blanks and brackets.
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_recording(wanted: Mapping[str, Json]) -> bool:
    """Whether the recorder that wrote ``on`` lives."""
    pid = wanted.get("pid")
    return isinstance(pid, int) and start_of(pid) == wanted.get("start")


def new_recording(folder: Path) -> Path:
    """An empty folder for a recording, of the next number. Raises ``OSError``."""
    numbers = (number(path) for path in recordings(folder))
    path = folder / f"{PREFIX}{max(numbers, default=0) + 1}"
    path.mkdir(mode=0o700)
    return path


def recordings(folder: Path) -> list[Path]:
    """The recordings in ``folder``, the oldest first."""
    found = [path for path in folder.glob(f"{PREFIX}*") if number(path) >= 0 and path.is_dir()]
    return sorted(found, key=number)


def number(recording: Path) -> int:
    """The number of a recording; -1 for what is none."""
    text = recording.name.removeprefix(PREFIX)
    return int(text) if text.isascii() and text.isdecimal() else -1
