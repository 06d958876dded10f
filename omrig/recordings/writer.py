"""What is written into a run folder: whole or not at all, by whoever writes there.

The measured process imports this, so numpy is imported only where columns are written.
"""

import array
import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omrig.model.stamps import COLUMNS
from omrig.recordings import folder as run_folder

RESERVE = "reserve"
"""In a folder that is written to at the end: nothing, but room on the disk."""

_TYPES = {"B": "u1", "I": "<u4", "Q": "<u8"}
"""How the items of an array are written, by its type code."""


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
    path = folder / RESERVE
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
        (folder / RESERVE).unlink()


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


def save_recording(
    folder: Path, about: dict[str, Any], columns: "Mapping[str, array.array[int]]"
) -> None:
    """Write ``side.json`` and ``messages.npz`` into the folder of a side.

    ``columns`` are :func:`time.perf_counter_ns` readings by sequence number, 0 for none, and
    those of ``failed_ns`` of the messages that ``failed_seq`` numbers; and what messages differ in.
    """
    import numpy

    # First what is small: with it alone there are still counts.
    write_json(folder / run_folder.SIDE, about)
    save_columns(
        folder / run_folder.MESSAGES,
        {
            name: numpy.frombuffer(column, dtype=_TYPES[column.typecode])
            for name, column in columns.items()
        },
    )


def save_nested(folder: Path, columns: "Mapping[str, array.array[int]]") -> None:
    """Write ``nested.npz``: of the calls that an endpoint made what a producer's columns say."""
    import numpy

    save_columns(
        folder / run_folder.NESTED,
        {name: numpy.frombuffer(column, dtype="<u8") for name, column in columns.items()},
    )


def save_stamps(folder: Path, about: dict[str, Any], rows: "Mapping[str, array.array[int]]") -> str:
    """Write ``stages.json`` and ``stamps.npz`` into the folder of a side; the name of the latter.

    ``rows`` are the stamps of each side, row after row, as :mod:`omrig.model.stamps` lays them out.
    """
    import numpy

    write_json(folder / run_folder.INSTRUMENT, about)
    tables = {
        # A copy: a message that ends after this may still extend the array.
        side: numpy.array(each[: len(each)], dtype="<u8").reshape(-1, len(COLUMNS[side]))
        for side, each in rows.items()
    }
    save_columns(folder / run_folder.STAMPS, tables)
    return run_folder.STAMPS


def save_counts(folder: Path, counted: Mapping[str, Any]) -> None:
    """Write ``counts.json`` into the folder of a member."""
    write_json(folder / run_folder.COUNTS, counted)


def save_artefacts(folder: Path, artefacts: list[dict[str, Any]]) -> None:
    """Write the list of what the profilers of a side wrote into its folder."""
    write_json(folder / run_folder.ARTEFACTS, artefacts)


def save_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write arrays by name as an ``.npz``; see :func:`writing`."""
    import numpy

    with writing(path, "wb") as file:
        numpy.savez(file, **columns)
