"""The patterns hold together with the stage model, and say what each side sees of a message."""

import ast
import itertools
from pathlib import Path

import pytest

import omrig
from omrig.accounting import legs as functions
from omrig.drivers import driver
from omrig.model.load import Load
from omrig.model.patterns import LEGS, PATTERNS, Crossing, Fork, Pattern
from omrig.model.stages import BY_NAME, STAGES

PACKAGE = Path(omrig.__file__).parent
NAMES = {*PATTERNS, "notify"}

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


@each_pattern
def test_a_plan_may_ask_for_it_and_the_driver_of_rabbitmq_carries_it(pattern: Pattern) -> None:
    assert Load(pattern=pattern.name).pattern == pattern.name
    assert pattern.name in driver.by_scheme("rabbit", "").patterns


def test_each_leg_has_a_function_that_tells_its_stages() -> None:
    known = [*functions.PRODUCER, *functions.CONSUMER, *functions.WIRE]
    assert sorted(known) == sorted(LEGS)


def test_what_a_message_with_two_ends_does_aside_is_its_sender_s_own() -> None:
    assert PATTERNS["call"].fork() is None
    aside = Fork("amqp_request", ("confirm_wait", "wakeup", "return"))
    assert PATTERNS["cast"].fork() == PATTERNS["fanout"].fork() == aside


@each_pattern
def test_latency_begins_with_the_method(pattern: Pattern) -> None:
    assert pattern.latency.startswith(f"{pattern.method} to ")


def strings(node: ast.AST) -> set[str]:
    """The constants that an operand of a comparison is, or holds."""
    held = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return {each.value for each in held if isinstance(each, ast.Constant)} & NAMES


def compared(tree: ast.AST) -> set[int]:
    """The lines on which something is compared with the name of a pattern."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        else:
            continue
        found |= {node.lineno for each in operands if strings(each)}
    return found


@pytest.mark.parametrize(
    "code",
    [
        'pattern == "call"',
        '"cast" != result.pattern',
        'pattern in ("fanout", "notify")',
        'pattern not in {"call"}',
        'match pattern:\n    case "call" | "cast":\n        pass',
    ],
)
def test_a_comparison_with_a_name_is_seen(code: str) -> None:
    assert compared(ast.parse(code))


def test_only_the_patterns_themselves_know_their_names() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        for line in compared(ast.parse(path.read_text()))
        if path != PACKAGE / "model/patterns.py"
    }
    assert not found


def test_no_page_asks_for_the_name_of_a_pattern() -> None:
    pages = list(PACKAGE.rglob("*.j2"))
    assert pages
    for page in pages:
        for name in NAMES:
            assert f'== "{name}"' not in page.read_text(), page
