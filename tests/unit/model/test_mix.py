"""A mix of patterns, and proportions that are exact."""

import itertools
import json
from collections import Counter

import pytest

from omrig.model import mix, proportions
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.mix import Mix
from omrig.model.plan import Plan


def test_a_mix_keeps_the_order_in_which_it_was_asked_for():
    found = mix.parse("cast=20, call=70")
    assert [pattern.name for pattern in found.patterns] == ["cast", "call"]
    assert str(found) == "cast=20,call=70"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("call", "--mix: 'call' is no pattern with a whole number"),
        ("call=many", "--mix: 'call=many' is no pattern with a whole number"),
        ("call=0,cast=1", "--mix: call=0 is too small"),
        ("call=1,call=2", "--mix: 'call' is there twice"),
        ("call=1,shout=2", "--mix: unknown 'shout'; choose from call"),
        ("call=1", "--mix: call alone is no mix; give --pattern call"),
        ("", "--mix: '' is no pattern"),
    ],
)
def test_what_is_no_mix_is_said_in_one_line(text, said):
    with pytest.raises(UsageError, match=said):
        mix.parse(text)


@pytest.mark.parametrize(
    ("total", "weights", "counts"),
    [
        (100, [70, 20, 10], [70, 20, 10]),
        (10, [1, 1, 1], [4, 3, 3]),
        (7, [70, 20, 5, 5], [5, 2, 0, 0]),
        (0, [3, 1], [0, 0]),
        (5, [0, 1], [0, 5]),
    ],
)
def test_proportions_are_exact_to_the_message(total, weights, counts):
    assert proportions.apportion(total, weights) == counts


@pytest.mark.parametrize("total", range(0, 400, 7))
def test_no_part_is_a_message_from_its_share(total):
    weights = [70, 20, 5, 5, 1]
    counts = proportions.apportion(total, weights)
    assert sum(counts) == total
    assert all(abs(n - total * w / 101) < 1 for n, w in zip(counts, weights, strict=True))


def test_a_shuffle_has_as_many_and_no_order():
    found = proportions.shuffled(1000, [7, 3], "seed")
    assert Counter(found) == {0: 700, 1: 300}
    # In order there would be one change from one to the other.
    assert sum(a != b for a, b in itertools.pairwise(found)) > 300
    assert found == proportions.shuffled(1000, [7, 3], "seed")
    assert found != proportions.shuffled(1000, [7, 3], "another")


def test_a_plan_hands_its_mix_on():
    plan = Plan(sides=("producer",), run_id="r", load=Load(mix=Mix({"call": 7, "cast": 3})))
    assert Plan.from_json(plan.to_json()).load == plan.load
    assert plan.load.pattern == "mix"
    assert [pattern.name for pattern in plan.load.patterns] == ["call", "cast"]
    assert json.loads(json.dumps(plan.public()))["mix"] == {"call": 7, "cast": 3}
