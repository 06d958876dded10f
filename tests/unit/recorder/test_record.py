"""``omrig record`` and ``omrig status`` as commands: options, signals, exit statuses."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omrig.cli.main import main
from omrig.recorder import folder
from tests.unit.recorder.fake_agent import FakeAgent

Start = Callable[..., FakeAgent]

_COMMAND = """
import sys, time
from types import SimpleNamespace
from omrig.cli import main, recorded

def settle(recording):
    print("settled", flush=True)
    time.sleep({takes_s})
    return SimpleNamespace(complete=True, reason=None)

recorded.settle = settle
recorded.show = lambda recording, result: print("shown", flush=True)
sys.exit(main(sys.argv[1:]))
"""


def command(arguments: list[str], takes_s: float = 0) -> subprocess.Popen[str]:
    """``omrig`` with an accounting that takes so long."""
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND.format(takes_s=takes_s), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def record(place: Path, *more: str, takes_s: float = 0) -> subprocess.Popen[str]:
    return command(["record", str(place), "--capture", "no", *more], takes_s)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_asks_for_the_end_gets_a_report(
    place: Path, start: Start, number: signal.Signals
) -> None:
    agent = start()
    with record(place) as omrig:
        assert omrig.stderr is not None
        said = [omrig.stderr.readline() for _ in range(2)]
        assert said == [
            f"omrig: conductor {agent.pid} is on\n",
            f"omrig: recording {place}/rec-1\n",
        ]
        omrig.send_signal(number)
        out, err = omrig.communicate(timeout=30)
    assert (out, err, omrig.returncode) == ("settled\nshown\n", "", 0)
    assert agent.turned == [True, False]
    assert json.loads((place / "rec-1/recording.json").read_text())["complete"] is True


def test_a_second_signal_aborts_and_says_what_there_is(place: Path, start: Start) -> None:
    start()
    with record(place, "--seconds", "0.1", takes_s=30) as omrig:
        assert omrig.stdout is not None and omrig.stdout.readline() == "settled\n"
        omrig.send_signal(signal.SIGINT)
        out, err = omrig.communicate(timeout=30)
    assert (out, err.splitlines(keepends=True)[-1], omrig.returncode) == (
        "",
        "omrig: interrupted\n",
        130,
    )


def test_a_second_signal_while_it_is_turned_off_leaves_nothing_on(
    place: Path, start: Start
) -> None:
    agent = start()
    with record(place) as omrig:
        assert omrig.stderr is not None
        assert "is on" in omrig.stderr.readline() and "recording" in omrig.stderr.readline()
        agent.is_silent = True
        omrig.send_signal(signal.SIGINT)
        while folder.read_on(place) is not None:
            pass
        omrig.send_signal(signal.SIGINT)
        _, err = omrig.communicate(timeout=30)
    assert omrig.returncode == 130
    assert err == f"omrig: aborted; what was recorded is in {place}/rec-1\n"


def test_when_all_have_ended_it_is_incomplete(place: Path, start: Start) -> None:
    agent = start(pid=2**22 - 1)
    with record(place) as omrig:
        assert omrig.stderr is not None
        assert "is on" in omrig.stderr.readline()
        agent.stop()
        out, err = omrig.communicate(timeout=30)
    assert (out, omrig.returncode) == ("settled\nshown\n", 1)
    assert "conductor 4194303 has ended" in err


def test_where_nothing_was_recorded_there_is_no_report(place: Path, start: Start) -> None:
    agent = start(pid=2**22 - 1)
    agent.refuses = "no room on the disk"
    with record(place) as omrig:
        assert omrig.stderr is not None
        assert "was not turned on" in omrig.stderr.readline()
        omrig.send_signal(signal.SIGINT)
        out, err = omrig.communicate(timeout=30)
    assert (out, omrig.returncode) == ("", 1)
    assert f"no room on the disk; {place}/rec-1 is empty" in err


def test_a_second_recorder_names_the_first(
    place: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    with record(place) as omrig:
        assert omrig.stderr is not None and "is on" in omrig.stderr.readline()
        text = refused(["record", str(place)], capsys)
        assert f"omrig: DIR: pid {omrig.pid} records rec-1 there already" in text
        omrig.send_signal(signal.SIGINT)
        omrig.communicate(timeout=30)
    assert omrig.returncode == 0


def test_quiet_says_nothing(place: Path, start: Start) -> None:
    start()
    with record(place, "--quiet", "--seconds", "0.1") as omrig:
        out, err = omrig.communicate(timeout=30)
    assert (out, err, omrig.returncode) == ("settled\nshown\n", "", 0)


def test_a_folder_in_which_nothing_lives_is_refused(
    place: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start(pid=2**22 - 1).stop()
    text = refused(["record", str(place)], capsys)
    assert text == (
        f"omrig: DIR: no process lives in {place}; start one: omrig exec --run {place} -- PROGRAM\n"
    )
    assert not (place / "rec-1").exists()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--seconds", "1", "--messages", "2"], "--seconds and --messages: one of them"),
        (["--seconds", "0"], "--seconds: 0 s are no recording"),
        (["--sample", "4"], "--sample: '4' is not of the form 1/N"),
        (["--messages", "0"], "--messages: 0 is not a whole number of 1 or more"),
        (["--capture", "yes"], "--capture: invalid choice: 'yes'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    place: Path, more: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in refused(["record", str(place), *more], capsys)


def test_status_is_printed_as_json(
    place: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = start("api")
    assert main(["status", str(place), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(place) and found["recordings"] == []
    assert [(each["name"], each["pid"]) for each in found["processes"]] == [("api", agent.pid)]


def test_status_of_what_is_none_of_ours_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "DIR: " in refused(["status", str(tmp_path / "none")], capsys)
