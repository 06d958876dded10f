"""What each message of a load is: exact proportions, the same for the same run, nothing drawn."""

from collections import Counter

import pytest

from omrig.measured.load import traffic
from omrig.model import members, payload, sizes
from omrig.model.load import Load
from omrig.model.mix import Mix

MIX = Mix({"call": 70, "cast": 20, "fanout": 10})
BOOT = sizes.parse("nova-boot")


def sent(load, decided, count):
    """Who sent which message: pattern, size of the payload, sequence number."""
    found = []

    def make(pattern, arguments):
        size = payload.serialised_size(arguments)
        return lambda seq: found.append((pattern.name, size, seq))

    send = decided.sender(make)
    for seq in range(count):
        send(seq)
    return found


def test_one_kind_is_sent_by_its_own_function_and_leaves_no_column():
    load = Load(messages=10)
    decided = traffic.decide(load, "r", 10)
    made = {}
    assert decided.sender(lambda pattern, _: made.setdefault(pattern.name, print)) is print
    assert made.keys() == {"call"}
    assert traffic.columns(load, decided, 10) == {}


def test_a_mix_is_exact_and_written_down():
    load = Load(messages=1000, mix=MIX, size_bytes=100)
    decided = traffic.decide(load, "r", 1000)
    found = sent(load, decided, 1000)
    assert Counter(name for name, _, _ in found) == {"call": 700, "cast": 200, "fanout": 100}
    assert {size for _, size, _ in found} == {100}
    assert [seq for _, _, seq in found] == list(range(1000))
    columns = traffic.columns(load, decided, 1000)
    names = [pattern.name for pattern in load.patterns]
    assert [names[code] for code in columns["pattern"]] == [name for name, _, _ in found]
    assert columns.keys() == {"pattern"}


def test_sizes_are_exact_and_written_down():
    load = Load(messages=4077, sizes=BOOT)
    decided = traffic.decide(load, "r", 4077)
    found = sent(load, decided, 4077)
    counted = Counter(size for _, size, _ in found)
    assert counted == dict(zip(BOOT.sizes_bytes, BOOT.weights, strict=True))
    columns = traffic.columns(load, decided, 4077)
    assert list(columns["size_bytes"]) == [size for _, size, _ in found]
    assert columns.keys() == {"size_bytes"}


def test_a_mix_of_sizes_has_both_exactly():
    load = Load(messages=500, mix=MIX, sizes=sizes.parse("1-3"))
    decided = traffic.decide(load, "r", 500)
    found = sent(load, decided, 500)
    assert Counter(name for name, _, _ in found) == {"call": 350, "cast": 100, "fanout": 50}
    each = Counter(size for _, size, _ in found).values()
    assert max(each) - min(each) <= 1
    assert traffic.columns(load, decided, 500).keys() == {"pattern", "size_bytes"}


def test_the_same_run_decides_the_same_and_another_does_not():
    load = Load(messages=300, mix=MIX)
    first, again, other = (traffic.decide(load, name, 300) for name in ("r", "r", "s"))
    assert first == again
    assert first.numbers != other.numbers


@pytest.mark.parametrize("messages", [1, 7, 100, 1001])
def test_what_consumers_are_to_receive_is_what_producers_decide(messages):
    load = Load(messages=messages, mix=MIX, producers=3, consumers=4)
    found = Counter()
    for number, share in enumerate(members.shares(messages, 3)):
        decided = traffic.decide(load, f"r producer-{number}", share)
        found.update(traffic.columns(load, decided, share)["pattern"])
    assert load.receipts == found[0] + found[1] + 4 * found[2]


@pytest.mark.parametrize("messages", [1, 7, 100])
def test_a_warm_up_longer_than_the_load_finds_its_kinds(messages):
    load = Load(messages=messages, mix=MIX, warmup=50)
    decided = traffic.decide(load, "r", messages)
    looked_up = []
    send = decided.sender(lambda *_: looked_up.append)
    for number in range(50):
        send(-1 - number)
    assert looked_up == [-1 - number for number in range(50)]
    assert len(traffic.columns(load, decided, messages)["pattern"]) == messages
