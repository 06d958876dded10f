"""Producers and consumers that are started one by one find each other on the real broker."""

import contextlib
import json
import threading
import time
from urllib.parse import urlsplit

import amqp
import pytest

from omrig.broker.amqp import hosting, meeting
from omrig.broker.base import Consumer, Group
from omrig.model import events
from omrig.model.errors import RunError
from omrig.model.transport import Endpoint, Login
from tests.accuracy import bench as accuracy


@pytest.fixture
def login(broker):
    url = urlsplit(broker.url)
    return Login([Endpoint(url.hostname, url.port, url.username, url.password)])


@pytest.fixture
def serve(login):
    """Start consumers that can be met; they tell what is in ``said`` and are asked ``asked``."""
    with contextlib.ExitStack() as hosts:
        said, asked = [], []

        def serve(topic, run_id):
            name = f"omrig.{topic}.{run_id * 12}"
            about = Consumer(run_id * 12, name, name, "here", 1, {})
            host = hosting.Host(
                login, topic, about, said.append, lambda *each: asked.append(each), Group()
            )
            hosts.callback(host.close)
            return host

        serve.said, serve.asked = said, asked
        yield serve


def find(login, producer, topic="t", wait_s=15.0):
    return meeting.find(login, topic, producer, wait_s, lambda _left_s: None)


def test_nobody_is_there(login):
    waits = []
    with pytest.raises(RunError, match="no consumer answered on topic t within 1 s; start one"):
        meeting.find(login, "t", "p", 1.0, waits.append)
    assert waits == sorted(waits, reverse=True)
    assert 0 < waits[0] <= 1


def test_a_consumer_of_another_topic_does_not_answer(login, serve):
    serve("u", "a")
    assert find(login, "p", "u").consumer.topic == f"omrig.u.{12 * 'a'}"
    with pytest.raises(RunError, match="no consumer"):
        find(login, "p", "t", wait_s=1.0)


def test_the_consumer_with_the_fewest_producers_serves_also_at_the_same_moment(login, serve):
    for run_id in "abc":
        serve("t", run_id)
    deadline = time.monotonic() + 10
    while (first := find(login, "first")).answered < 3:
        first.release()
        assert time.monotonic() < deadline
    found = [first]
    workers = [
        threading.Thread(target=lambda name=name: found.append(find(login, name)))
        for name in ("second", "third")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(each.consumer.run_id[0] for each in found) == ["a", "b", "c"]
    # Who has ended counts no more, and who asks again is still served.
    first.release()
    assert find(login, "fourth").consumer.run_id == first.consumer.run_id


def wait_for(values, count, seconds=15):
    deadline = time.monotonic() + seconds
    while len(values) < count:
        assert time.monotonic() < deadline, f"{len(values)} of {count} came"
        time.sleep(0.01)


def test_what_a_producer_asks_is_heard_and_answered(login, serve):
    serve("t", "a")
    found, answers = find(login, "p"), []
    found.listen(answers.append)
    for number in (1, 2):
        found.tell(events.Ask(number, "received", {"producer": "x", "first": 0, "end": None}))
    wait_for(serve.asked, 2)
    for asker, ask in serve.asked:
        assert (ask.method, ask.arguments["producer"]) == ("received", "x")
        asker.tell(events.Answer(ask.number, {"consumer": 10 * ask.number}))
    wait_for(answers, 2)
    assert answers == [events.Answer(number, {"consumer": 10 * number}) for number in (1, 2)]
    found.release()


def test_the_instant_at_which_all_begin_is_told_on_the_clock_of_who_hears_it(login, serve):
    serve("t", "a")
    found, answers = find(login, "p"), []
    found.listen(answers.append)
    found.tell(events.Ask(1, "begin", {"producer": "x"}))
    wait_for(serve.asked, 1)
    begin_at = time.perf_counter_ns() + 10**9
    serve.asked[0][0].tell(events.Answer(1, {"consumer": None, events.BEGIN_AT: begin_at}))
    wait_for(answers, 1)
    told = answers[0].values[events.BEGIN_AT]
    assert begin_at <= told < begin_at + 10**9
    found.release()


def test_who_has_not_claimed_a_consumer_asks_in_vain(login, serve):
    serve("t", "a")
    found = find(login, "p")
    other = meeting.Found(login, "q", found.consumer, 1)
    other.listen(pytest.fail)
    other.tell(events.Ask(1, "hello", {"producer": "x"}))
    found.listen([].append)
    found.tell(events.Ask(1, "terminate", {}))
    found.tell(events.Ask(2, "warmed", {"producer": "x"}))
    wait_for(serve.asked, 1)
    assert [ask.method for _, ask in serve.asked] == ["warmed"]
    other.release()
    found.release()


def test_a_consumer_that_is_gone_answers_nothing(login, serve):
    host = serve("t", "a")
    found, answers = find(login, "p"), []
    found.listen(answers.append)
    host.close()
    found.tell(events.Ask(1, "received", {"producer": "x"}))
    wait_for(answers, 1)
    assert answers == [events.Answer(1, {})]
    found.release()


def test_consumers_of_a_group_find_the_first_and_are_asked_by_it(login):
    first = meeting.Lead(login, "t")
    with pytest.raises(amqp.ResourceLocked):
        meeting.Lead(login, "t")
    with contextlib.ExitStack() as ending:
        ending.callback(first.release)
        joined, asked, answers = [], [], []
        leader, other = (
            Consumer(run_id * 12, name, name, "here", 1, {})
            for run_id in "ab"
            for name in [f"omrig.t.{run_id * 12}"]
        )
        group = Group(2, "", joined.append)
        ending.callback(hosting.Host(login, "t", leader, print, pytest.fail, group).close)
        with pytest.raises(RunError, match="no consumer answered"):
            # Producers are answered when all are there.
            find(login, "p", "t", wait_s=1.5)
        key = meeting.group_key("t")
        found = meeting.find(login, key, other.run_id, 15.0, lambda _left_s: None, other)
        assert found.consumer.run_id == leader.run_id
        wait_for(joined, 1)
        assert joined[0].run_id == other.run_id
        assert find(login, "p", "t").consumer.run_id == leader.run_id
        group = Group(2, leader.run_id)
        host = hosting.Host(login, "t", other, print, lambda *each: asked.append(each), group)
        ending.callback(host.close)
        to_other = meeting.Found(login, leader.run_id, joined[0], 1, is_there=False)
        ending.callback(to_other.release)
        to_other.listen(answers.append)
        to_other.tell(events.Ask(1, "warmed", {"producer": "x"}))
        wait_for(asked, 1)
        asked[0][0].tell(events.Answer(1, {"consumer": 3}))
        wait_for(answers, 1)
        assert answers == [events.Answer(1, {"consumer": 3})]


@pytest.fixture
def impostor(channel):
    """Answers whoever asks on topic ``t`` like a consumer that is none of omrig's."""
    channel.exchange_declare(meeting.EXCHANGE, "direct", durable=False, auto_delete=True)
    queue = channel.queue_declare("", exclusive=True).queue
    channel.queue_bind(queue, meeting.EXCHANGE, "t")
    stop, asked = threading.Event(), []

    def answer(message):
        asked.append(json.loads(message.body))
        for text in ('{"queue": "compute"}', "[" * 100_000, json.dumps(CLAIMS_A_SERVICE)):
            reply = amqp.Message(text)
            channel.basic_publish(reply, routing_key=message.properties["reply_to"])

    def serve():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                channel.connection.drain_events(0.1)

    channel.basic_consume(queue, no_ack=True, callback=answer)
    serving = threading.Thread(target=serve)
    serving.start()
    yield asked
    stop.set()
    serving.join()


CLAIMS_A_SERVICE = {
    "run_id": 12 * "0",
    "topic": "compute",
    "exchange": "nova",
    "host": "h",
    "pid": 1,
    "options": {},
    "serves": 0,
    "queue": "compute",
}


def test_whoever_answers_directs_no_load_at_a_service(login, impostor, serve):
    with pytest.raises(RunError, match="no consumer answered"):
        find(login, "p", wait_s=1.0)
    assert {"ask": "who"} in impostor
    serve("t", "a")
    assert find(login, "p").consumer.run_id == 12 * "a"
    assert all(each["ask"] == "who" for each in impostor)


def test_a_meeting_leaves_nothing_and_survives_a_broker_that_cuts_it(login, serve, broker):
    host = serve("t", "a")
    assert find(login, "p").consumer.run_id == 12 * "a"
    accuracy.evaluate(broker, 'rabbit_networking:close_all_connections("by a test").')
    assert find(login, "p").consumer.run_id == 12 * "a"
    assert "no producer finds this consumer" in serve.said[0]
    assert "again" in serve.said[-1]
    host.close()
    deadline = time.monotonic() + 10
    while "omrig.meet" in "".join(
        accuracy.evaluate(broker, f"{kind}:list_names().")
        for kind in ("rabbit_amqqueue", "rabbit_exchange")
    ):
        assert time.monotonic() < deadline
