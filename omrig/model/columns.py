"""Columns of numbers, one value a message or a sample: the types that all who account speak of.

It imports numpy. What runs in the measured process or beside it has no use for it.
"""

from collections.abc import Mapping

import numpy
from numpy.typing import NDArray

Integers = NDArray[numpy.int64]
"""Times in ns, numbers, counts."""

Floats = NDArray[numpy.float64]

Flags = NDArray[numpy.bool_]
"""Which rows are chosen."""

CHUNK = 1 << 20
"""So many rows at a time are worked on where all of them at once would need too much memory."""

Columns = Mapping[str, Integers]
"""A table: columns by name, all equally long."""
