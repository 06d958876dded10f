"""Tables of rows as a recorded process leaves them; they may be read while they are written."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model import tables
from omrig.model.columns import Integers
from omrig.model.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a table in the order of writing, ``overwritten`` others before them."""

    table: Integers
    overwritten: int = 0


def read(path: Path, width: int) -> Rows:
    """The rows of a file, ``width`` words each; none where there is no file.

    Raises ``UsageError`` for a table of another layout.
    """
    empty = numpy.zeros((0, width), numpy.int64)
    try:
        words = numpy.fromfile(path, dtype="<u8")
    except FileNotFoundError:
        return Rows(empty)
    size = tables.CHUNK_BYTES // tables.WORD_BYTES
    chunks = words[: len(words) - len(words) % size].reshape(-1, size)
    # What was made and not yet begun has no number, and what is being made has no header.
    used = chunks[(chunks[:, 0] == tables.MAGIC) & (chunks[:, tables.NUMBER] > 0)]
    if not len(used):
        return Rows(empty)
    if (used[:, 1] != tables.SCHEMA).any() or (used[:, tables.WIDTH] != width).any():
        raise UsageError(
            f"{path}: these rows are of another layout than their process says; another omrig has"
            " written them: report them with that one"
        )
    used = used[numpy.argsort(used[:, tables.NUMBER])]
    parts = [_rows_of(chunk, width) for chunk in used]
    lost = tables.overwritten(used[:, tables.NUMBER].tolist(), width)
    return Rows(numpy.concatenate(parts).astype(numpy.int64), lost)


def _rows_of(chunk: NDArray[Any], width: int) -> NDArray[Any]:
    count = min(int(chunk[tables.ROWS]), int(chunk[tables.CAPACITY]))
    return chunk[tables.HEADER : tables.HEADER + count * width].reshape(-1, width)
