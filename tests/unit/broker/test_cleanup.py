"""Which records ``omrig clean`` takes up: of runs that are over, on the broker that it reaches."""

import dataclasses
import subprocess
import sys

import pytest

from omrig.broker import declared
from omrig.cli import clean
from omrig.cli.main import execute
from omrig.model.errors import UsageError
from omrig.model.plan import Plan
from omrig.model.transport import Endpoint, Login

LOGIN = Login([Endpoint("127.0.0.1", 5672, "u", "p")], "v")


@pytest.fixture
def over(tmp_path, monkeypatch):
    """The record of a run that is over."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path, _ = declared.begin(Plan(sides=("producer",), run_id="5a"), LOGIN, broker_lasts=True)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return dataclasses.replace(declared.read(path), pid=process.pid)


def another(**changes):
    endpoint = dataclasses.replace(LOGIN.endpoints[0], **changes)
    return dataclasses.replace(LOGIN, endpoints=[endpoint])


@pytest.mark.parametrize("login", [LOGIN, another(host="localhost"), another(username="other")])
def test_a_run_that_is_over_on_this_broker_is_cleaned_up(over, login):
    assert clean._passed_over(over, login, named=False) == ""


@pytest.mark.parametrize(
    "login", [another(port=5673), another(host="192.0.2.1"), dataclasses.replace(LOGIN, vhost="/")]
)
def test_of_another_broker_it_is_said_which(over, login):
    said = clean._passed_over(over, login, named=False)
    assert "127.0.0.1:5672, virtual host v" in said
    files_alone = dataclasses.replace(over, broker_lasts=False)
    assert clean._passed_over(files_alone, login, named=False) == ""


@pytest.mark.parametrize("named", [False, True])
def test_a_run_that_is_under_way_is_left_alone(over, named):
    living = declared.read(over.path)
    assert "is under way" in clean._passed_over(living, LOGIN, named)


def test_a_run_of_another_host_is_cleaned_up_only_when_its_record_is_named(over):
    there = dataclasses.replace(over, host="another")
    assert "run `omrig clean` there" in clean._passed_over(there, LOGIN, named=False)
    assert clean._passed_over(there, LOGIN, named=True) == ""


def test_without_records_no_broker_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert execute("clean", []) == 0
    assert "no run has left anything" in capsys.readouterr().out


def test_what_is_no_record_is_passed_over_unless_it_is_named(over, capsys):
    empty = over.path.with_name("empty.jsonl")
    empty.touch()
    (over.path.parent / "folder.jsonl").mkdir()
    # Of a run that ended between the listing and the reading.
    gone = over.path.with_name("gone.jsonl")
    gone.symlink_to("nowhere")
    assert execute("clean", ["--transport-url", "rabbit://192.0.2.1/"]) == 0
    out, err = capsys.readouterr()
    assert "give the transport options" in out or "is under way" in out
    assert f"passed over: {empty} is no record" in err
    assert "folder.jsonl: Is a directory; make it readable" in err
    assert "gone" not in err
    with pytest.raises(UsageError, match="is no record of what a run declared; name another file"):
        execute("clean", [str(empty), "--transport-url", "rabbit://192.0.2.1/"])
