"""The layout of a table of rows in a file: for who writes it and who reads it.

A file is chunks of :data:`CHUNK_BYTES`. A chunk begins with words (unsigned, 64 bits,
little-endian): :data:`MAGIC`, :data:`SCHEMA`, the width of a row in words, how many rows it has
room for, its number in the order of use (from 1; 0: never used), and how many rows are complete.
Rows follow after :data:`HEADER` words.
"""

MAGIC = int.from_bytes(b"omrigrow", "little")
"""The first word of a chunk."""

SCHEMA = 1
"""The second word of a chunk."""

CHUNK_BYTES = 262_144
"""How long a chunk is."""

HEADER = 8
"""Words before the first row of a chunk."""

WORD_BYTES = 8
"""Size of a number."""

WIDTH, CAPACITY, NUMBER, ROWS = 2, 3, 4, 5
"""Places in the header: words a row, rows that have room, the how-manieth chunk in the order of
use, from 1 (0: never used), and how many rows are there."""


def capacity(width: int) -> int:
    """How many rows of ``width`` words a chunk has room for."""
    return (CHUNK_BYTES // WORD_BYTES - HEADER) // width
