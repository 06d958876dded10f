"""Members take turns over hosts, go where they are told, and find no room where there is none."""

import pytest

from omrig.fleet import placement
from omrig.fleet.hosts import Host
from omrig.model.errors import UsageError


def host(name: str, address: str, cores: int = 4) -> Host:
    return Host(
        name=name,
        address=address,
        workers=(f"tcp://{address}:4711",),
        cpu_count=cores,
        boot_id="b",
        kernel="k",
        python="3.11.7",
        omrig="0.1.0",
        versions={},
    )


A, B, C = host("a", "10.0.0.1"), host("b", "10.0.0.2"), host("c", "10.0.0.3", cores=1)
FOUR = ("producer-1", "producer-2", "consumer-1", "consumer-2")


def placed(members, hosts, on=None, oversubscribe=False):
    found = placement.place(members, hosts, on or {}, oversubscribe)
    assert tuple(found) == tuple(members)
    return " ".join(each.name for each in found.values())


def test_members_take_turns() -> None:
    assert placed(("producer", "consumer"), [A, B]) == "a b"
    assert placed(FOUR, [A, B]) == "a b a b"
    assert placed(FOUR, [A]) == "a a a a"


def test_a_side_or_a_member_goes_where_it_is_told() -> None:
    assert placed(FOUR, [A, B], {"producers": ["b"]}) == "b b a a"
    assert placed(FOUR, [A, B], {"producers": ["a"], "consumers": ["10.0.0.2"]}) == "a a b b"
    assert placed(FOUR, [A, B], {"producers": ["a"], "producer-2": ["b"]}) == "a b a b"


def test_a_host_that_is_named_by_its_name_and_its_address_is_one() -> None:
    assert placed(FOUR, [A, B], {"producers": ["a", "10.0.0.1"]}) == "a a b b"


def test_a_full_host_is_passed_over() -> None:
    assert placed(FOUR, [C, A]) == "c a a a"
    assert placed(FOUR, [A, C], {"consumer-2": ["c"]}) == "a a a c"


def test_more_members_than_cores_want_to_be_asked_for() -> None:
    with pytest.raises(UsageError, match=r"--oversubscribe: 2 members .* \(c 1\)"):
        placed(("producer", "consumer"), [C])
    assert placed(("producer", "consumer"), [C], oversubscribe=True) == "c c"


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ({"producers": ["d"]}, "--on producers: there is no host 'd' in the fleet; it has a, b"),
        ({"consumer-3": ["a"]}, "there is no 'consumer-3' in this run"),
        ({"producer": ["a"]}, "there is no 'producer' in this run"),
    ],
)
def test_who_is_not_there_is_named(on, said) -> None:
    with pytest.raises(UsageError, match=said):
        placed(FOUR, [A, B], on)


def test_on_is_read() -> None:
    found = placement.parse(["producers=a, b", "consumer-2=c"])
    assert found == {"producers": ("a", "b"), "consumer-2": ("c",)}


@pytest.mark.parametrize("text", ["", "producers", "producers=", "=a", "producers=,"])
def test_what_is_no_placement_is_refused(text) -> None:
    with pytest.raises(UsageError, match=r"--on: .* is not SIDE=HOST"):
        placement.parse([text])


def test_who_is_placed_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="--on: producers is named twice"):
        placement.parse(["producers=a", "producers=b"])
