"""What a run makes of what its processes say, and of how long they say nothing."""

import time

import pytest

from omrig.model import events
from omrig.model.load import Load
from omrig.model.plan import Plan
from omrig.supervisor import phases
from omrig.supervisor.ending import ASKED_SAVE_S, BROKER_GONE_S, DRAIN_S, STALLED_S, Ending
from omrig.supervisor.interrupts import Interrupts


class Process:
    """A measured process that does nothing by itself."""

    def __init__(self, name):
        self.name = name
        self.sides = (name.partition("-")[0],)
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

    def last_words(self):
        return "no output"


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


class Broker:
    """A broker that is there and refuses nothing."""

    name = "rabbit://h:5672/"
    reachable = True

    def has_died(self):
        return False

    def is_reachable(self):
        return self.reachable

    def refusal(self, _quiet_s):
        return None

    def explanation(self, _unanswered):
        return ""


@pytest.fixture
def make(clock):
    def made(sides=("producer", "consumer"), **load):
        plan = Plan(sides=sides, run_id="r", load=Load(messages=1000, **load))
        members = {name: Process(name) for name in plan.members}
        timeout_s = plan.load.timeout_s or 60.0
        ending = Ending(plan, timeout_s, members, Broker(), Interrupts())
        ending.loading()
        return ending

    return made


def pass_by(ending, clock, seconds, every=lambda _second: None):
    """Let time pass, a second at a time."""
    for second in range(1, int(seconds) + 1):
        clock.now += 1
        every(second)
        ending.decide()


def tell(ending, **counts):
    producer = ending._members["producer"]
    ending.progressed(producer, counts)
    producer.counts.update(counts)


def finish(ending, name):
    """A member has written its results and ended well."""
    member = ending._members[name]
    member.saved, member.running = True, False
    ending.ended(member, 0)


def test_a_consumer_that_saves_when_the_producer_has_ended_keeps_its_recording(make, clock):
    ending = make()
    consumer = ending._members["consumer"]
    finish(ending, "producer")
    consumer.phase = phases.saving("consumer")
    pass_by(ending, clock, phases.SAVE_S - 1)
    assert not consumer.killed and ending.because is None
    pass_by(ending, clock, 2)
    assert ending.because == "the consumer did not write its results within 300 s"
    pass_by(ending, clock, ASKED_SAVE_S + 1)
    assert consumer.killed


def test_a_consumer_that_has_got_all_it_will_get_may_save_as_long(make, clock):
    ending = make()
    consumer = ending._members["consumer"]
    finish(ending, "producer")
    pass_by(ending, clock, DRAIN_S + 2)
    consumer.phase = phases.saving("consumer")
    pass_by(ending, clock, 4 * ASKED_SAVE_S)
    assert not consumer.killed
    pass_by(ending, clock, phases.SAVE_S)
    assert consumer.killed


def test_who_interrupts_waits_less_for_what_is_saved(make, clock):
    ending = make()
    ending._members["consumer"].phase = phases.saving("consumer")
    ending._interrupts.count = 1
    pass_by(ending, clock, ASKED_SAVE_S + 2)
    assert ending._members["consumer"].killed


def test_one_failure_ends_no_load_that_waits_for_its_consumer(make, clock):
    ending = make(sides=("producer",), pattern="cast")
    tell(ending, done=500, errors=1)
    tell(ending, done=501, errors=1)
    pass_by(ending, clock, 20)
    tell(ending, done=501, errors=2)
    limit_s = phases.quiet_limit_s(ending._plan, 60.0)
    pass_by(ending, clock, limit_s - 21)
    assert ending.because is None
    pass_by(ending, clock, 3)
    assert ending.because.startswith("no message got through for 31")


@pytest.mark.parametrize(("timeout_s", "within_s"), [(2.0, 10), (20.0, 41)])
def test_failures_that_keep_coming_end_a_load_soon(make, clock, timeout_s, within_s):
    ending = make(timeout_s=timeout_s)
    tell(ending, done=500, errors=0)
    began = clock.now

    def time_out(_second):
        tell(ending, done=500, errors=int((clock.now - began) // timeout_s))

    pass_by(ending, clock, timeout_s + STALLED_S - 1, time_out)
    assert ending.because is None
    pass_by(ending, clock, within_s, time_out)
    assert "no message got through" in ending.because
    assert int(ending.because.split()[5]) <= within_s


def test_failures_among_messages_that_get_through_end_nothing(make, clock):
    ending = make(timeout_s=2.0)
    pass_by(ending, clock, 200, lambda second: tell(ending, done=second // 4, errors=second))
    assert ending.because is None


def test_when_all_has_ended_nothing_more_is_expected_to_get_through(make, clock):
    ending = make(timeout_s=2.0)
    tell(ending, done=990, errors=9)
    tell(ending, done=990, errors=10)
    pass_by(ending, clock, 1000)
    assert ending.because is None


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("interrupted", [True, False])
def test_bad_usage_that_a_measured_process_finds_ends_the_run(make, usage, interrupted):
    ending = make()
    if interrupted:
        ending.end("interrupted")
    for member in ending._members.values():
        ending.failed(member, events.Failed(text="--target: no such thing", usage=usage))
    assert ending.bad_usage is (usage and not interrupted)
    assert ending.because == ("interrupted" if interrupted else "--target: no such thing")


def test_a_load_that_stands_still_ends_when_its_broker_is_gone(make, clock):
    ending = make()
    ending._broker.reachable = False
    pass_by(ending, clock, STALLED_S + BROKER_GONE_S - 1)
    assert ending.because is None
    pass_by(ending, clock, STALLED_S)
    assert ending.because == "the broker at rabbit://h:5672/ cannot be reached any more"


def test_a_broker_that_comes_back_ends_nothing(make, clock):
    ending = make()

    def restart(second):
        ending._broker.reachable = second % 10 > 5

    pass_by(ending, clock, 60, restart)
    assert ending.because is None


def test_who_died_is_said_with_its_last_words(make):
    ending = make()
    ending.ended(ending._members["consumer"], -9)
    assert ending.because == "the consumer process died (status -9): no output"


@pytest.mark.parametrize("received", [999, 1000])
def test_a_consumer_may_end_first_when_it_has_all(make, received):
    ending = make()
    ending._members["consumer"].counts["received"] = received
    finish(ending, "consumer")
    assert (ending.because is None) is (received == 1000)


def test_the_second_interrupt_kills(make, clock):
    ending = make()
    ending._interrupts.count = 1
    pass_by(ending, clock, 1)
    assert ending.because == "interrupted"
    assert not any(member.killed for member in ending._members.values())
    ending._interrupts.count = 2
    pass_by(ending, clock, 1)
    assert all(member.killed for member in ending._members.values())


def test_a_consumer_that_dies_among_others_is_missed_and_the_load_goes_on(make, clock):
    ending = make(consumers=2)
    dead = ending._members["consumer-2"]
    dead.running = False
    ending.ended(dead, -9)
    assert ending.because == "the consumer-2 process died (status -9): no output"
    ending.progressed(ending._members["producer"], {"done": 5})
    pass_by(ending, clock, 3)
    assert ending._stopping_since is None
    last = ending._members["consumer-1"]
    last.running = False
    ending.ended(last, -9)
    assert ending._stopping_since is not None


def test_the_producers_have_ended_when_the_last_one_has(make, clock):
    ending = make(producers=2)
    finish(ending, "producer-1")
    assert ending._producer_ended_at is None
    finish(ending, "producer-2")
    assert ending._producer_ended_at is not None
