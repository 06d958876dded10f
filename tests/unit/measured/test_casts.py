"""Casts: a worker waits now and then until the consumer has kept up."""

import array

import pytest

from omrig.measured.load import producer, rpc
from omrig.measured.load.side import Errors, Stop
from omrig.model.patterns import CAST, CATCH_UP_S
from omrig.model.plan import Plan


class Client:
    """Writes down what is sent."""

    def __init__(self, fails=False):
        self.sent = []
        self._fails = fails

    def prepare(self, timeout):
        assert timeout == CATCH_UP_S
        return self

    def call(self, _context, _method, seq, **_payload):
        self.sent.append(("call", seq))
        if self._fails:
            raise TimeoutError

    def cast(self, _context, _method, seq, **_payload):
        self.sent.append(("cast", seq))


def _loaded(count, client, pattern="cast"):
    """A producer whose one worker has sent its load, or has given up."""
    made = object.__new__(producer.Producer)
    made._plan = Plan(sides=("producer",), run_id="r", messages=count, pattern=pattern)
    made._client, made._id = client, "p"
    made._send = rpc.sender("cast", client, "p", {})
    made._stop, made._errors, made._left_behind = Stop(), Errors(), []
    made._sequence = iter(range(count))
    made._started = array.array("Q", bytes(8 * count))
    made._ended = array.array("Q", bytes(8 * count))
    made._failed = {}
    made._load()
    return made


def test_after_so_many_casts_the_consumer_catches_up():
    client, ahead = Client(), CAST.ahead
    made = _loaded(2 * ahead + 1, client)
    expected = [("cast", seq) for seq in range(2 * ahead + 1)]
    expected.insert(2 * ahead, ("call", -1))
    expected.insert(ahead, ("call", -1))
    assert client.sent == expected
    assert all(made._ended)
    assert not made._left_behind


def test_a_consumer_that_does_not_catch_up_ends_the_worker_and_fails_no_message():
    client = Client(fails=True)
    made = _loaded(3 * CAST.ahead, client)
    assert len(client.sent) == CAST.ahead + 1
    assert made._ended.count(0) == 2 * CAST.ahead
    assert len(made._errors) == 0
    (error,) = made._left_behind
    assert isinstance(error, TimeoutError)


@pytest.mark.parametrize("count", [10, 3 * CAST.ahead])
def test_calls_wait_for_their_own_replies_alone(count):
    client = Client()
    _loaded(count, client, pattern="call")
    assert {kind for kind, _ in client.sent} == {"cast"}
