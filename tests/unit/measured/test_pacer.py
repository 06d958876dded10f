"""The pacer of an open loop, by a clock of its own: what is due when, and what is sent too late."""

import itertools
import time

import pytest

from omrig.measured.executors import base
from omrig.measured.load.pacer import LEAD_NS, Pacer, of_plan
from omrig.measured.load.side import POLL_S, Stop
from omrig.measured.load.workers import Workers
from omrig.model.load import Load
from omrig.model.pace import Pace
from omrig.model.plan import Plan
from omrig.model.units import MS, NS


class Time:
    """A clock that goes on only while somebody sleeps; a sleep lasts ``late_ns`` too long."""

    def __init__(self, late_ns=0):
        self.now_ns = 5 * NS
        self.slept = []
        self.late_ns = late_ns

    def clock(self):
        return self.now_ns

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now_ns += round(seconds * NS) + self.late_ns


def _pacer(pace, messages, time, stop=None):
    offsets = pace.offsets(messages, "r")
    stop = stop or Stop()
    made = Pacer(pace.steps(messages), pace.gives_up, offsets, stop, time.clock, time.sleep)
    made.begin()
    return made


def test_each_message_is_sent_when_it_is_due():
    time = Time()
    pacer = _pacer(Pace(rate=50), 100, time)
    begun = time.now_ns + LEAD_NS
    for seq in range(100):
        assert pacer.wait(seq)
        assert time.now_ns == begun + seq * 20 * MS
        # What sending takes is not added up.
        time.now_ns += 3 * MS
    assert list(pacer.intended_ns()) == [begun + seq * 20 * MS for seq in range(100)]


def test_the_lag_of_a_sleep_does_not_add_up():
    time = Time(late_ns=MS)
    pacer = _pacer(Pace(rate=50), 100, time)
    lags = []
    for seq in range(100):
        assert pacer.wait(seq)
        lags.append(time.now_ns - pacer.due_ns(seq))
    assert set(lags) == {MS}


def test_what_is_late_is_sent_at_once_and_its_due_time_stays():
    time = Time()
    pacer = _pacer(Pace(rate=100), 10, time)
    assert pacer.wait(0)
    time.now_ns += 55 * MS
    slept = len(time.slept)
    for seq in range(1, 6):
        assert pacer.wait(seq)
        assert pacer.due_ns(seq) == pacer.began_ns + seq * 10 * MS
    assert len(time.slept) == slept
    assert pacer.wait(6)
    assert time.now_ns == pacer.due_ns(6)


def test_what_could_not_be_sent_in_its_time_is_not_sent():
    time = Time()
    pacer = _pacer(Pace(rate=10, duration_s=1), 10, time)
    assert pacer.wait(3)
    time.now_ns = pacer.began_ns + NS - 1
    assert pacer.wait(4)
    time.now_ns += 1
    assert not pacer.wait(5)


def test_each_step_of_a_ramp_begins_without_what_the_last_one_left():
    time = Time()
    pacer = _pacer(Pace(ramp="10:20:2", duration_s=2), 30, time)
    time.now_ns = pacer.began_ns + NS + MS
    # Of the first step; of the second, in which it is.
    assert not pacer.wait(9)
    assert pacer.wait(10)


def test_without_a_duration_everything_is_sent_however_late():
    time = Time()
    pacer = _pacer(Pace(rate=10), 10, time)
    time.now_ns = pacer.began_ns + 100 * NS
    assert all(pacer.wait(seq) for seq in range(10))


def test_a_stop_does_not_wait_for_a_message_that_is_due_in_an_hour():
    time, stop = Time(), Stop()
    pacer = _pacer(Pace(rate=1 / 3600), 2, time, stop)

    def sleep(seconds):
        time.slept.append(seconds)
        if len(time.slept) == 3:
            stop.request()
        time.now_ns += round(seconds * NS)

    pacer._sleep = sleep
    assert not pacer.wait(1)
    assert max(time.slept) <= POLL_S


def _plan(pace, messages, workers=4, **load):
    return Plan(
        sides=("producer",),
        run_id="r",
        load=Load(messages=messages, workers=workers, **load),
        pace=pace,
    )


def test_producers_of_a_run_wait_for_messages_of_their_own():
    pace = Pace(rate=100, duration_s=1)
    plans = _plan(pace, 100, producers=3).of_members("producer")
    made = [of_plan(plan, Stop()) for plan in plans]
    for each in made:
        each.began_ns = 1
    due = [list(each.intended_ns()) for each in made]
    assert [times[0] for times in due] == [1, 1 + 10 * MS, 1 + 20 * MS]
    assert [len(times) for times in due] == [plan.load.messages for plan in plans]


def _sent(plan, send=lambda _seq: None):
    workers = Workers(plan, base.load("threading"), Stop())
    workers.load(0, plan.load.messages or 0, send, lambda: None)
    return workers


def test_an_open_loop_sends_all_of_its_messages_once():
    sent = []
    made = _sent(_plan(Pace(rate=2000), 200), sent.append)
    assert sorted(sent) == list(range(200))
    assert made.sent == made.done == 200
    columns = made.columns()
    assert all(s >= i for s, i in zip(columns["start_ns"], columns["intended_ns"], strict=True))
    assert made.progress() == {"sent": 200, "done": 200, "errors": 0}


def test_a_message_that_fails_is_counted_and_the_load_goes_on():
    def send(seq):
        if seq % 10 == 0:
            raise TimeoutError

    made = _sent(_plan(Pace(rate=2000), 100), send)
    assert (made.sent, made.done, len(made.errors)) == (100, 90, 10)
    assert sorted(made.columns()["failed_seq"]) == list(range(0, 100, 10))


def test_workers_that_are_all_busy_send_late_and_drop_what_is_beyond_the_time():
    plan = _plan(Pace(rate=200, duration_s=0.5), 100, workers=1)
    made = _sent(plan, lambda _seq: time.sleep(0.02))
    assert 5 <= made.sent <= 26
    assert list(made.started).count(0) == 100 - made.sent
    assert made.progress()["sent"] == made.sent


def test_a_closed_loop_ends_with_its_time_however_many_it_sends(monkeypatch):
    from omrig.measured.load import workers

    # Room is made again and again.
    monkeypatch.setattr(workers, "MORE", 7)
    made = _sent(_plan(Pace(duration_s=0.3), None))
    assert made.sent == made.done > 100
    columns = made.columns()
    assert len(columns["start_ns"]) == len(columns["end_ns"]) == made.sent
    assert "intended_ns" not in columns
    span = max(columns["end_ns"]) - min(columns["start_ns"])
    assert span < 2 * NS


def test_a_closed_loop_sends_no_more_than_asked_for_in_its_time():
    assert _sent(_plan(Pace(duration_s=30), 50)).sent == 50


def test_workers_think_between_two_messages():
    made = _sent(_plan(Pace(think_time_s=0.05), 4, workers=1))
    starts = list(made.started)
    assert all(later - before >= 50 * MS for before, later in itertools.pairwise(starts))


def test_what_an_open_loop_tells_of_latencies_is_from_when_messages_were_due():
    plan = _plan(Pace(rate=1000), 20, workers=1)
    made = _sent(plan, lambda _seq: time.sleep(0.005))
    recent = made.recent_ns()
    assert len(recent) == 20
    # The last of them waited for all of the others.
    assert max(recent) > 50 * MS


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=100)], ids=["closed", "open"])
def test_only_an_open_loop_says_how_it_was_paced(pace):
    made = _sent(_plan(pace, 3))
    assert (made.pacing() is None) == (not pace.is_open)
