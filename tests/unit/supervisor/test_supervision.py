"""What the process that watches a run does about what it hears."""

import dataclasses
from types import SimpleNamespace

import pytest

from omrig.broker.base import Needs, QueueState
from omrig.model.plan import Plan
from omrig.model.transport import Login
from omrig.report.terminal.progress import Progress
from omrig.supervisor import supervisor
from omrig.supervisor.interrupts import Interrupts


@pytest.fixture
def make_run(tmp_path):
    """A run of these sides that has not begun."""

    def make_run(*sides, **changed):
        transport = SimpleNamespace(login=None)
        broker = SimpleNamespace(one_process=False)
        plan = Plan(sides=sides, run_id="5a" * 16, output=str(tmp_path))
        to = SimpleNamespace(plan=plan, transport=transport, broker=broker, alone=None, needs=None)
        vars(to).update(changed)
        run = supervisor._Run(to, tmp_path, {}, Progress(None), Interrupts(), None)
        for side in sides:
            run._children[side] = SimpleNamespace(name=side, phase=None, stop=lambda: None)
        return run

    return make_run


def test_a_consumer_that_saves_is_met_by_no_producer(make_run):
    run, closed = make_run("consumer"), []
    run._host = SimpleNamespace(close=lambda: closed.append(1))
    child = run._children["consumer"]
    run._take(child, {"event": "phase", "side": "consumer", "phase": "load"})
    assert closed == []
    run._take(child, {"event": "phase", "side": "consumer", "phase": "saving"})
    assert closed == [1]


def test_that_a_killed_run_is_in_no_list_is_told_whatever_is_shown(
    make_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/none")
    run = make_run("producer", has_lasting_broker=True)
    run._to.transport.login = Login(())
    run._begin_record()
    assert f"omrig clean {tmp_path}" in capsys.readouterr().err


def test_a_load_that_moves_has_been_refused_nothing(make_run, monkeypatch):
    run, did = make_run("producer"), []
    run._asking = SimpleNamespace(
        ask=lambda: did.append("ask"),
        forget=lambda: did.append("forget"),
        refused_for=lambda _seconds: "the broker is full" if "forget" not in did else None,
    )
    run._watch_refusals(supervisor.STALLED_S - 1)
    run._watch_refusals(supervisor.STALLED_S + 1)
    assert did == ["forget", "ask"]
    assert run._because is None
    did.clear()
    run._watch_refusals(supervisor.STALLED_S + 1)
    assert run._because == "nothing gets through any more: the broker is full"


NO_ANSWER = {
    "event": "failed",
    "text": "the consumer did not answer within 30 s",
    "likely": "",
    "usage": False,
    "late": True,
    "unanswered": True,
}


@pytest.mark.parametrize(
    ("served_by", "state", "said"),
    [
        ("the consumer on h, pid 12", QueueState(1, 2000),
         ": a consumer is there (h, pid 12) and did not answer, busy with other messages or hung;"
         " 2,000 messages wait in its queue"),
        ("", QueueState(1, 0),
         ": a consumer is there and did not answer, busy with other messages or hung;"
         " 0 messages wait in its queue"),
        ("the consumer on h, pid 12", QueueState(0, 1),
         ": nobody listens on queue omrig.5a5a5a5a5a5a; 1 message waits in its queue"),
        ("", None, ""),
    ],
)  # fmt: skip
def test_of_a_consumer_that_did_not_answer_it_is_told_what_its_queue_tells(
    make_run, served_by, state, said
):
    run = make_run("producer", needs=Needs(("producer",), {}))
    run._to.plan = dataclasses.replace(run._to.plan, served_by=served_by)
    run._to.broker.check = lambda *_: None
    run._to.broker.state = lambda _queue: state
    run._take(run._children["producer"], NO_ANSWER)
    assert run._because == NO_ANSWER["text"] + said
