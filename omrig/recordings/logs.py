"""The logs of a watcher and of the measured process' CPU time: rows of numbers of one width."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import CHUNK, Integers


def rows(path: Path, columns: int, kind: str = "<u8") -> NDArray[Any]:
    """A log of numbers of a ``kind`` as a table; half a row at its end, of a killed writer, is not.

    Raises OSError without a log.
    """
    return _table(numpy.fromfile(path, dtype=kind), columns)


def parts(path: Path, columns: int, kind: str = "<u8") -> Iterator[NDArray[Any]]:
    """As :func:`rows`, some of them at a time. Raises OSError without a log."""
    with path.open("rb") as file:
        while len(words := numpy.fromfile(file, dtype=kind, count=CHUNK * columns)):
            yield _table(words, columns)


def _table(words: NDArray[Any], columns: int) -> NDArray[Any]:
    whole = len(words) - len(words) % columns
    return words[:whole].reshape(-1, columns)


def by_connection(table: Integers) -> list[Integers]:
    """The rows of each connection, which is the first column, in their order."""
    if not len(table):
        return []
    table = table[numpy.argsort(table[:, 0], kind="stable")]
    return numpy.split(table, numpy.flatnonzero(numpy.diff(table[:, 0])) + 1)
