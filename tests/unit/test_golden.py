"""Everything that omrig derives from recordings is as it was: a figure, a word, a pixel.

A difference that is meant is accepted with ``python tools/record_golden.py --expect``.
"""

import pytest

from tests.unit import golden
from tools import record_golden


def test_every_case_is_there():
    folders = {path.name for path in golden.DATA.iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(record_golden.CASES)


@pytest.mark.parametrize("case", record_golden.CASES)
def test_omrig_makes_of_recordings_what_it_made_before(case):
    folder = golden.DATA / case
    found = golden.differences(golden.expected(folder), golden.outcome(folder))
    if found:
        pytest.fail(found, pytrace=False)
