"""The logs of a watcher and of the measured process' CPU time: rows of numbers of one width."""

from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import Integers


def rows(path: Path, columns: int, kind: str = "<u8") -> NDArray[Any]:
    """A log of numbers of a ``kind`` as a table; half a row at its end, of a killed writer, is not.

    Raises OSError without a log.
    """
    words = numpy.fromfile(path, dtype=kind)
    whole = len(words) - len(words) % columns
    return words[:whole].reshape(-1, columns)


def by_connection(table: Integers) -> list[Integers]:
    """The rows of each connection, which is the first column, in their order."""
    if not len(table):
        return []
    table = table[numpy.argsort(table[:, 0], kind="stable")]
    return numpy.split(table, numpy.flatnonzero(numpy.diff(table[:, 0])) + 1)
