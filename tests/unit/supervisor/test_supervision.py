"""What the process that watches a run does about what it hears."""

import contextlib
import json
from types import SimpleNamespace

import pytest

from omrig.broker.base import Needs, QueueState
from omrig.cli.run import _refuse
from omrig.model import events
from omrig.model.errors import Losses, UsageError
from omrig.model.plan import Output, Plan
from omrig.model.result import Counts
from omrig.model.run import BrokerNode, BrokerProcess
from omrig.model.transport import Login
from omrig.report.terminal.progress import Progress
from omrig.supervisor import cleaning
from omrig.supervisor import run as supervisor
from omrig.supervisor.ending import STALLED_S
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.recorded import Recorded
from tools import synthetic_values


@pytest.fixture
def make_run(tmp_path):
    """A run of these sides that has not begun."""

    def make_run(*sides, **changed):
        transport = SimpleNamespace(login=None, redacted="rabbit://h:5672/")
        broker = SimpleNamespace(one_process=False)
        plan = Plan(sides=sides, run_id="5a" * 16, output=Output(folder=str(tmp_path)))
        to = SimpleNamespace(
            plan=plan,
            transport=transport,
            broker=broker,
            alone=None,
            peer=None,
            needs=None,
            timeout_s=60.0,
            nodes=None,
            leader="",
        )
        vars(to).update(changed)
        recorded = Recorded(tmp_path, Losses(tmp_path))
        run = supervisor.Supervision(
            to, recorded, synthetic_values.run(), Progress(None), Interrupts()
        )
        for side in sides:
            run._children[side] = SimpleNamespace(
                name=side, sides=(side,), phase=None, running=True, saved=False, stop=lambda: None
            )
        return run

    return make_run


def test_a_consumer_that_saves_is_met_by_no_producer(make_run):
    run, closed = make_run("consumer"), []
    run._host = SimpleNamespace(close=lambda: closed.append(1))
    child = run._children["consumer"]
    run.take(child, events.Phase("consumer", "load"))
    assert closed == []
    run.take(child, events.Phase("consumer", "saving"))
    assert closed == [1]


def test_that_a_killed_run_is_in_no_list_is_told_whatever_is_shown(
    make_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/none")
    run = make_run("producer", has_lasting_broker=True)
    run._to.transport.login = Login(())
    cleaning.record(run._to, Progress(None))
    assert f"omrig clean {tmp_path}" in capsys.readouterr().err


def test_a_load_that_moves_has_been_refused_nothing(make_run):
    run, did = make_run("producer"), []
    run._broker._asking = SimpleNamespace(
        ask=lambda: did.append("ask"),
        forget=lambda: did.append("forget"),
        refused_for=lambda _seconds: "the broker is full" if "forget" not in did else None,
    )
    run._ending._watch_refusals(STALLED_S - 1)
    run._ending._watch_refusals(STALLED_S + 1)
    assert did == ["forget", "ask"]
    assert run._ending.because is None
    did.clear()
    run._ending._watch_refusals(STALLED_S + 1)
    assert run._ending.because == "nothing gets through any more: the broker is full"


NO_ANSWER = events.Failed(
    text="the consumer did not answer within 30 s", late=True, unanswered=True
)


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
    run._to.plan = run._to.plan.with_transport(served_by=served_by)
    run._to.broker.check = lambda *_: None
    run._to.broker.state = lambda _queue: state
    run.take(run._children["producer"], NO_ANSWER)
    assert run._ending.because == NO_ANSWER.text + said


@pytest.mark.parametrize("begun", [False, True])
def test_what_an_interrupt_left_is_told_as_it_is(tmp_path, monkeypatch, begun):
    plan = Plan(sides=("producer",), run_id="r", output=Output(folder=str(tmp_path / "r")))

    def interrupted(*_):
        if begun:
            (tmp_path / "r" / "run.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor.destination, "opened", interrupted)
    monkeypatch.setattr(supervisor.reports, "make", lambda *_: None)
    if begun:
        assert supervisor.run(plan, None, Interrupts()).ended is None
        return
    with pytest.raises(KeyboardInterrupt, match="before the load; nothing measured"):
        supervisor.run(plan, None, Interrupts())
    assert not (tmp_path / "r").exists()


def test_what_became_of_the_sides_is_in_run_json(make_run, tmp_path):
    run = make_run("producer", "consumer")
    for child in run._children.values():
        child.began, child.members, child.failure = child.name == "consumer", (child.name,), None
        child.stamps = ""
    run._children["consumer"].stamps = "c"
    run.take(run._children["consumer"], events.Failed(text="--target: no such", usage=True))
    run._note_end()
    ended = json.loads((tmp_path / "run.json").read_text())
    assert ended["bad_usage"] is True
    assert ended["ended_because"] == "--target: no such"
    assert ended["began"] == ["consumer"]
    assert ended["stamps"] == {"producer": "", "consumer": "c"}


def test_a_line_that_is_no_event_is_no_silence(make_run):
    run = make_run("producer")
    run._said.put((run._children["producer"], '{"event": "laoded"}\n'))
    run._hear()
    assert "is no event of a measured process" in run._ending.because


@pytest.mark.parametrize("bad_usage", [True, False])
@pytest.mark.parametrize("sent", [None, 0, 10])
def test_bad_usage_is_the_end_where_nothing_was_measured(tmp_path, bad_usage, sent):
    ended = synthetic_values.run(bad_usage=bad_usage, ended_because="--target: no such thing")
    recorded = Recorded(tmp_path, Losses(tmp_path), ended)
    result = SimpleNamespace(messages=Counts(sent=sent))
    expected = pytest.raises(UsageError, match="no such thing")
    with expected if bad_usage and not sent else contextlib.nullcontext():
        _refuse(recorded, result)
    _refuse(Recorded(tmp_path, Losses(tmp_path)), result)


def test_a_node_of_the_broker_that_ended_is_in_run_json(make_run):
    nodes = tuple(
        BrokerNode(address=f"h:{pid}", process=BrokerProcess(pid=pid or None)) for pid in (1, 2, 0)
    )
    run = make_run("producer", nodes=nodes)
    run._sampler = SimpleNamespace(ended_ns=lambda: {2: 77, 9: 1})
    assert [each.ended_ns for each in run._nodes()] == [None, 77, None]
