"""What a trial declares on the broker is written down first, and forgotten when it is deleted."""

from types import SimpleNamespace

import pytest

from omrig.broker import declared
from omrig.broker.amqp import cleanup, trial
from omrig.broker.base import Needs
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Output, Plan
from omrig.model.transport import Endpoint, Login

BOTH = ("producer", "consumer")
STREAM = {"rabbit_stream_fanout": True}
ENDPOINT = Endpoint("h", 5672, "u", "p")
LOGIN = Login((ENDPOINT,))


class Connection:
    """An ``amqp.Connection`` that does what it is asked, but for ``failing``; ``there`` is there.

    Each time something is declared, ``noted`` gets what the records have by then.
    """

    def __init__(self):
        self.there, self.noted, self.published, self.failing = [], [], [], ""
        self.declared, self.routed = [], []
        self._METHODS, self._callbacks, self._transport = {}, {}, None

    def channel(self):
        channel = SimpleNamespace(basic_consume=lambda *_, **__: "tag")
        for kind in ("queue", "exchange"):
            setattr(channel, f"{kind}_declare", self.declare)
            setattr(channel, f"{kind}_delete", self.delete)
        for name in ("queue_bind", "basic_qos", "basic_cancel"):
            setattr(channel, name, lambda *_, **__: None)
        channel.basic_publish_confirm = self.publish
        return channel

    def declare(self, name, *_, **__):
        self.there.append(name)
        self.declared.append(name)
        self.noted.append([each.name for path in declared.records() for each in things(path)])

    def publish(self, message, *where):
        self.published.append(message.body)
        self.routed.append(where)

    def delete(self, name):
        if self.failing == "delete":
            raise TimeoutError
        self.there.remove(name)

    def collect(self):
        """Nothing is open."""


def things(path):
    return declared.read(path).things


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Plan(sides=BOTH, run_id="5a" * 16, output=Output(folder=str(tmp_path)))


def test_everything_is_in_a_record_before_it_is_declared_and_none_is_left(plan):
    connection = Connection()
    trial.perform(connection, ENDPOINT, LOGIN, Needs(BOTH, STREAM, plan=plan), 5.0)
    assert [noted[-1] for noted in connection.noted] == connection.noted[-1]
    assert len(connection.noted) == 6
    assert connection.there == list(declared.records()) == []


@pytest.mark.parametrize("answer", [[], ["left"]])
def test_what_cannot_be_deleted_stays_in_the_record(plan, monkeypatch, answer):
    connection = Connection()
    connection.failing = "delete"
    monkeypatch.setattr(cleanup, "remove", lambda *_: answer)
    with pytest.raises(UsageError, match="did not answer"):
        trial.perform(connection, ENDPOINT, LOGIN, Needs(BOTH, STREAM, plan=plan), 5.0)
    kept = [each for path in declared.records() for each in things(path)]
    assert [each.name for each in kept] == (connection.there if answer else [])
    assert all(each.is_own for each in kept)


def test_nothing_is_declared_that_cannot_be_written_down(plan, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(declared, "begin", full)
    connection = Connection()
    with pytest.raises(RunError, match="written down, and cannot be: No space left"):
        trial.perform(connection, ENDPOINT, LOGIN, Needs(BOTH, STREAM, plan=plan), 5.0)
    assert connection.noted == []


def test_where_nothing_lasts_nothing_is_written_down(plan):
    connection = Connection()
    trial.perform(connection, ENDPOINT, LOGIN, Needs(BOTH, {}), 5.0)
    assert len(connection.noted) == 6
    assert connection.noted[-1] == []


@pytest.mark.parametrize(
    ("sides", "copies", "tried"),
    [
        (("producer",), True, True),
        (("producer",), False, False),
        (("consumer",), False, True),
    ],
)
def test_the_exchange_of_all_servers_is_tried_where_a_side_uses_it(sides, copies, tried):
    connection = Connection()
    trial.perform(connection, ENDPOINT, LOGIN, Needs(sides, {}, copies=copies), 5.0)
    used = {exchange for exchange, _key in connection.routed if exchange.endswith("_fanout")}
    assert bool(used) == ("producer" in sides and copies)
    assert any(name.endswith("_fanout") for name in connection.declared) == tried
    assert connection.there == []


@pytest.mark.parametrize("sides", [("producer",), ("consumer",), BOTH])
def test_of_notifications_the_queue_of_their_priority_is_tried_and_no_reply(sides):
    connection = Connection()
    needs = Needs(sides, {}, priority="error", rpc=False)
    trial.perform(connection, ENDPOINT, LOGIN, needs, 5.0)
    topic, queue = connection.declared
    assert queue == f"{topic}.error"
    assert connection.routed == ([(topic, topic)] if "producer" in sides else [])
    assert connection.there == []


def test_with_rpc_beside_them_both_are_tried():
    connection = Connection()
    trial.perform(connection, ENDPOINT, LOGIN, Needs(BOTH, {}, priority="info"), 5.0)
    assert [name for name in connection.declared if name.endswith(".info")]
    assert [name for name in connection.declared if name.startswith("reply_")]


def test_without_streams_neither_one_nor_its_exchange_is_declared(plan):
    connection = Connection()
    needs = Needs(BOTH, STREAM, plan=plan, streams=False)
    trial.perform(connection, ENDPOINT, LOGIN, needs, 5.0)
    assert len(connection.noted[-1]) == 4
    assert not any("fanout" in name for name in connection.noted[-1])
