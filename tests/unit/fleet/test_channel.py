"""What is said to agents arrives in its order, and nobody waits for a scheduler that is gone."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from omrig.fleet.channel import Channel


class Scheduler:
    """Takes what is put into queues; ``fails`` is what it raises instead."""

    def __init__(self):
        self.put = []
        self.fails = None

    async def queue_put(self, name, data, **_):
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        self.put.append((name, list(data)))


class Client:
    """The engine's client, whose loop runs what it was given when it is told to."""

    def __init__(self):
        self.id = "client-1"
        self.status = "running"
        self.scheduler = Scheduler()
        self.topics = {}
        self.given = []
        self.loop = SimpleNamespace(add_callback=lambda *call: self.given.append(call))

    def subscribe_topic(self, topic, handler):
        self.topics[topic] = handler

    def unsubscribe_topic(self, topic):
        del self.topics[topic]

    def turn(self):
        async def all_at_once():
            given, self.given = self.given, []
            await asyncio.gather(*(function(*values) for function, *values in given))

        asyncio.run(all_at_once())


@pytest.fixture
def client(monkeypatch):
    import distributed

    queue = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(distributed, "Queue", lambda *_, **__: queue)
    return Client()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def channel(client, heard):
    made = Channel(client, "5a5a", heard.append, lambda worker: heard.append(f"gone {worker}"))
    made.open(["5a5a-0", "5a5a-1"])
    return made


def test_an_agent_hears_all_in_its_order(channel, client):
    for number in range(3):
        channel.send("5a5a-0", {"do": "ping", "number": number})
    channel.send("5a5a-1", {"do": "bye"})
    client.turn()
    channel.send("5a5a-0", {"do": "bye"})
    client.turn()
    of_first = [each for name, data in client.scheduler.put for each in data if name.endswith("0")]
    assert [each.get("number", each["do"]) for each in of_first] == [0, 1, 2, "bye"]
    assert ("omrig-5a5a-1", [{"do": "bye"}]) in client.scheduler.put
    # What comes while another piece is on its way goes together.
    assert len(client.scheduler.put) == 3


def test_agents_and_the_engine_are_heard(channel, client, heard):
    client.topics["omrig-5a5a"]((1.0, {"post": "5a5a-0", "said": []}))
    client.topics["all"]((1.0, {"action": "add-worker", "worker": "tcp://1"}))
    client.topics["all"]((1.0, {"action": "remove-worker", "worker": "tcp://2"}))
    assert heard == [{"post": "5a5a-0", "said": []}, "gone tcp://2"]
    channel.close()
    assert client.topics == {}


@pytest.mark.parametrize("how", ["closed", "refused"])
def test_nobody_waits_for_a_scheduler_that_is_gone(channel, client, how):
    if how == "closed":
        client.scheduler = None
    else:
        client.scheduler.fails = OSError("gone")
    channel.send("5a5a-0", {"do": "ping", "number": 1})
    client.turn()
    assert channel.is_broken
    client.status = "connecting"
    channel.send("5a5a-0", {"do": "bye"})
    began = time.monotonic()
    channel.close()
    assert time.monotonic() - began < 1.0


def test_what_was_said_last_is_not_waited_for_long(channel, monkeypatch):
    monkeypatch.setattr("omrig.fleet.channel._LONGEST_S", 0.05)
    channel.send("5a5a-0", {"do": "bye"})
    began = time.monotonic()
    channel.close()
    assert 0.05 <= time.monotonic() - began < 1.0


def test_an_agent_that_gave_up_its_coordinator_is_no_broken_scheduler(channel, client):
    client.scheduler.fails = KeyError("omrig-5a5a-0")
    channel.send("5a5a-0", {"do": "ping", "number": 1})
    client.turn()
    assert not channel.is_broken
