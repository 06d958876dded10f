"""Casts: a worker waits now and then until the consumers have kept up."""

import array
import itertools

import pytest

from omrig.measured.executors import base
from omrig.measured.load import ahead, rpc
from omrig.measured.load.ahead import Ahead
from omrig.measured.load.side import Stop
from omrig.measured.load.traffic import Traffic
from omrig.measured.load.workers import Workers
from omrig.model import mix
from omrig.model.load import Load
from omrig.model.patterns import CALL, CAST, FANOUT
from omrig.model.plan import Plan


class Client:
    """Writes down what is sent."""

    def __init__(self):
        self.sent = []
        self.prepared = []

    def prepare(self, **how):
        self.prepared.append(how)
        return self

    def call(self, _context, _method, seq, **_payload):
        self.sent.append(("call", seq))
        return seq

    def cast(self, _context, _method, seq, **_payload):
        self.sent.append(("cast", seq))


def _loaded(count, catch_up, pattern=CAST):
    """The one worker of a producer, which has sent its load or has given up, and what it sent."""
    load = Load(messages=count, workers=1, pattern=pattern.name)
    plan = Plan(sides=("producer",), run_id="r", load=load)
    workers, client = Workers(plan, base.load("threading"), Stop()), Client()
    workers.load(0, count, rpc.sender(pattern, client, "p", {}), catch_up)
    return workers, client.sent


def test_a_worker_looks_every_half_of_what_it_may_send_ahead():
    looked = []
    made, sent = _loaded(CAST.ahead + 1, lambda: looked.append(1))
    assert len(looked) == 2
    assert sent == [("cast", seq) for seq in range(CAST.ahead + 1)]
    assert all(made.ended)


def test_consumers_that_do_not_keep_up_end_the_worker_and_fail_no_message():
    def catch_up():
        raise TimeoutError

    made, sent = _loaded(3 * CAST.ahead, catch_up)
    assert len(sent) == CAST.ahead // 2
    assert made.ended.count(0) == 3 * CAST.ahead - len(sent)
    assert len(made.errors) == 0
    (error,) = made.left_behind
    assert isinstance(error, TimeoutError)


LIMIT = CAST.ahead // 2


def _ahead(sent, answers, pattern=CAST):
    """One worker's, of so many sent; the consumers answer in turn, and the last time for ever."""
    given = iter(answers)
    asked = []

    def arrived():
        asked.append(next(given, asked[-1] if asked else {}))
        return asked[-1]

    return Ahead(Load(pattern=pattern.name, workers=1), lambda: sent, arrived), asked


def test_nobody_is_asked_while_little_is_under_way():
    made, asked = _ahead(LIMIT, [])
    made.wait()
    assert asked == []


@pytest.mark.parametrize(
    ("pattern", "answers"),
    [
        (CAST, [{"consumer-1": 0, "consumer-2": 0}, {"consumer-1": 10, "consumer-2": 15}]),
        # Who is gone keeps what it had.
        (CAST, [{"consumer-1": 10, "consumer-2": 5}, {"consumer-2": 15}]),
        (FANOUT, [{"consumer-1": 50, "consumer-2": 24}, {"consumer-1": 50, "consumer-2": 25}]),
        (FANOUT, [{"consumer-1": 50, "consumer-2": 0}, {"consumer-1": 50}]),
    ],
)
def test_the_consumers_are_asked_until_little_is_under_way(pattern, answers):
    made, asked = _ahead(2 * LIMIT, answers, pattern)
    made.wait()
    assert asked == answers


def test_of_a_mix_what_each_message_is_counts_however_the_copies_are_spread():
    """One worker of a long load, whose first messages are the ones that have copies."""
    copied, single = 60, 340
    deliveries = Traffic(
        ((FANOUT, 10), (CAST, 10)), array.array("H", [0] * copied + [1] * single)
    ).deliveries(3)
    assert [deliveries(sent) for sent in (0, copied, copied + single)] == [0, 180, 520]
    load = Load(mix=mix.parse("fanout=15,cast=85"), messages=copied + single, workers=1)
    # All have arrived but ten copies, and nobody is waited for any longer.
    arrived = iter([{"a": 30, "b": 30, "c": 30}, {"a": 60, "b": 60, "c": 50}])
    Ahead(load, lambda: copied, lambda: next(arrived), deliveries).wait()
    assert next(arrived, None) is None


def test_what_is_lost_holds_up_nobody_for_long(monkeypatch):
    monkeypatch.setattr(ahead, "DRAIN_S", 0.05)
    made, asked = _ahead(100, [{"consumer": 10}])
    made.wait()
    assert len(asked) > 1
    before = len(asked)
    made.wait()
    assert len(asked) == before


def test_consumers_that_are_slow_for_too_long_are_an_error(monkeypatch):
    monkeypatch.setattr(ahead, "CATCH_UP_S", 0.05)
    made, _ = _ahead(10_000, ({"consumer": number} for number in itertools.count()))
    with pytest.raises(TimeoutError, match="messages are under way"):
        made.wait()


def test_nobody_waits_for_answers_when_the_run_ends():
    made, _ = _ahead(100, [None])
    made.wait()


@pytest.mark.parametrize("count", [10, 3 * CAST.ahead])
def test_calls_wait_for_their_own_replies_alone(count):
    made, sent = _loaded(count, pytest.fail, pattern=CALL)
    assert sent == [("call", seq) for seq in range(count)]
    assert all(made.ended)


@pytest.mark.parametrize(
    ("pattern", "prepared", "sent"),
    [(CALL, {}, ("call", 7)), (CAST, {}, ("cast", 7)), (FANOUT, {"fanout": True}, ("cast", 7))],
    ids=["call", "cast", "fanout"],
)
def test_a_pattern_says_how_its_messages_are_sent(pattern, prepared, sent):
    client = Client()
    rpc.sender(pattern, client, "p", {})(7)
    assert client.prepared == [prepared]
    assert client.sent == [sent]


def test_a_reply_of_another_message_is_an_error():
    client = Client()
    client.call = lambda *_, seq, **__: seq + 1
    with pytest.raises(rpc.ReplyMismatch, match="message 7 got the reply 8"):
        rpc.sender(CALL, client, "p", {})(7)
