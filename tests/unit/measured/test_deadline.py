"""What ends by a deadline, and what is said of it."""

import logging
import time

import pytest

from omrig.measured.executors import base
from omrig.measured.load import control, deadline
from omrig.measured.load.side import Stop
from omrig.measured.load.workers import WarmUp
from omrig.model import events, redaction
from omrig.model.errors import RunError
from omrig.model.load import Load
from omrig.model.plan import Plan
from omrig.supervisor import phases

PLAN = Plan(sides=("producer",), run_id="r", load=Load(messages=10, warmup=50, wait_s=0.0))


@pytest.fixture
def executor():
    return base.load("threading")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr("omrig.model.load.SHORTEST_PATIENCE_S", 0.2)


def test_what_ends_in_time_has_ended(executor):
    done = []
    assert deadline.within(executor, Stop(), 5, lambda: done.append(1), "it did not end")
    assert done == [1]


def test_what_fails_fails_as_it_does(executor):
    with pytest.raises(ZeroDivisionError):
        deadline.within(executor, Stop(), 5, lambda: 1 / 0, "it did not end")


def test_what_hangs_is_left_with_the_last_error_that_was_logged(executor, monkeypatch):
    monkeypatch.setattr(deadline, "last_error", deadline.LastError())
    redaction.remember(["very-secret"])
    logger = logging.getLogger("omrig.test")
    logger.addHandler(deadline.last_error)
    try:
        logger.error("[%s] refused\nvery-secret", "0f8fad5b-d9cb-469f-a165-70867728950e")
        logger.warning("not this")
    finally:
        logger.removeHandler(deadline.last_error)
    with pytest.raises(deadline.Late) as caught:
        deadline.within(executor, Stop(), 0.3, lambda: time.sleep(3), "it did not end")
    assert str(caught.value) == "it did not end within 0.3 s"
    assert caught.value.likely == "refused ***"


def test_a_stop_ends_the_waiting(executor):
    stop = Stop()
    stop.request()
    assert not deadline.within(executor, stop, 60, lambda: time.sleep(3), "it did not end")


def warming():
    said = []
    return WarmUp(PLAN, said.append), said


def test_a_warm_up_ends_at_the_first_failure_that_would_come_again():
    warm_up, _ = warming()
    assert warm_up.next() == 0
    warm_up.failed(ValueError("not\nallowed"))
    assert warm_up.next() is None
    with pytest.raises(RunError, match="no warm-up message got through: ValueError: not allowed"):
        warm_up.judge()


def test_a_failure_among_others_ends_no_warm_up():
    warm_up, said = warming()
    warm_up.got_through()
    warm_up.failed(ValueError())
    assert warm_up.next() == 0
    warm_up.judge()
    assert said == [events.Moved("producer")]


def test_a_reply_that_may_come_is_waited_for():
    import oslo_messaging

    warm_up, _ = warming()
    warm_up.failed(oslo_messaging.MessagingTimeout())
    assert warm_up.next() == 0
    warm_up.judge()
    time.sleep(0.3)
    with pytest.raises(deadline.Late, match="no warm-up message got through within"):
        warm_up.judge()


def test_a_warm_up_that_comes_to_a_halt():
    warm_up, _ = warming()
    warm_up.got_through()
    warm_up.judge()
    time.sleep(0.3)
    with pytest.raises(deadline.Late, match="no further warm-up message"):
        warm_up.judge()


@pytest.mark.parametrize(
    "begin",
    [
        lambda: phases.loading("producer"),
        lambda: phases.starting("consumer", PLAN),
        lambda: phases.warming_up(PLAN),
        lambda: phases.saving("consumer"),
    ],
    ids=["loading", "starting", "warming up", "saving"],
)
def test_every_phase_has_an_end_that_names_it(begin):
    phase = begin()
    assert phase.overdue() is None
    assert phase.limit_s is not None
    phase.since -= phase.limit_s
    assert phase.overdue() == f"{phase.doing} within {phase.limit_s:g} s"


def test_waiting_and_the_load_are_watched_by_other_means():
    for phase in (phases.waiting(), phases.working()):
        phase.since -= 1e9
        assert phase.overdue() is None


def test_a_process_says_itself_what_was_late_before_it_is_said_of_it():
    starting = phases.starting("producer", PLAN)
    assert starting.limit_s > phases.LOAD_S + PLAN.load.wait_s
    assert phases.warming_up(PLAN).limit_s > max(PLAN.load.patience_s, control.PATIENCE_S)
    assert phases.quiet_limit_s(PLAN, 3600) > 3600
