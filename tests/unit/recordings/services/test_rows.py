"""Tables of rows in chunks: their order, what was overwritten, and what is being written."""

import numpy
import pytest

from omrig.model import tables
from omrig.model.errors import UsageError
from omrig.recordings.services import rows
from tests import recorded

WIDTH = 4000
"""So wide that a chunk has room for a few rows only."""

ROOM = tables.capacity(WIDTH)


def table(count):
    return [[number] * WIDTH for number in range(1, count + 1)]


def first_words(found):
    return found.table[:, 0].tolist()


def test_rows_come_in_the_order_in_which_they_were_written(tmp_path):
    recorded.write_rows(tmp_path / "f", WIDTH, table(2 * ROOM + 3))
    found = rows.read(tmp_path / "f", WIDTH)
    assert first_words(found) == list(range(1, 2 * ROOM + 4))
    assert found.overwritten == 0
    assert found.table.dtype == numpy.int64


def test_chunks_that_were_used_again_are_in_order_and_what_was_in_them_is_counted(tmp_path):
    recorded.write_rows(tmp_path / "f", WIDTH, table(3 * ROOM), skipped=4)
    found = rows.read(tmp_path / "f", WIDTH)
    assert first_words(found) == list(range(1, 3 * ROOM + 1))
    assert found.overwritten == 4 * ROOM


def test_a_chunk_that_is_being_made_has_no_row(tmp_path):
    path = tmp_path / "f"
    recorded.write_rows(path, WIDTH, table(2))
    new = numpy.zeros(tables.CHUNK_BYTES // 8, "<u8")
    begun = new.copy()
    begun[:5] = tables.MAGIC, tables.SCHEMA, WIDTH, ROOM, 0
    path.write_bytes(path.read_bytes() + new.tobytes() + begun.tobytes() + b"half a chunk")
    assert first_words(rows.read(path, WIDTH)) == [1, 2]


def test_no_file_has_no_rows(tmp_path):
    assert rows.read(tmp_path / "f", 3).table.shape == (0, 3)


def test_rows_of_another_width_are_not_read(tmp_path):
    recorded.write_rows(tmp_path / "f", WIDTH, table(1))
    with pytest.raises(UsageError, match="another layout"):
        rows.read(tmp_path / "f", WIDTH + 1)
