"""What the process that watches a run does about what it hears."""

from types import SimpleNamespace

import pytest

from omrig import supervisor
from omrig.broker.connection import Login
from omrig.interrupts import Interrupts
from omrig.plan import Plan
from omrig.report.progress import Progress


@pytest.fixture
def make_run(tmp_path):
    """A run of these sides that has not begun."""

    def make_run(*sides, **changed):
        transport = SimpleNamespace(in_memory=False, speaks_amqp=True, login=None)
        plan = Plan(sides=sides, run_id="5a" * 16, output=str(tmp_path))
        to = SimpleNamespace(plan=plan, transport=transport, alone=None, needs=None)
        vars(to).update(changed)
        run = supervisor._Run(to, tmp_path, Progress(None), Interrupts(), None)
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
