"""Rows of integers in a file of chunks, written by one process while others may read it.

A chunk is ``CHUNK_BYTES`` long: a header of ``HEADER`` words and then rows, all of them 64 bits,
unsigned and little-endian. A row is written before the chunk's count of rows goes up, so that a
reader sees whole rows, and so that what a process that was killed had written is there. Where no
more chunks may be had the oldest one is used again; what was in it is overwritten.
"""

import dataclasses
import sys
from array import array
from collections.abc import Iterable

MAGIC = int.from_bytes(b"omrigrow", "little")
"""The first word of a chunk."""

SCHEMA = 1
"""The second: how the rest is laid out."""

CHUNK_BYTES = 262_144
"""Size of a chunk."""

WORD_BYTES = 8
"""Size of a number."""

HEADER = 8
"""Words before the first row; those after ``ROWS`` are 0."""

WIDTH, CAPACITY, NUMBER, ROWS = 2, 3, 4, 5
"""Places in the header: words a row, rows that have room, the how-manieth chunk in the order of
use, from 1 (0: never used), and how many rows are there."""


def capacity(width: int) -> int:
    """How many rows of so many words a chunk has room for."""
    return (CHUNK_BYTES // WORD_BYTES - HEADER) // width


@dataclasses.dataclass(frozen=True)
class Chunk:
    """The rows of a chunk, one after the other, and its number in the order of use."""

    number: int
    rows: "array[int]"


class NotATable(ValueError):
    """A file that has something else in it, and what."""


def chunks(data: "bytes | memoryview", width: int) -> list[Chunk]:
    """The used chunks of a file, in the order of use; what is less than a chunk is left out.

    Raises :class:`NotATable` where they are not of rows of so many words.
    """
    found = []
    view = memoryview(data)
    for begin in range(0, len(view) - CHUNK_BYTES + 1, CHUNK_BYTES):
        chunk = _chunk(view[begin : begin + CHUNK_BYTES], width)
        if chunk:
            found.append(chunk)
    return sorted(found, key=lambda chunk: chunk.number)


def rows(data: "bytes | memoryview", width: int) -> "array[int]":
    """All rows of a file, one after the other, in the order in which they were written.

    Raises :class:`NotATable` as :func:`chunks` does.
    """
    return joined(each.rows for each in chunks(data, width))


def joined(parts: "Iterable[array[int]]") -> "array[int]":
    """Rows one after the other."""
    made: array[int] = array("Q")
    for part in parts:
        made.extend(part)
    return made


def overwritten(used: Iterable[int], width: int) -> int:
    """How many rows were overwritten, by the numbers of all chunks that a file has."""
    numbers = [number for number in used if number]
    return (max(numbers, default=0) - len(numbers)) * capacity(width)


def _chunk(view: memoryview, width: int) -> Chunk | None:
    header = _words(view[: HEADER * WORD_BYTES])
    if not header[NUMBER]:
        return None
    if (header[0], header[1]) != (MAGIC, SCHEMA):
        raise NotATable("there is a chunk that is none of a table")
    if (header[WIDTH], header[CAPACITY]) != (width, capacity(width)):
        raise NotATable(f"its rows have {header[WIDTH]} words and not {width}")
    end = HEADER + min(header[ROWS], header[CAPACITY]) * width
    return Chunk(header[NUMBER], _words(view[HEADER * WORD_BYTES : end * WORD_BYTES]))


def _words(view: memoryview) -> "array[int]":
    words = array("Q")
    words.frombytes(view)
    if sys.byteorder == "big":
        words.byteswap()
    return words
