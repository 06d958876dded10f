"""The search by halves: over every row, with whatever cannot be told."""

import random

import pytest

from omrig.experiment.bisection import bounds, most_steps, next_position
from omrig.model.bisection import Word


def searched(row: list[Word]) -> tuple[int, int, int]:
    """The last good one, the first bad one, and how many were asked."""
    words: list[Word | None] = [None] * len(row)
    asked = 0
    while (at := next_position(words)) is not None:
        assert words[at] is None
        words[at] = row[at]
        asked += 1
    found = bounds(words)
    return found.last_good, found.first_bad, asked


def row_of(length: int, first_bad: int) -> list[Word]:
    return ["good" if at < first_bad else "bad" for at in range(length)]


@pytest.mark.parametrize("length", range(2, 40))
def test_the_first_bad_one_is_found_wherever_it_is_by_halves(length: int) -> None:
    for first_bad in range(1, length):
        last, first, asked = searched(row_of(length, first_bad))
        assert (last, first) == (first_bad - 1, first_bad)
        assert asked <= most_steps(length)


def test_neighbours_have_nothing_between_to_ask() -> None:
    assert searched(["good", "bad"]) == (0, 1, 0)
    assert most_steps(2) == 0


def test_what_cannot_be_told_is_passed_over_and_never_believed() -> None:
    lots = random.Random(1)
    unknown: tuple[Word, ...] = ("skipped", "undecided")
    for _ in range(2000):
        length = lots.randint(2, 30)
        first_bad = lots.randint(1, length - 1)
        row = row_of(length, first_bad)
        for at in range(1, length - 1):
            if lots.random() < 0.3:
                row[at] = lots.choice(unknown)
        last, first, _ = searched(row)
        # The truth is in the range, and the range is as small as what can be told allows.
        assert last < first_bad <= first
        assert all(word in unknown for word in row[last + 1 : first])
        assert row[last] == "good" and row[first] == "bad"


def test_only_such_as_cannot_be_told_leave_the_whole_range() -> None:
    assert searched(["good", "skipped", "undecided", "skipped", "bad"]) == (0, 4, 3)


def test_the_nearest_to_the_middle_is_asked_first() -> None:
    words: list[Word | None] = [None] * 9
    assert next_position(words) == 4
    words[4] = "skipped"
    assert next_position(words) in (3, 5)


def test_of_two_changes_the_first_that_is_known_is_the_answer() -> None:
    known = bounds([None, "good", "bad", "good", "bad", None])
    assert (known.last_good, known.first_bad) == (1, 2)
