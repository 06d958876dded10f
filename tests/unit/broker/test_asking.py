"""A broker that is asked during the load: one refusal is none, a lasting one is told."""

import threading
from types import SimpleNamespace

import amqp
import pytest
from amqp import spec

from omrig.broker import asking
from omrig.broker.amqp import trial
from omrig.broker.base import Needs, PublishersBlocked, Refused
from omrig.model.errors import RunError, UsageError
from omrig.model.transport import Endpoint

NEEDS = Needs(("producer",), {}, body_bytes=1_000_000)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(asking, "time", clock)
    return clock


@pytest.fixture
def broker():
    return SimpleNamespace(check=None)


@pytest.fixture
def answer(clock, broker):
    """Ask, and have the broker answer: None where it does what is asked."""
    answers, needed = [], []

    def check(_deadline_s, needs):
        needed.append(needs)
        if (answer := answers.pop(0)) is not None:
            raise answer

    broker.check = check

    def answer(asked, error, at):
        clock.now = 1000.0 + at
        answers.append(error)
        asked.ask()
        asked.close()
        assert answers == []

    answer.needed = needed
    return answer


@pytest.fixture
def asked(broker):
    return asking.Asking(broker, NEEDS)


def test_only_a_refusal_that_lasts_is_told(asked, answer):
    assert asked.refused_for(0.0) is None
    answer(asked, PublishersBlocked("blocked"), 0)
    assert asked.refused_for(15.0) is None
    answer(asked, Refused("blocked still"), 16)
    assert asked.refused_for(15.0) == "blocked still"
    answer(asked, None, 30)
    assert asked.refused_for(0.0) is None
    answer(asked, Refused("blocked again"), 40)
    assert asked.refused_for(15.0) is None


def test_an_old_refusal_is_none(asked, answer, clock):
    answer(asked, Refused("blocked"), 0)
    clock.now += 600
    assert asked.refused_for(30.0) is None
    # Nor does it count for how long a new one has lasted.
    answer(asked, Refused("blocked again"), 600)
    assert asked.refused_for(30.0) is None


def test_messages_that_move_again_refute_it_also_the_one_that_is_being_asked_for(
    asked, answer, clock, broker
):
    answer(asked, Refused("blocked"), 0)
    asked.forget()
    clock.now += 15
    assert asked.refused_for(10.0) is None
    release = threading.Event()

    def late(*_):
        release.wait(10)
        raise Refused("late")

    broker.check = late
    asked.ask()
    clock.now += 1
    asked.forget()
    release.set()
    asked.close()
    clock.now += 5
    assert asked.refused_for(0.0) is None


@pytest.mark.parametrize("error", [UsageError("no answer in 5 s"), RunError("full disk")])
def test_who_cannot_be_asked_has_refused_nothing_and_refuted_nothing(asked, answer, error):
    answer(asked, error, 0)
    answer(asked, error, 12)
    assert asked.refused_for(0.0) is None
    answer(asked, Refused("blocked"), 22)
    answer(asked, error, 32)
    assert asked.refused_for(5.0) == "blocked"


REFUSALS = [
    (trial.Blocked("low on memory"), PublishersBlocked),
    (amqp.AccessRefused("ACCESS_REFUSED - write access to exchange 'e'", spec.Basic.Publish),
     Refused),
    (amqp.NotAllowed("NOT_ALLOWED - number of channels opened for user 'u' has reached the maximum"
                     " allowed user limit of (9)", spec.Channel.Open), UsageError),
    (amqp.PreconditionFailed("PRECONDITION_FAILED - cannot declare queue 'q': queue limit in vhost"
                             " 'v' (3) is reached", spec.Queue.Declare), UsageError),
    (TimeoutError(), UsageError),
    (amqp.ConnectionForced("closed"), UsageError),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind"), REFUSALS)
def test_what_is_the_broker_s_refusal(error, kind):
    about = SimpleNamespace(doing="publish a message")
    explained = trial._explain(error, about, Endpoint("h", 1, "u", "p"), "/", 5.0)
    assert type(explained) is kind


def test_a_broker_that_stalls_is_given_nothing_large_and_nothing_that_stays(asked, answer):
    answer(asked, None, 0)
    assert (answer.needed[0].body_bytes, answer.needed[0].streams) == (0, False)


def test_one_question_at_a_time(clock, broker, asked):
    release, count = threading.Event(), []

    def check(*_):
        count.append(1)
        release.wait(5)

    broker.check = check
    for _ in range(3):
        clock.now += 60
        asked.ask()
    release.set()
    asked.close()
    assert len(count) == 1
