"""Values as JSON and back."""

import dataclasses
from collections.abc import Mapping

import pytest

from omrig.model.values import UNLESS_NONE, Json, Value, decode, encode, key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(Value):
    number: int
    word: str = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(Value):
    inner: Inner
    many: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner | None] = dataclasses.field(default_factory=dict)
    free: Json = None
    ratio: float | None = dataclasses.field(default=None, metadata=key("quotient"))
    late: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


WHOLE = Outer(
    inner=Inner(number=1),
    many=(Inner(number=2, word="two"),),
    by_name={"a": Inner(number=3), "b": None},
    free={"any": ["thing", 1, None]},
    ratio=0.5,
)


def test_fields_are_the_keys_in_their_order() -> None:
    assert list(WHOLE.to_json()) == ["inner", "many", "by_name", "free", "quotient"]
    assert WHOLE.to_json()["by_name"] == {"a": {"number": 3, "word": "none"}, "b": None}
    assert dataclasses.replace(WHOLE, late=0).to_json()["late"] == 0


def test_what_was_written_is_read_back() -> None:
    assert Outer.from_json(WHOLE.to_json()) == WHOLE


def test_a_key_that_was_not_written_has_its_default() -> None:
    assert Outer.from_json({"inner": {"number": 1}}) == Outer(inner=Inner(number=1))
    assert Outer.from_json({"inner": {"number": 1}, "many": None}).many == ()


def test_a_key_that_nobody_knows_is_left_alone() -> None:
    assert Inner.from_json({"number": 1, "newer": 2}) == Inner(number=1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "Outer: .* is no JSON object"),
        ({}, "Outer: there is no 'inner'"),
        ({"inner": 1}, "inner: Inner: 1 is no JSON object"),
        ({"inner": {}}, "inner: Inner: there is no 'number'"),
        ({"inner": {"number": 1}, "many": "text"}, "many: 'text' is no list"),
        ({"inner": {"number": 1}, "by_name": [1]}, "by_name: .* is no JSON object"),
        ({"inner": {"number": 1}, "by_name": {"x": 1}}, "by_name: Inner: 1 is no JSON object"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(data: Json, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Outer.from_json(data)


def test_json_has_no_word_for_everything() -> None:
    with pytest.raises(TypeError, match="nothing that JSON can hold"):
        encode({"a": object()})


def test_what_could_be_several_things_is_taken_as_it_is() -> None:
    assert decode(int | str, "text") == "text"
    assert decode(int | str | None, None) is None
