"""What the endpoint is told to do: read, refused, and which messages are chosen."""

import itertools
from fractions import Fraction

import pytest

from omrig.model import behaviour
from omrig.model.behaviour import PLAIN, Behaviour
from omrig.model.errors import UsageError
from omrig.model.plan import Load


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], PLAIN),
        (["cpu:2ms"], Behaviour(cpu_ns=2_000_000)),
        (["cpu:1.5us"], Behaviour(cpu_ns=1500)),
        (["sleep:5ms,reply:50KB"], Behaviour(sleep_ns=5_000_000, reply_bytes=51_200)),
        (["sleep:1s", " reply:500B"], Behaviour(sleep_ns=10**9, reply_bytes=500)),
        (["call:2"], Behaviour(calls=2)),
        (["error:1%"], Behaviour(error=Fraction(1, 100))),
        (["error:0.125%", "cpu:1s"], Behaviour(error=Fraction(1, 800), cpu_ns=10**9)),
    ],
)
def test_it_is_read(texts, expected):
    assert behaviour.parse(texts) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is nothing that an endpoint does"),
        ("cpu", "'cpu' is nothing that an endpoint does; give KIND:VALUE, the kind one of cpu,"),
        ("burn:2ms", "'burn:2ms' is nothing"),
        ("cpu:2", "cpu:2 is not a time above 0, as 2ms"),
        ("cpu:0ms", "cpu:0ms is not a time above 0"),
        ("sleep:-1ms", "sleep:-1ms is not a time"),
        ("sleep:1h", "sleep:1h is not a time"),
        ("error:1", "error:1 is not a share"),
        ("error:101%", "error:101% is not a share"),
        ("error:0%", "error:0% is not a share"),
        ("error:0.0001%", "error:0.0001% is not a share"),
        ("reply:50", "reply:50 is not a size"),
        ("reply:0.1B", "reply:0.1B is not a size"),
        ("call:0", "call:0 is not a number of calls from 1"),
        ("call:101", "call:101 is not a number"),
        ("cpu:1ms,cpu:2ms", "cpu is given twice"),
    ],
)
def test_what_makes_no_sense_is_refused(text, said):
    with pytest.raises(UsageError, match=f"^--endpoint: {said}"):
        behaviour.parse([text])


def test_the_plan_refuses_it_too():
    with pytest.raises(UsageError, match="--endpoint: cpu:x is not a time"):
        Load(endpoint=("cpu:x",))
    with pytest.raises(UsageError, match="--endpoint: reply: nobody replies to a cast"):
        Load(endpoint=("reply:1KB",), pattern="cast")
    with pytest.raises(
        UsageError, match=r"--endpoint: no reply has 5 bytes; give reply:[0-9]+B or"
    ):
        Load(endpoint=("reply:5B",))


@pytest.mark.parametrize("share", ["1/100", "1/3", "2/3", "1/1", "1/800", "99/100"])
@pytest.mark.parametrize("count", [1, 7, 100, 1000, 1050, 12_345])
def test_so_many_are_chosen_as_the_share_says(share, count):
    share = Fraction(share)
    table = behaviour.table(share)
    chosen = [number for number in range(count) if table[number % len(table)]]
    assert abs(len(chosen) - count * share) <= Fraction(1, 2)
    # Evenly: between two of them lies what the share says, give or take one.
    gaps = {after - before for before, after in itertools.pairwise(chosen)}
    assert all(abs(gap - 1 / share) < 1 for gap in gaps)
