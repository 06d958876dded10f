"""The columns of what is stamped: each declared once, and where it says."""

import pytest

from omrig.model import stamps


@pytest.mark.parametrize("side", stamps.LAYOUTS)
def test_a_column_is_where_its_constant_says(side):
    names = stamps.COLUMNS[side]
    assert [getattr(stamps, name.upper()) for name in names] == list(range(len(names)))
    assert names == tuple(stamp.name for stamp in stamps.LAYOUTS[side])
    assert all(side in stamp.sides and stamp.doc for stamp in stamps.LAYOUTS[side])


def test_what_both_sides_have_comes_first_and_is_the_same():
    shared = [stamp for stamp in stamps.LAYOUTS["producer"] if len(stamp.sides) == 2]
    for layout in stamps.LAYOUTS.values():
        assert list(layout[: len(shared)]) == shared
        assert all(len(stamp.sides) == 1 for stamp in layout[len(shared) :])


def test_what_is_noted_before_there_is_a_record_is_a_stretch_of_it():
    assert stamps.RECEIVED_COLUMNS[0] == "stamp"
    assert stamps.RECEIVED_COLUMNS[stamps.RECEIVED_JSON_IN] == "json_in"
    assert stamps.RECEIVED_COLUMNS[stamps.RECEIVED_CPU_JSON_IN] == "cpu_json_in"
    for columns in stamps.COLUMNS.values():
        assert columns[stamps.RECEIVED] == stamps.RECEIVED_COLUMNS
