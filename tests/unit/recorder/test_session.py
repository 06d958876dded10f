"""A recording from begin to end, with agents that are none of a service."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omrig.model.attached import Row
from omrig.model.errors import UsageError
from omrig.model.recorded import UNDER_WAY
from omrig.recorder import folder, session
from omrig.recorder.session import Wanted
from tests.unit.recorder import fake_agent
from tests.unit.recorder.fake_agent import FakeAgent

Start = Callable[..., FakeAgent]

DEAD_PID = 2**22 - 1


class Told:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.told: list[str] = []
        self.shown: list[Row] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def rows(self, rows: Any) -> None:
        self.shown = list(rows)

    def close(self) -> None:
        pass


@pytest.fixture
def told() -> Told:
    return Told()


def wanted(**values: Any) -> Wanted:
    return Wanted(**{"capture": False} | values)


def said_of(place: Path, name: str = "rec-1") -> dict[str, Any]:
    return json.loads((place / name / "recording.json").read_text())  # type: ignore[no-any-return]


def until(condition: Callable[[], bool], within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_all_processes_are_turned_on_and_off_again(place: Path, start: Start, told: Told) -> None:
    agents = [start("api"), start("conductor")]
    with session.recording(place, wanted(sample=4), told) as recorder:
        assert all(agent.is_on for agent in agents)
        assert said_of(place)["complete"] is False
        assert said_of(place)["reason"] == UNDER_WAY
        on = folder.read_on(place)
        assert on is not None and folder.is_recording(on)
        assert on["recording"] == "rec-1" and on["sample"] == 4
        about = recorder.end()
        assert not any(agent.is_on for agent in agents)
        assert folder.read_on(place) is None
    assert about.complete and about.reason is None
    assert about.ended_ns is not None and about.ended_ns >= about.began_ns
    assert said_of(place) == about.to_json()
    request = agents[0].questions("on")[0]
    assert request == {
        "do": "on",
        "recording": "rec-1",
        "folder": str(place / "rec-1"),
        "sample": 4,
        "limit_bytes": session.LIMIT_BYTES,
    }


def test_who_only_sends_is_turned_off_before_who_serves(
    place: Path, start: Start, told: Told
) -> None:
    server, client = start("server"), start("client")
    server.rows["consumer"] = 1
    order: list[str] = []
    for agent in (server, client):
        agent.turned_off = order.append
    with session.recording(place, wanted(), told) as recorder:
        recorder.end()
    assert order == ["client", "server"]


def test_what_it_writes_is_its_owners_alone(place: Path, start: Start, told: Told) -> None:
    start()
    before = os.umask(0o022)
    try:
        with session.recording(place, wanted(), told) as recorder:
            on = place / folder.ON
            assert on.stat().st_mode & 0o777 == 0o600
            recorder.end()
    finally:
        assert os.umask(before) == 0o022
    assert (place / "rec-1").stat().st_mode & 0o777 == 0o700
    assert (place / "rec-1" / "recording.json").stat().st_mode & 0o777 == 0o600


def test_a_process_that_begins_later_is_turned_on(place: Path, start: Start, told: Told) -> None:
    start("api")
    with session.recording(place, wanted(), told) as recorder:
        late = start("conductor")
        recorder.tick()
        assert late.is_on
        recorder.end()
    assert not late.is_on


def test_a_process_that_dies_is_noted_and_the_others_go_on(
    place: Path, start: Start, told: Told
) -> None:
    start("api")
    dying = start("conductor", pid=DEAD_PID)
    with session.recording(place, wanted(), told) as recorder:
        dying.stop()
        assert until(lambda: recorder.tick() or "ended" in " ".join(told.told))
        about = recorder.end()
    assert about.complete
    assert about.ended == {dying.folder.name: "the process ended"}
    assert told.told == [f"conductor {DEAD_PID} has ended"]


def test_a_process_that_died_just_before_the_end_is_noted(
    place: Path, start: Start, told: Told
) -> None:
    start("api")
    dying = start("conductor", pid=DEAD_PID)
    with session.recording(place, wanted(), told) as recorder:
        dying.stop()
        about = recorder.end()
    assert about.complete
    assert about.ended == {dying.folder.name: "the process ended"}


def test_when_all_have_died_it_ends(place: Path, start: Start, told: Told) -> None:
    dying = start("conductor", pid=DEAD_PID)
    with session.recording(place, wanted(), told) as recorder:
        dying.stop()
        reason = session.until_over(recorder, lambda: False)
        about = recorder.end(reason)
    assert not about.complete
    assert about.reason == "all processes have ended"


def test_processes_of_long_ago_are_none_of_the_recording(
    place: Path, start: Start, told: Told
) -> None:
    start("old", pid=DEAD_PID).stop()
    start("new")
    with session.recording(place, wanted(), told) as recorder:
        about = recorder.end()
    assert about.complete and not about.ended and not about.not_seen


def test_an_older_process_of_the_same_pid_is_gone(place: Path, start: Start, told: Told) -> None:
    start("before").stop()
    start("after")
    with session.recording(place, wanted(), told) as recorder:
        time.sleep(2.1)
        recorder.tick()
        about = recorder.end()
    assert about.complete and told.told == []


def test_one_that_refuses_makes_it_incomplete(place: Path, start: Start, told: Told) -> None:
    start("api")
    start("conductor").refuses = "no room on the disk"
    with session.recording(place, wanted(), told) as recorder:
        about = recorder.end()
    text = f"conductor {os.getpid()}: it was not turned on: no room on the disk"
    assert told.told == [text]
    assert about.reason == text and about.not_seen == (text,)


def test_one_that_breaks_is_told_once(place: Path, start: Start, told: Told) -> None:
    agent = start("api")
    with session.recording(place, wanted(messages=10), told) as recorder:
        agent.broken = "ValueError in the probe of call()"
        for _ in range(3):
            time.sleep(session.TICK_S / 2)
            recorder.tick()
        about = recorder.end()
    assert len(told.told) == 1
    assert "has turned itself off: ValueError in the probe of call()" in told.told[0]
    assert not about.complete


def test_one_that_says_nothing_does_not_hold_up_the_others(
    place: Path, start: Start, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STATUS_WITHIN_S", 0.2)
    monkeypatch.setattr(session, "_OFF_WITHIN_S", 0.2)
    stopped, other = start("api"), start("conductor")
    with session.recording(place, wanted(), told) as recorder:
        stopped.is_silent = True
        for _ in range(3):
            recorder._asked_at = 0.0
            recorder.tick()
        assert len(other.questions("status")) == 4
        assert len(stopped.questions("status")) == 2
        about = recorder.end()
    assert told.told == [f"api {os.getpid()}: its agent does not answer"]
    assert not about.complete and "it has not said that it is off" in str(about.reason)
    assert until(lambda: not stopped.is_on)


def test_it_ends_after_its_seconds(place: Path, start: Start, told: Told) -> None:
    start()
    with session.recording(place, wanted(seconds=0.7), told) as recorder:
        began = time.monotonic()
        assert session.until_over(recorder, lambda: False) == ""
        assert 0.6 < time.monotonic() - began < 2


def test_it_ends_after_its_messages(place: Path, start: Start, told: Told) -> None:
    agents = [start("api"), start("conductor")]
    for agent in agents:
        agent.a_second = 10
    with session.recording(place, wanted(messages=60), told) as recorder:
        assert session.until_over(recorder, lambda: False) == ""
        assert recorder.sent() == 60
    assert [agent.rows["producer"] for agent in agents] == [30, 30]


def test_messages_of_a_sample_are_estimated(place: Path, start: Start, told: Told) -> None:
    start().a_second = 10
    with session.recording(place, wanted(messages=60, sample=8), told) as recorder:
        assert recorder.sent() == 80
        assert recorder.is_over()


def test_it_ends_when_it_is_asked_to(place: Path, start: Start, told: Told) -> None:
    start()
    with session.recording(place, wanted(), told) as recorder:
        assert session.until_over(recorder, lambda: True) == ""
        assert recorder.end().complete


def test_rows_are_shown_with_what_was_overwritten(place: Path, start: Start, told: Told) -> None:
    agent = start()
    agent.a_second = 7
    with session.recording(place, wanted(), told) as recorder:
        fake_agent.write_table(agent.recorded() / "producer.rows", [5, 3, 4])
        recorder._asked_at = 0.0
        recorder.tick()
        lost = 2 * fake_agent.tables.capacity(fake_agent.WIDTH)
        assert told.shown == [
            Row(name="conductor", pid=os.getpid(), sent=14, served=14, overwritten=lost)
        ]


def test_without_a_connection_it_says_so_and_waits(place: Path, start: Start, told: Told) -> None:
    start("conductor").connections = 0
    with session.recording(place, wanted(), told) as recorder:
        recorder.tick()
        assert not recorder.is_alone()
    assert told.told == [
        f"no AMQP connection in PID {os.getpid()} (conductor) yet; waiting for one"
    ]


def test_nothing_recorded_is_incomplete(place: Path, told: Told) -> None:
    with session.recording(place, wanted(), told) as recorder:
        about = recorder.end()
    assert not about.complete and about.reason == session.NOTHING_RECORDED


def test_a_second_recorder_is_refused(place: Path, start: Start, told: Told) -> None:
    agent = start()
    with session.recording(place, wanted(), told) as recorder:
        expected = f"DIR: pid {os.getpid()} records rec-1 there already"
        with (
            pytest.raises(UsageError, match=expected),
            session.recording(place, wanted(), told),
        ):
            pytest.fail("two recordings at once")
        assert agent.is_on and folder.read_on(place) is not None
        recorder.end()
    with session.recording(place, wanted(), told) as recorder:
        assert recorder.folder.name == "rec-2"


def test_what_goes_wrong_in_it_leaves_nothing_on(place: Path, start: Start, told: Told) -> None:
    agent = start()
    with pytest.raises(KeyboardInterrupt), session.recording(place, wanted(), told):
        raise KeyboardInterrupt
    assert folder.read_on(place) is None
    assert until(lambda: not agent.is_on)
    assert said_of(place)["reason"] == session.ABORTED
    assert said_of(place)["complete"] is False


_RECORD = """
import sys, time
from pathlib import Path
from omrig.recorder import session
from omrig.report.terminal import recording
with session.recording(Path(sys.argv[1]), session.Wanted(capture=False), recording.Quiet()):
    print("on", flush=True)
    time.sleep(60)
"""


def test_a_recorder_that_is_killed_leaves_nothing_on(place: Path, start: Start, told: Told) -> None:
    agent = start()
    recorder = subprocess.Popen(
        [sys.executable, "-c", _RECORD, str(place)], stdout=subprocess.PIPE, text=True
    )
    with recorder:
        assert recorder.stdout is not None and recorder.stdout.readline() == "on\n"
        assert agent.is_on
        recorder.send_signal(signal.SIGKILL)
    assert until(lambda: not agent.is_on)
    left = folder.read_on(place)
    assert left is not None and not folder.is_recording(left)
    # The next one takes its place.
    with session.recording(place, wanted(), told) as next_one:
        assert next_one.folder.name == "rec-2" and agent.is_on
        assert next_one.end().complete
    assert said_of(place)["reason"] == UNDER_WAY
