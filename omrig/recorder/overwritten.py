"""How many rows of a process its tables have had no room for, while they are being written."""

import os
import struct
from pathlib import Path

from omrig.model import tables

_HEADER = struct.Struct(f"<{tables.HEADER}Q")
_WIDTH, _NUMBER = 2, 4
_TABLES = ("producer.rows", "consumer.rows")


def overwritten(recorded: Path) -> int:
    """Rows of messages that were overwritten in the folder of a process in a recording."""
    return sum(_of_table(recorded / name) for name in _TABLES)


def _of_table(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        # The first chunk is the first that is used again.
        first = _header(descriptor, 0)
        if first[_NUMBER] <= 1:
            return 0
        chunks = range(os.fstat(descriptor).st_size // tables.CHUNK_BYTES)
        numbers = [_header(descriptor, each)[_NUMBER] for each in chunks]
    finally:
        os.close(descriptor)
    used = sum(number > 0 for number in numbers)
    return (max(numbers) - used) * tables.capacity(first[_WIDTH])


def _header(descriptor: int, chunk: int) -> tuple[int, ...]:
    packed = os.pread(descriptor, _HEADER.size, chunk * tables.CHUNK_BYTES)
    return _HEADER.unpack(packed.ljust(_HEADER.size, b"\0"))
