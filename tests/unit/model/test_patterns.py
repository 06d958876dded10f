"""The patterns hold together with the stage model, and say what each side sees of a message."""

import itertools

import pytest

from omrig.model import plan
from omrig.model.patterns import LEGS, PATTERNS, Crossing, Pattern
from omrig.model.stages import BY_NAME, STAGES

BOTH = ("producer", "consumer")

each_pattern = pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)


def test_every_stage_of_a_leg_is_in_the_model() -> None:
    assert {stage for leg in LEGS.values() for stage in leg.stages} <= BY_NAME.keys()


def test_every_stage_of_the_model_is_in_a_leg() -> None:
    assert {stage.name for stage in STAGES} <= {s for leg in LEGS.values() for s in leg.stages}


def test_every_stage_is_seen_by_the_side_that_its_leg_is_of() -> None:
    for leg in LEGS.values():
        assert {BY_NAME[stage].side for stage in leg.stages} == {leg.side}


def test_the_stages_of_a_leg_are_in_the_order_of_the_model() -> None:
    order = [stage.name for stage in STAGES]
    for leg in LEGS.values():
        # A lost connection is made again later than it was made.
        again = {"connect"} - set(LEGS["send"].stages if leg.name == "send" else ())
        places = [order.index(stage) for stage in leg.stages if stage not in again]
        assert places == sorted(places)


@each_pattern
def test_the_legs_of_every_way_are_legs(pattern: Pattern) -> None:
    assert pattern.ways
    for way in pattern.ways:
        assert set(way) <= LEGS.keys() - {"remote"}


@each_pattern
def test_every_way_begins_where_the_message_is_sent(pattern: Pattern) -> None:
    assert {way[0] for way in pattern.ways} == {"send"}


@each_pattern
def test_between_legs_of_two_sides_there_is_the_wire(pattern: Pattern) -> None:
    for way in pattern.ways:
        sides = [LEGS[name].side for name in way]
        for before, after in itertools.pairwise(sides):
            assert before == after or "wire" in (before, after)


@each_pattern
def test_who_replies_has_one_end(pattern: Pattern) -> None:
    assert pattern.replies == (len(pattern.ways) == 1) == (pattern.ends == "reply")
    assert (pattern.ahead is None) == pattern.replies


@each_pattern
def test_both_sides_see_every_way(pattern: Pattern) -> None:
    assert pattern.seen_by(BOTH) == pattern.ways


def test_a_producer_alone_sees_of_a_call_the_rest_as_remote() -> None:
    assert PATTERNS["call"].seen_by(["producer"]) == (("send", "remote", "return"),)


def test_a_producer_alone_sees_nothing_of_a_cast_after_its_confirm() -> None:
    assert PATTERNS["cast"].seen_by(["producer"]) == (("send", "confirm"), ("send",))
    assert [leg.name for leg in PATTERNS["cast"].legs(["producer"])] == ["send", "confirm"]


@pytest.mark.parametrize(
    ("pattern", "legs"), [("call", ["serve", "answer"]), ("cast", ["serve"]), ("fanout", ["serve"])]
)
def test_a_consumer_alone_sees_its_own_legs(pattern: str, legs: list[str]) -> None:
    assert [leg.name for leg in PATTERNS[pattern].legs(["consumer"])] == legs


def test_messages_cross_the_wire_between_the_two_sides() -> None:
    there = Crossing("amqp_request", "producer", "consumer")
    back = Crossing("amqp_reply", "consumer", "producer")
    assert PATTERNS["call"].crossings() == (there, back)
    assert PATTERNS["cast"].crossings() == (there,)


def test_what_a_plan_may_ask_for_is_a_pattern() -> None:
    assert set(plan.PATTERNS) <= PATTERNS.keys()
