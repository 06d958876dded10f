"""The clean-up after a run that lost a node: what counts as used there, what is out of reach."""

import socket
from contextlib import contextmanager
from types import SimpleNamespace

import amqp
import pytest

from omrig.broker.amqp import cleanup, reaching
from omrig.model.declared import EXCHANGE, QUEUE, Thing
from omrig.model.transport import Endpoint, Login

OWN = Thing(QUEUE, "omrig.5a", is_own=True)


class Broker:
    """Refuses to delete what it is not told to delete though it is used."""

    def __init__(self):
        self.asked = []

    def delete(self, _thing, used):
        self.asked.append(used)
        if not used:
            raise cleanup.Busy("1 other consumes it")


@pytest.fixture
def lost(monkeypatch):
    def set_to(is_lost):
        monkeypatch.setattr(reaching, "has_lost_one", lambda _endpoints: is_lost)

    return set_to


def test_what_counts_as_a_consumer_of_ours_on_a_lost_node_keeps_no_queue(lost):
    lost(True)
    broker = Broker()
    assert cleanup._delete(broker, OWN, 0.0, Login([])) == ""
    assert broker.asked == [False, True]


@pytest.mark.parametrize(
    ("is_lost", "thing"),
    [
        (False, OWN),
        (True, Thing(QUEUE, "service", is_own=False)),
        (True, Thing(EXCHANGE, "omrig.5a", is_own=True)),
    ],
)
def test_nothing_else_that_is_used_is_deleted(lost, is_lost, thing):
    lost(is_lost)
    broker = Broker()
    assert cleanup._delete(broker, thing, 0.0, Login([])) == "1 other consumes it"
    assert True not in broker.asked


def test_a_node_is_lost_where_another_one_answers():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        there = Endpoint("127.0.0.1", server.getsockname()[1], "u", "p")
        gone = Endpoint("127.0.0.1", closed.getsockname()[1], "u", "p")
        assert reaching.has_lost_one([there, gone])
        assert not reaching.has_lost_one([there, there])
        assert not reaching.has_lost_one([gone])
        assert not reaching.has_lost_one([])


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (
            "NOT_FOUND - home node 'a@b' of durable queue 'q' in vhost '/' is down or inaccessible",
            1,
        ),
        ("NOT_FOUND - no queue 'q' in vhost '/'", 0),
    ],
)
def test_a_durable_queue_whose_node_is_gone_is_not_taken_for_deleted(words, there):
    error = amqp.NotFound(words, (50, 10), "Queue.declare")

    @contextmanager
    def channel():
        yield SimpleNamespace(queue_declare=lambda *_, **__: (_ for _ in ()).throw(error))

    connection = cleanup._Connection(Login([]))
    connection.channel = channel
    if there:
        with pytest.raises(cleanup.Busy, match="is down or inaccessible"):
            connection.delete(OWN)
    else:
        assert connection.consumers(OWN) is None
        connection.delete(OWN)
