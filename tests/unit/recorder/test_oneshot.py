"""A program that is recorded from before its first message until it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omrig.model.errors import UsageError
from omrig.recorder import folder, oneshot, session
from omrig.recorder.session import Wanted
from omrig.report.terminal.recording import Quiet

_PROGRAM = """
import os, sys, time
from pathlib import Path
from tests.unit.recorder.fake_agent import FakeAgent
agent = FakeAgent(Path(sys.argv[1]))
until = time.monotonic() + 5
while not agent.is_on and time.monotonic() < until:
    time.sleep(0.01)
agent.rows["producer"] = 5
print("on" if agent.is_on else "off", flush=True)
{then}
"""

_RECORDER = """
import os, sys
from pathlib import Path
from omrig.recorder import oneshot
from omrig.recorder.session import Wanted
from omrig.report.terminal.recording import Quiet
program = [sys.executable, "-c", sys.argv[2], sys.argv[1]]
ended = oneshot.run(
    sys.executable, program, Path(sys.argv[1]), dict(os.environ), Wanted(capture=False), Quiet()
)
print(ended.about.complete, ended.about.reason, flush=True)
sys.exit(ended.status)
"""


def run(place: Path, command: list[str]) -> oneshot.Ended:
    wanted = Wanted(capture=False)
    return oneshot.run(command[0], command, place, dict(os.environ), wanted, Quiet())


def started(place: Path, then: str) -> subprocess.Popen[str]:
    program = _PROGRAM.format(then=then)
    return subprocess.Popen(
        [sys.executable, "-c", _RECORDER, str(place), program], stdout=subprocess.PIPE, text=True
    )


def test_it_is_on_from_the_beginning_and_its_status_is_the_programs(place: Path) -> None:
    ended = run(place, [sys.executable, "-c", _PROGRAM.format(then="sys.exit(7)"), str(place)])
    assert ended.status == 7
    assert ended.about is not None and ended.about.complete
    assert list(ended.about.ended.values()) == ["the process ended"]
    assert folder.read_on(place) is None


def test_on_is_there_before_the_program(place: Path) -> None:
    ended = run(place, [sys.executable, "-c", "import sys; open(sys.argv[1])", str(place / "on")])
    assert ended.status == 0
    assert ended.about is not None and ended.about.reason == session.NOTHING_RECORDED


def test_the_program_has_the_masks_that_it_would_have_without_us(
    place: Path, tmp_path: Path
) -> None:
    program = (
        "import os, pathlib, signal, sys;"
        "told = (oct(os.umask(0)), len(signal.pthread_sigmask(signal.SIG_BLOCK, ())));"
        "pathlib.Path(sys.argv[1]).write_text(str(told))"
    )
    before = os.umask(0o027)
    try:
        run(place, [sys.executable, "-c", program, str(tmp_path / "told")])
    finally:
        os.umask(before)
    assert (tmp_path / "told").read_text() == "('0o27', 0)"
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_signal_is_passed_on(place: Path) -> None:
    then = "import signal; signal.signal(15, lambda *_: sys.exit(9)); print('ready', flush=True)"
    with started(place, f"{then}\ntime.sleep(60)") as recorder:
        assert recorder.stdout is not None
        assert [recorder.stdout.readline() for _ in range(2)] == ["on\n", "ready\n"]
        recorder.send_signal(signal.SIGTERM)
        assert recorder.stdout.read() == "True None\n"
    assert recorder.returncode == 9


def test_a_program_that_a_signal_ends_is_told_as_a_shell_does(place: Path) -> None:
    with started(place, "time.sleep(60)") as recorder:
        assert recorder.stdout is not None and recorder.stdout.readline() == "on\n"
        recorder.send_signal(signal.SIGINT)
        recorder.stdout.read()
    assert recorder.returncode == 130
    with started(place, "os.kill(os.getpid(), 9)") as recorder:
        assert recorder.wait(30) == 137


def test_a_program_that_cannot_be_started_is_refused(place: Path) -> None:
    with pytest.raises(UsageError, match="none/program: No such file or directory"):
        run(place, [str(place / "none/program")])
    assert folder.read_on(place) is None


def test_it_goes_on_where_the_recording_fails(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()

    def fail(_recorder: session.Recorder) -> None:
        if time.monotonic() - began > 0.3:
            raise OSError(28, "No space left on device", str(place))

    monkeypatch.setattr(session.Recorder, "tick", fail)
    ended = run(place, [sys.executable, "-c", "import time; time.sleep(1.5); raise SystemExit(3)"])
    assert ended.status == 3
    assert "not recorded to its end:" in capsys.readouterr().err
