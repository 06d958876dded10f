"""What a run makes of what its processes say, and of how long they say nothing."""

import contextlib
import time
from types import SimpleNamespace

import pytest

from omrig.model.errors import Losses, UsageError
from omrig.model.plan import Plan
from omrig.model.result import Counts
from omrig.supervisor import phases, supervisor
from omrig.supervisor.interrupts import Interrupts
from tools import synthetic


class Process:
    """A measured process that does nothing by itself."""

    def __init__(self, name):
        self.name = name
        self.counts = {}
        self.phase = phases.working()
        self.saved = False
        self.failure = None
        self.running = True
        self.killed = False

    def stop(self):
        pass

    def kill(self):
        self.killed = True

    def last_error(self):
        return ""


class Clock:
    """The time, which passes only when told to."""

    def __init__(self):
        self.now = time.monotonic()

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def make(tmp_path, clock):
    def made(**plan):
        sides = plan.pop("sides", ("producer", "consumer"))
        plan = Plan(sides=sides, run_id="r", messages=1000, **plan)
        to = SimpleNamespace(
            plan=plan, alone=None, needs=(), embedded=None, timeout_s=plan.timeout_s or 60.0,
            broker=SimpleNamespace(one_process=False, reachable=lambda: True),
        )  # fmt: skip
        progress = SimpleNamespace(
            counts=lambda *_: None, processors=lambda *_: None, phase=lambda *_: None
        )
        run = supervisor._Run(to, tmp_path, {}, progress, Interrupts(), Losses(tmp_path))
        run._children = {side: Process(side) for side in sides}
        run._on_phase(run._children[sides[0]], {"side": sides[0], "phase": "load"})
        return run

    return made


def pass_by(run, clock, seconds, every=lambda _second: None):
    """Let time pass, a second at a time."""
    for second in range(1, int(seconds) + 1):
        clock.now += 1
        every(second)
        run._decide()


def tell(run, **counts):
    run._on_progress(run._children["producer"], {"side": "producer", **counts})


def test_a_consumer_that_saves_when_the_producer_has_ended_keeps_its_recording(make, clock):
    run = make()
    consumer = run._children["consumer"]
    run._children["producer"].running = False
    run._on_phase(consumer, {"side": "consumer", "phase": "saving"})
    run._producer_ended_at = clock.now
    pass_by(run, clock, phases.SAVE_S - 1)
    assert not consumer.killed and run._because is None
    pass_by(run, clock, 2)
    assert run._because == "the consumer did not write its results within 300 s"
    pass_by(run, clock, supervisor.ASKED_SAVE_S + 1)
    assert consumer.killed


def test_a_consumer_that_has_got_all_it_will_get_may_save_as_long(make, clock):
    run = make()
    consumer = run._children["consumer"]
    run._children["producer"].running = False
    run._producer_ended_at = clock.now
    pass_by(run, clock, supervisor.DRAIN_S + 2)
    run._on_phase(consumer, {"side": "consumer", "phase": "saving"})
    pass_by(run, clock, 4 * supervisor.ASKED_SAVE_S)
    assert not consumer.killed
    pass_by(run, clock, phases.SAVE_S)
    assert consumer.killed


def test_who_interrupts_waits_less_for_what_is_saved(make, clock):
    run = make()
    run._on_phase(run._children["consumer"], {"side": "consumer", "phase": "saving"})
    run._interrupts.count = 1
    pass_by(run, clock, supervisor.ASKED_SAVE_S + 2)
    assert run._children["consumer"].killed


def test_one_failure_ends_no_load_that_waits_for_its_consumer(make, clock):
    run = make(sides=("producer",), pattern="cast")
    tell(run, done=500, errors=1)
    tell(run, done=501, errors=1)
    pass_by(run, clock, 20)
    tell(run, done=501, errors=2)
    limit_s = phases.quiet_limit_s(run._to.plan, 60.0)
    pass_by(run, clock, limit_s - 21)
    assert run._because is None
    pass_by(run, clock, 3)
    assert run._because.startswith("no message got through for 31")


@pytest.mark.parametrize(("timeout_s", "within_s"), [(2.0, 10), (20.0, 41)])
def test_failures_that_keep_coming_end_a_load_soon(make, clock, timeout_s, within_s):
    run = make(timeout_s=timeout_s)
    tell(run, done=500, errors=0)
    began = clock.now

    def time_out(_second):
        tell(run, done=500, errors=int((clock.now - began) // timeout_s))

    pass_by(run, clock, timeout_s + supervisor.STALLED_S - 1, time_out)
    assert run._because is None
    pass_by(run, clock, within_s, time_out)
    assert "no message got through" in run._because
    assert int(run._because.split()[5]) <= within_s


def test_failures_among_messages_that_get_through_end_nothing(make, clock):
    run = make(timeout_s=2.0)
    pass_by(run, clock, 200, lambda second: tell(run, done=second // 4, errors=second))
    assert run._because is None


def test_when_all_has_ended_nothing_more_is_expected_to_get_through(make, clock):
    run = make(timeout_s=2.0)
    tell(run, done=990, errors=9)
    tell(run, done=990, errors=10)
    pass_by(run, clock, 1000)
    assert run._because is None


@pytest.mark.parametrize("begun", [False, True])
def test_what_an_interrupt_left_is_told_as_it_is(tmp_path, monkeypatch, begun):
    plan = Plan(sides=("producer",), run_id="r", output=str(tmp_path / "r"))

    def interrupted(*_):
        if begun:
            (tmp_path / "r" / "run.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor.destination, "opened", interrupted)
    monkeypatch.setattr(supervisor, "_report", lambda *_: None)
    incomplete = synthetic.result(complete=False)
    if begun:
        assert supervisor.run(plan, None, account=lambda *_: incomplete)[1] == incomplete
        return
    with pytest.raises(KeyboardInterrupt, match="before the load; nothing measured"):
        supervisor.run(plan, None, account=pytest.fail)
    assert not (tmp_path / "r").exists()


FAILED = {"text": "--target: no such thing", "likely": "", "late": False, "unanswered": False}


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("interrupted", [True, False])
def test_bad_usage_that_a_measured_process_finds_ends_the_run(make, tmp_path, usage, interrupted):
    run = make()
    (tmp_path / "run.json").write_text("{}")
    if interrupted:
        run._end("interrupted")
    for child in run._children.values():
        run._on_failed(child, {**FAILED, "usage": usage})
    for child in run._children.values():
        child.began, child.sides = True, (child.name,)
    run._note_end()
    assert run._ended["bad_usage"] is (usage and not interrupted)


@pytest.mark.parametrize("bad_usage", [True, False])
@pytest.mark.parametrize("sent", [None, 0, 10])
def test_bad_usage_is_the_end_where_nothing_was_measured(bad_usage, sent):
    ended = {"bad_usage": bad_usage, "ended_because": FAILED["text"]}
    result = synthetic.result(messages=Counts(sent=sent))
    expected = pytest.raises(UsageError, match="no such thing")
    with expected if bad_usage and not sent else contextlib.nullcontext():
        supervisor._raise_usage(ended, result)
    supervisor._raise_usage(None, result)
