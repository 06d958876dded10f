"""Notifications: what is sent is taken, one by one or in batches, and what fails is told."""

import logging
import threading
import time

import oslo_messaging
import pytest
from oslo_config import cfg

from omrig.measured.executors import base
from omrig.measured.load import notify
from omrig.measured.load.messaging import Messaging
from omrig.measured.load.tally import Tally
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.notifications import PRIORITIES, Notifications
from omrig.model.patterns import PATTERNS
from omrig.model.plan import Plan
from omrig.model.transport import MEMORY

REQUEUE = oslo_messaging.NotificationResult.REQUEUE


class Endpoint:
    """Keeps what it gets, and answers what ``answers`` says for a number, each once."""

    def __init__(self, answers=()):
        self.tally = Tally(None)
        self.got = []
        self.answers = dict(answers)
        self.came = threading.Condition()

    def message(self, _context, seq, producer, at_ns=None, **payload):
        with self.came:
            self.got.append((seq, producer, at_ns, payload))
            self.came.notify_all()
        answer = self.answers.pop(seq, None)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def wait_for(self, count):
        with self.came:
            assert self.came.wait_for(lambda: len(self.got) >= count, 10)
        time.sleep(0.2)
        assert len(self.got) == count
        return [seq for seq, *_ in self.got]


def plan_of(**notifications):
    return Plan(
        sides=("producer", "consumer"),
        run_id="5a" * 16,
        load=Load(pattern="notify", executor="threading"),
        notifications=Notifications(**notifications),
    )


@pytest.fixture
def start():
    """A sender and the endpoint that gets what it sends, over the fake driver."""
    conf = cfg.ConfigOpts()
    conf([])
    started = []

    def start(plan, endpoint):
        messaging = Messaging(
            conf,
            oslo_messaging.TransportURL.parse(conf, "fake:///"),
            plan,
            MEMORY,
            base.load("threading"),
        )
        messaging.serve(endpoint)
        started.append(messaging)
        return messaging.sender(PATTERNS["notify"], "me", {"size": "large"}, pytest.fail)

    yield start
    for messaging in started:
        messaging.stop_serving()
        messaging.cleanup()


@pytest.mark.parametrize("priority", [None, *PRIORITIES])
def test_what_is_sent_with_a_priority_is_taken(start, priority):
    plan = plan_of(priority=priority)
    assert plan.priority == priority or (priority is None and plan.priority == "info")
    endpoint = Endpoint()
    send = start(plan, endpoint)
    for seq in (-1, 0, 1):
        send(seq)
    assert endpoint.wait_for(3) == [-1, 0, 1]
    assert endpoint.got[0] == (-1, "me", None, {"size": "large"})


def test_what_an_endpoint_wants_again_it_gets_again_and_is_counted(start):
    requeued = []

    class Requeues(Endpoint):
        def message(self, *args, **payload):
            requeued.append(super().message(*args, **payload))
            return requeued[-1]

    endpoint = Requeues({1: REQUEUE})
    receive = notify.one_by_one(endpoint.message, endpoint.tally)
    for seq in (0, 1, 1):
        result = receive({}, "who", "what", {"seq": seq, "producer": "me"}, {})
        assert result == requeued[-1]
    assert requeued == [None, REQUEUE, None]
    assert endpoint.tally.requeued == 1
    assert not endpoint.tally.complete()


def test_an_expected_error_of_the_endpoint_is_no_reason_to_have_it_again():
    def raises():
        try:
            raise LookupError
        except LookupError:
            return oslo_messaging.ExpectedException()

    endpoint = Endpoint({0: raises(), 1: raises()})
    one = notify.one_by_one(endpoint.message, endpoint.tally)
    assert one({}, "who", "what", {"seq": 0, "producer": "me"}, {}) is None
    batch = notify.in_batches(endpoint.message, endpoint.tally)
    assert batch([{"ctxt": {}, "payload": {"seq": n, "producer": "me"}} for n in (1, 2)]) is None
    assert [seq for seq, *_ in endpoint.got] == [0, 1, 2]
    assert endpoint.tally.requeued == 0
    assert len(endpoint.tally.batches) == 1


def test_a_batch_is_taken_at_once_when_it_is_full_or_has_waited(start):
    endpoint = Endpoint()
    send = start(plan_of(batch=4, batch_timeout_s=0.5), endpoint)
    for seq in range(6):
        send(seq)
    assert sorted(endpoint.wait_for(6)) == list(range(6))
    times = [at_ns for _, _, at_ns, _ in endpoint.got]
    assert None not in times
    assert 2 <= len(set(times)) <= 3


def test_a_batch_of_the_warm_up_is_none_of_the_load():
    endpoint = Endpoint()
    batch = notify.in_batches(endpoint.message, endpoint.tally)
    for numbers, count in (((-2, -1), 0), ((-1, 0), 1)):
        batch([{"ctxt": {}, "payload": {"seq": n, "producer": "me"}} for n in numbers])
        assert len(endpoint.tally.batches) == count


def test_who_wants_one_of_a_batch_again_gets_all_of_it_again():
    endpoint = Endpoint({1: REQUEUE})
    batch = notify.in_batches(endpoint.message, endpoint.tally)
    messages = [{"ctxt": {}, "payload": {"seq": n, "producer": "me"}} for n in range(3)]
    assert batch(messages) == REQUEUE
    assert batch(messages) is None
    assert endpoint.tally.requeued == 3
    assert len(endpoint.tally.batches) == 2
    assert [seq for seq, *_ in endpoint.got] == [0, 1, 2] * 2


def _client_of(send):
    return next(each.cell_contents for each in send.__closure__ if callable(each.cell_contents))


@pytest.fixture
def heard():
    """What is logged where a service logs."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record.getMessage())

    handler = Keep(logging.ERROR)
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


def test_what_could_not_be_sent_is_raised_by_whoever_sent_it(start, heard):
    endpoint = Endpoint()
    send = start(plan_of(), endpoint)
    unserialisable = {"seq": object()}
    sender = notify.sender(PATTERNS["notify"], _client_of(send), "me", {})
    with pytest.raises(ValueError, match="Cannot convert"):
        sender(unserialisable)
    sender(7)
    assert endpoint.wait_for(1) == [7]
    assert heard == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"priority": "urgent"}, "--priority: unknown 'urgent'; choose from audit, debug, info"),
        ({"batch": 0}, "--batch: 0 is too small; give 1 or more"),
        ({"batch": 2, "batch_timeout_s": 0.0}, "--batch-timeout: 0 is not above 0; give seconds"),
        ({"batch_timeout_s": 1.0}, "--batch-timeout: there is no batch to wait for; give --batch"),
    ],
)
def test_what_makes_no_sense_is_refused(given, said):
    with pytest.raises(UsageError) as caught:
        Notifications(**given)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"priority": "info"}, "--priority"),
        ({"batch": 2}, "--batch"),
        ({"batch": 2, "batch_timeout_s": 3.0}, "--batch"),
    ],
)
def test_other_patterns_have_no_notifications(given, flag):
    with pytest.raises(UsageError) as caught:
        Plan(sides=("producer",), run_id="1", notifications=Notifications(**given))
    assert str(caught.value) == (
        f"{flag}: --pattern call sends no notifications; give --pattern notify, or leave it out"
    )


def test_the_plan_of_notifications_goes_through_a_pipe_and_is_recorded_where_it_is_one():
    plan = plan_of(batch=3)
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.public()["batch"] == 3
    assert not {"priority", "batch_timeout_s"} & plan.public().keys()
    plain = Plan(sides=("producer",), run_id="1")
    assert not {"priority", "batch", "batch_timeout_s"} & plain.public().keys()
