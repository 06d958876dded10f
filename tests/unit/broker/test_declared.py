"""The record of what a run declares: written before, read after, whatever became of the run."""

import dataclasses
import os
import posix
import subprocess
import sys
from pathlib import Path

import pytest

from omrig.broker import declared
from omrig.broker.amqp import cleanup
from omrig.model.declared import Thing, note
from omrig.model.errors import RunError
from omrig.model.plan import Output, Plan
from omrig.model.transport import Endpoint, Login

LOGIN = Login([Endpoint("h", 5672, "u", "topsecret"), Endpoint("::1", 5673, "u", "topsecret")], "v")
PLAN = Plan(sides=("producer",), run_id="5a" * 16)
TAG = PLAN.tag


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def record(state):
    path, problem = declared.begin(PLAN, LOGIN, broker_lasts=True)
    assert problem is None
    return path


def test_a_record_says_where_the_run_is_and_no_password(record, state):
    assert record.is_relative_to(state)
    assert record.stat().st_mode & 0o077 == record.parent.stat().st_mode & 0o077 == 0
    assert "topsecret" not in record.read_text()
    read = declared.read(record)
    assert (read.addresses, read.vhost) == (("h:5672", "[::1]:5673"), "v")
    assert read.broker_lasts
    assert read.is_of_this_host
    assert not read.is_over
    assert list(declared.records()) == [record]


def test_a_run_is_over_when_its_process_is_another_or_none(record):
    read = declared.read(record)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert dataclasses.replace(read, pid=ended.pid).is_over
    assert dataclasses.replace(read, start_time=read.start_time - 1).is_over
    assert dataclasses.replace(read, boot_id="another").is_over
    assert dataclasses.replace(read, host="another").is_of_this_host is False


def test_a_run_whose_process_is_not_waited_for_is_over(record):
    zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    began = declared.start_time(zombie.pid)
    zombie.stdout.read()
    while declared.start_time(zombie.pid) is not None:
        pass
    over = dataclasses.replace(declared.read(record), pid=zombie.pid, start_time=began)
    assert over.is_over
    zombie.wait()


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null"])
def test_without_a_home_it_is_in_the_run_folder_and_that_is_said(monkeypatch, tmp_path, home):
    monkeypatch.setenv("XDG_STATE_HOME", home)
    plan = dataclasses.replace(PLAN, output=Output(folder=str(tmp_path)))
    path, problem = declared.begin(plan, LOGIN, broker_lasts=True)
    assert path.parent == tmp_path
    assert f"omrig clean {path}" in problem
    assert declared.read(path).run_id == plan.run_id


def test_on_a_full_home_no_empty_record_is_left_there(state, monkeypatch, tmp_path):
    monkeypatch.setattr("posix.write", write_unless(state))
    plan = dataclasses.replace(PLAN, output=Output(folder=str(tmp_path)))
    path, problem = declared.begin(plan, LOGIN, broker_lasts=True)
    assert path.parent == tmp_path
    assert "No space left" in problem
    assert list(declared.records()) == []
    monkeypatch.setattr("posix.write", write_unless(tmp_path))
    plan = dataclasses.replace(plan, output=Output(folder=str(state)))
    with pytest.raises(OSError, match="No space left"):
        declared.begin(plan, LOGIN, broker_lasts=True)
    assert [each for each in state.rglob("*") if each.is_file()] == []


def write_unless(full):
    """A ``posix.write`` that finds no room below ``full``."""
    write = posix.write

    def writing(descriptor, line):
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_relative_to(full):
            return write(descriptor, line[:1])
        return write(descriptor, line)

    return writing


@pytest.mark.parametrize(
    ("kind", "name", "is_own"),
    [
        ("queue", f"omrig.{TAG}.host.12", True),
        ("queue", f"reply_host:omrig-producer-{TAG}:1", True),
        ("queue", "reply_" + 32 * "0", True),
        ("queue", "reply_ctl1:nova-api:1", False),
        ("queue", "compute", False),
        ("exchange", f"omrig.{TAG}_fanout", True),
        ("exchange", "omrig.5b5b5b5b5b5b", False),
        ("exchange", "reply_" + 32 * "0", False),
    ],
)
def test_only_what_nobody_else_can_have_made_is_the_run_s_own(record, kind, name, is_own):
    note(str(record), kind, name, TAG)
    assert declared.read(record).things == (Thing(kind, name, is_own),)


def test_half_a_line_of_a_full_disk_hides_no_other(record):
    note(str(record), "queue", f"a.{TAG}", TAG)
    with record.open("a") as file:
        file.write('\n{"kind": "que')
    note(str(record), "queue", f"b.{TAG}", TAG)
    assert [each.name for each in declared.read(record).things] == [f"a.{TAG}", f"b.{TAG}"]


@pytest.mark.parametrize("text", [b"", b"\n{}\n", b"[1]", b"no record", b"\xff\xfe"])
def test_what_is_no_record_is_said(tmp_path, text):
    path = tmp_path / "x.jsonl"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"x\.jsonl is no record"):
        declared.read(path)


def test_nothing_is_declared_that_cannot_be_written_down(tmp_path):
    with pytest.raises(RunError, match="written down"):
        note(str(tmp_path / "none" / "x"), "queue", "q", TAG)


def test_files_are_removed_without_a_broker(tmp_path):
    counter = tmp_path / "counter"
    counter.touch()
    things = [Thing("file", str(counter), True), Thing("queue", "q", True)]
    login = dataclasses.replace(LOGIN, endpoints=())
    assert cleanup.remaining(login, things) == things[:1]
    assert cleanup.remove(login, things) == []
    assert not counter.exists()


def test_the_process_that_runs_has_a_start_time():
    assert declared.start_time(os.getpid()) > 0
    assert declared.start_time(1 << 22) is None
