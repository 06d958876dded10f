"""The run folder: made, written and read."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omrig.model import errors
from omrig.model.errors import UsageError

SCHEMA = 1
RUN = "run.json"
RESULT = "result.json"

_RESERVE = "reserve"

ARTEFACTS = "artefacts.json"
"""In a side's folder: what the profilers of that side wrote."""


def create(output: str, sides: tuple[str, ...]) -> Path:
    """Make the run folder and a folder for each side.

    Raises ``UsageError`` when it cannot be written or holds a run already.
    """
    folder = Path(output).absolute()
    with errors.naming("--output"):
        if (folder / RUN).exists():
            raise UsageError(f"--output: {output} already holds a run; name another folder")
        for side in sides:
            (folder / side).mkdir(parents=True, exist_ok=True)
        for each in (folder, *(folder / side for side in sides)):
            if not os.access(each, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(each))
    return folder


@contextlib.contextmanager
def writing(path: Path, mode: str = "w", newline: str | None = None) -> Iterator[Any]:
    """A new file that is ``path`` once the block has ended well; until then, and else, there is
    what was there before. Text is UTF-8.

    What is no file (a pipe, a terminal) is written as it is. Raises OSError, which always has the
    name of the file.
    """
    encoding = None if "b" in mode else "utf-8"
    # What is not UTF-8 in the name of a file is shown as it can be.
    lenient = None if encoding is None else "backslashreplace"
    special = path.exists() and not path.is_file()
    target = path if special else Path(os.path.realpath(path))
    draft = target if special else target.with_name(target.name + ".part")
    try:
        with draft.open(mode, encoding=encoding, errors=lenient, newline=newline) as file:
            yield file
        if not special:
            draft.replace(target)
    except BaseException as error:
        if not special:
            # Only the first failure is worth telling.
            with contextlib.suppress(OSError):
                draft.unlink()
        if isinstance(error, OSError) and error.filename in (None, draft, str(draft)):
            error.filename, error.filename2 = str(path), None
        raise


def reserve(folder: Path, size_bytes: int) -> None:
    """Keep so much room on the disk for what is written after :func:`release`."""
    path = folder / _RESERVE
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
    except OSError as error:
        path.unlink(missing_ok=True)
        error.filename = str(folder)
        raise


def release(folder: Path) -> None:
    """Give the room that was kept to what is written now."""
    with contextlib.suppress(OSError):
        (folder / _RESERVE).unlink()


def append(path: Path, data: bytes) -> None:
    """Add ``data`` to the end of a file, all of it or nothing.

    Raises OSError, which has the name of the file.
    """
    with path.open("ab", buffering=0) as file:
        before, rest = file.tell(), memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            file.truncate(before)
            error.filename = str(path)
            raise


def write_json(path: Path, value: object, indent: int | None = 1) -> None:
    """Write ``value`` so that a reader never sees half of it; see :func:`writing`."""
    with writing(path) as file:
        file.write(json.dumps(value, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in ``path``, or None when there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def read_run(folder: str, argument: str = "RUN") -> tuple[Path, dict[str, Any]]:
    """The absolute path of a run folder and its ``run.json``; ``argument`` is named in errors.

    Raises ``UsageError`` when ``folder`` holds no run that this omrig reads.
    """
    path = Path(folder).absolute()
    try:
        run = read_json(path / RUN)
    except OSError as error:
        raise UsageError(f"{argument}: {errors.in_words(error)}") from error
    except ValueError as error:
        raise UsageError(f"{argument}: {folder}/{RUN} cannot be read ({error})") from error
    if run is None:
        raise UsageError(
            f"{argument}: {folder} holds no run (no {RUN}); give a folder that omrig wrote"
        )
    if run["schema"] > SCHEMA:
        raise UsageError(
            f"{argument}: {folder} was written by omrig {run['omrig']} with schema {run['schema']};"
            f" this one reads up to {SCHEMA}: upgrade it"
        )
    return path, run
