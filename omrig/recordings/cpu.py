"""The CPU time of a measured process in the course of time, where its threads are the system's."""

from pathlib import Path

import numpy

from omrig.model.columns import Integers
from omrig.model.stamps import CPU, CPU_COLUMNS
from omrig.recordings import logs


def read(folder: Path) -> tuple[Integers, Integers]:
    """Times (CLOCK_MONOTONIC, ns), rising, and the ns of CPU time used by each.

    Raises OSError without a log.
    """
    rows = logs.rows(folder / CPU, len(CPU_COLUMNS)).astype(numpy.int64)
    rows = rows[numpy.argsort(rows[:, 0], kind="stable")]
    return rows[:, 0], numpy.maximum.accumulate(rows[:, 1])
