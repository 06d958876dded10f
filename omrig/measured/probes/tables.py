"""Where the rows of messages that have ended go: a file of chunks, each mapped while it fills.

What is in a mapped file is there after the process was killed, and the pages of a chunk that is
full are no memory of the process any more.
"""

import errno
import mmap
import posix
from os import PathLike, fspath

from omrig.model import tables

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No more room: on the disk, in the owner's part of it, in a file of the process."""

_LEAST_CHUNKS = 2
"""A file has so many at least: one could not be used again without losing every row."""


class Table:
    """A new file of rows of ``width`` words, and of ``limit_bytes`` at most.

    At the limit, and where the disk is full, the oldest chunk is used again. Raises OSError where
    the file cannot be made.
    """

    def __init__(self, path: "str | PathLike[str]", width: int, limit_bytes: int) -> None:
        self._width = width
        self._most = max(_LEAST_CHUNKS, limit_bytes // tables.CHUNK_BYTES)
        self._number = 0
        self._numbers: list[int] = []
        # Not os.open, which eventlet replaces.
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC | posix.O_NOFOLLOW
        self._descriptor = posix.open(fspath(path), flags, 0o600)

    @property
    def overwritten(self) -> int:
        """How many rows there is nothing left of."""
        return tables.overwritten(self._numbers, self._width)

    @property
    def used_bytes(self) -> int:
        """How large the file is."""
        return len(self._numbers) * tables.CHUNK_BYTES

    def next_chunk(self) -> memoryview:
        """The next chunk, empty and ready to be written to; it is mapped as long as it is held.

        Raises OSError where there is none to be had, and ValueError after :meth:`close`.
        """
        if self._descriptor < 0:
            raise ValueError("the table is closed")
        place = self._new_place()
        # Of the mapping nothing is held here: it goes with whoever writes to it.
        mapped = mmap.mmap(self._descriptor, tables.CHUNK_BYTES, offset=place * tables.CHUNK_BYTES)
        chunk = memoryview(mapped)
        words = chunk[: tables.HEADER * tables.WORD_BYTES].cast("Q")
        self._number += 1
        self._numbers[place] = self._number
        # First of all what was there is no more.
        words[tables.ROWS] = 0
        words[0], words[1] = tables.MAGIC, tables.SCHEMA
        words[tables.WIDTH], words[tables.CAPACITY] = self._width, tables.capacity(self._width)
        words[tables.NUMBER] = self._number
        return chunk

    def _new_place(self) -> int:
        """Which chunk of the file is next: a new one, or the oldest."""
        place = len(self._numbers)
        if place < self._most:
            try:
                posix.posix_fallocate(
                    self._descriptor, place * tables.CHUNK_BYTES, tables.CHUNK_BYTES
                )
            except OSError as error:
                if error.errno not in _FULL or not self._numbers:
                    raise
                # Not asked for again with each chunk.
                self._most = place
            else:
                self._numbers.append(0)
                return place
        return self._numbers.index(min(self._numbers))

    def close(self) -> None:
        """Close the file; what was written stays. The chunk in use has to be given up before."""
        if self._descriptor >= 0:
            posix.close(self._descriptor)
            self._descriptor = -1
