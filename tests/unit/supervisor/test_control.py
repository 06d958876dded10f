"""What producers ask is carried to every consumer, and every answer back to who asked."""

import time

import pytest

from omrig.model import events
from omrig.supervisor.control import Relay


class Process:
    """Hears what it is told."""

    def __init__(self, name):
        self.name = name
        self.heard = []

    def tell(self, event):
        self.heard.append(event)


@pytest.fixture
def make():
    def made(producers=1, consumers=("consumer-1", "consumer-2")):
        serving = [Process(name) for name in consumers]
        return Relay(producers, lambda: serving), serving

    return made


def test_an_answer_is_that_of_all_consumers(make):
    relay, (first, second) = make()
    producer = Process("producer")
    relay.take(producer, events.Ask(7, "received", {"producer": "p"}))
    assert first.heard == second.heard == [events.Ask(1, "received", {"producer": "p"})]
    relay.take(second, events.Answer(1, {"consumer-2": 3}))
    assert producer.heard == []
    relay.take(first, events.Answer(1, {"consumer-1": 5}))
    assert producer.heard == [events.Answer(7, {"consumer-1": 5, "consumer-2": 3})]
    # Nobody waits for it any more.
    relay.take(first, events.Answer(1, {"consumer-1": 6}))
    assert len(producer.heard) == 1


def test_a_consumer_that_is_gone_is_not_waited_for(make):
    relay, (first, _) = make()
    producer = Process("producer")
    relay.take(producer, events.Ask(1, "received", {}))
    relay.take(first, events.Answer(1, {"consumer-1": 5}))
    relay.gone("consumer-2")
    assert producer.heard == [events.Answer(1, {"consumer-1": 5})]


def test_without_a_consumer_the_answer_is_empty(make):
    relay, _ = make(consumers=())
    producer = Process("producer")
    relay.take(producer, events.Ask(1, "hello", {}))
    assert producer.heard == [events.Answer(1, {})]


def test_all_producers_begin_at_one_instant_that_is_to_come(make):
    relay, (consumer,) = make(producers=2, consumers=("consumer",))
    first, second = Process("producer-1"), Process("producer-2")
    relay.take(first, events.Ask(3, "begin", {"producer": "a"}))
    assert consumer.heard == []
    relay.take(second, events.Ask(9, "begin", {"producer": "b"}))
    (asked,) = consumer.heard
    relay.take(consumer, events.Answer(asked.number, {"consumer": None}))
    (one,), (other,) = first.heard, second.heard
    assert (one.number, other.number) == (3, 9)
    assert one.values == other.values
    assert one.values[events.BEGIN_AT] > time.perf_counter_ns()


def test_a_producer_that_asks_again_is_one(make):
    relay, (consumer,) = make(producers=2, consumers=("consumer",))
    first = Process("producer-1")
    for number in (3, 3):
        relay.take(first, events.Ask(number, "begin", {"producer": "a"}))
    assert consumer.heard == []


def test_a_producer_alone_begins_at_once(make):
    relay, (consumer,) = make(consumers=("consumer",))
    producer = Process("producer")
    relay.take(producer, events.Ask(1, "begin", {}))
    relay.take(consumer, events.Answer(1, {"consumer": None}))
    assert producer.heard == [events.Answer(1, {"consumer": None})]


def test_what_all_are_told_has_answers_that_nobody_waits_for(make):
    relay, serving = make()
    relay.tell_all("expect", {"messages": None})
    assert [each.heard for each in serving] == [[events.Ask(1, "expect", {"messages": None})]] * 2
    relay.take(serving[0], events.Answer(1, {"consumer-1": None}))


def test_a_run_that_agrees_begins_when_it_is_told(make):
    begins = []
    _, (consumer, _) = make()
    relay = Relay(1, lambda: [consumer], agree=begins.append)
    producer = Process("producer")
    relay.take(producer, events.Ask(1, "hello", {}))
    relay.take(consumer, events.Answer(1, {"consumer-1": "me"}))
    assert producer.heard == [events.Answer(1, {"consumer-1": "me"})]
    relay.take(producer, events.Ask(2, "begin", {}))
    assert begins == []
    relay.take(consumer, events.Answer(2, {"consumer-1": None}))
    (begin,) = begins
    assert len(producer.heard) == 1
    begin(12345)
    assert producer.heard[1] == events.Answer(2, {"consumer-1": None, events.BEGIN_AT: 12345})


def test_who_is_far_away_is_told_earlier_also_alone():
    consumer, producer = Process("consumer"), Process("producer")
    relay = Relay(1, lambda: [consumer], lambda: 2.0)
    before = time.perf_counter_ns()
    relay.take(producer, events.Ask(1, "begin", {}))
    relay.take(consumer, events.Answer(1, {"consumer": None}))
    relay.take(producer, events.Ask(2, "received", {}))
    relay.take(consumer, events.Answer(2, {"consumer": 5}))
    first, second = producer.heard
    assert 2.0 <= (first.values[events.BEGIN_AT] - before) / 1e9 < 3.0
    assert second.values == {"consumer": 5}
