"""Casts: a worker waits now and then until the consumer has kept up."""

import itertools

import pytest

from omrig.measured.executors import base
from omrig.measured.load import rpc
from omrig.measured.load.side import Stop
from omrig.measured.load.workers import Workers
from omrig.model.patterns import CALL, CAST, CATCH_UP_S, FANOUT
from omrig.model.plan import Load, Plan


class Client:
    """Writes down what is sent."""

    def __init__(self, fails=False, arrived=()):
        self.sent = []
        self.prepared = []
        self._fails = fails
        self._arrived = iter(arrived)

    def prepare(self, **how):
        self.prepared.append(how)
        return self

    def call(self, _context, method, seq=None, number=None, **_payload):
        if method == "arrived":
            self.sent.append((method, number))
            return next(self._arrived)
        self.sent.append(("call", seq))
        if self._fails:
            raise TimeoutError
        return seq

    def cast(self, _context, _method, seq, **_payload):
        self.sent.append(("cast", seq))


def _loaded(count, client, pattern=CAST):
    """The one worker of a producer, which has sent its load or has given up."""
    load = Load(messages=count, workers=1, pattern=pattern.name)
    plan = Plan(sides=("producer",), run_id="r", load=load)
    workers = Workers(plan, base.load("threading"), Stop())
    send = rpc.sender(CAST, client, "p", {})
    workers.load(0, count, send, rpc.catching_up(pattern, client, "p"))
    return workers


def test_after_so_many_casts_the_consumer_catches_up():
    client, ahead = Client(), CAST.ahead
    made = _loaded(2 * ahead + 1, client)
    expected = [("cast", seq) for seq in range(2 * ahead + 1)]
    expected.insert(2 * ahead, ("call", -1))
    expected.insert(ahead, ("call", -1))
    assert client.sent == expected
    assert client.prepared[1:] == [{"timeout": CATCH_UP_S}]
    assert all(made.ended)
    assert not made.left_behind


def test_a_consumer_that_does_not_catch_up_ends_the_worker_and_fails_no_message():
    client = Client(fails=True)
    made = _loaded(3 * CAST.ahead, client)
    assert len(client.sent) == CAST.ahead + 1
    assert made.ended.count(0) == 2 * CAST.ahead
    assert len(made.errors) == 0
    (error,) = made.left_behind
    assert isinstance(error, TimeoutError)


def test_of_copies_the_consumer_is_asked_until_the_last_one_has_arrived():
    client, last = Client(arrived=[(False, 3), (False, 3), (True, 50)]), FANOUT.ahead - 1
    made = _loaded(FANOUT.ahead, client, FANOUT)
    # A call has another queue, and would be served before them.
    assert client.sent[FANOUT.ahead :] == [("arrived", last)] * 3
    assert all(made.ended)
    assert not made.left_behind


def test_copies_that_are_lost_hold_up_nobody_for_long(monkeypatch):
    monkeypatch.setattr(rpc, "DRAIN_S", 0.05)
    client = Client(arrived=itertools.repeat((False, 49)))
    made = _loaded(FANOUT.ahead + 1, client, FANOUT)
    assert client.sent[-1] == ("cast", FANOUT.ahead)
    assert all(made.ended)
    assert not made.left_behind


def test_a_copy_that_does_not_come_while_others_do_ends_the_worker(monkeypatch):
    monkeypatch.setattr(rpc, "CATCH_UP_S", 0.05)
    client = Client(arrived=((False, number) for number in itertools.count()))
    made = _loaded(FANOUT.ahead + 1, client, FANOUT)
    (error,) = made.left_behind
    assert isinstance(error, TimeoutError)
    assert client.sent.count(("cast", FANOUT.ahead)) == 0


def test_a_copy_that_could_not_be_sent_is_not_waited_for():
    client = Client()
    rpc.catching_up(FANOUT, client, "p")(None)
    assert client.sent == [("call", -1)]


@pytest.mark.parametrize("count", [10, 3 * CAST.ahead])
def test_calls_wait_for_their_own_replies_alone(count):
    client = Client()
    _loaded(count, client, pattern=CALL)
    assert {kind for kind, _ in client.sent} == {"cast"}


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
