"""What is said of the processes and recordings of a folder."""

import io
import os
from collections.abc import Callable
from pathlib import Path

from omrig.model.attached import GONE, UNCONNECTED, AttachedProcess, State, Status
from omrig.recorder import session, status
from omrig.recorder.session import Wanted
from omrig.report.terminal import attached
from omrig.report.terminal.recording import Quiet
from tests.unit.recorder.fake_agent import FakeAgent

Start = Callable[..., FakeAgent]


def shown(found: Status) -> str:
    paper = io.StringIO()
    attached.show(found, paper, 120)
    return paper.getvalue()


def test_processes_say_how_they_are(place: Path, start: Start) -> None:
    start("api").a_second = 3
    start("conductor").connections = 0
    start("gone", pid=2**22 - 1).stop()
    found = status.of(place)
    assert [(each.name, each.note) for each in found.processes] == [
        ("api", ""),
        ("conductor", UNCONNECTED),
        ("gone", GONE),
    ]
    state = found.processes[0].state
    assert state is not None and state.rows == {"producer": 3, "consumer": 3} and not state.on
    assert Status.from_json(found.to_json()) == found
    assert "gone: gone 4194303" in shown(found)


def test_asking_turns_nothing_off(place: Path, start: Start) -> None:
    agent = start()
    with session.recording(place, Wanted(capture=False), Quiet()) as recorder:
        found = status.of(place)
        assert agent.is_on
        assert found.recorder == os.getpid()
        assert [each.state for each in found.recordings] == ["under way"]
        assert "on: rec-1" in shown(found)
        recorder.end()
    found = status.of(place)
    assert found.recorder is None
    assert [each.state for each in found.recordings] == ["complete"]
    assert not found.recordings[0].has_result


def test_a_recording_without_an_end_says_why(place: Path) -> None:
    with session.recording(place, Wanted(capture=False), Quiet()):
        pass
    (place / "rec-2").mkdir()
    found = status.of(place)
    assert found.recordings[0].state == f"incomplete: {session.ABORTED}"
    assert found.recordings[1].state.startswith("recording.json: ")


def test_what_is_wrong_in_a_process_is_shown() -> None:
    state = State(
        broken="ValueError", failures=("a failure",), missing=("x.f",), others=("opentelemetry",)
    )
    text = shown(Status(folder="/d", processes=(AttachedProcess(name="api", pid=7, state=state),)))
    assert "api 7: the instrument has turned itself off: ValueError" in text
    assert "api 7: a failure" in text
    assert "api 7: not there: x.f" in text
    assert "api 7: also wrapped by opentelemetry" in text


def test_an_empty_folder_says_so(place: Path) -> None:
    assert "no process lives" in shown(status.of(place))
