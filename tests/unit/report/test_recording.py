"""How far a recording is, on a terminal and without one."""

import io
import re
import sys

import pytest
from rich.console import Console

from omrig.model.attached import Row
from omrig.report.terminal import recording
from omrig.report.terminal.recording import Lines, Live, Quiet


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(live: Live) -> list[str]:
    paper = io.StringIO()
    Console(file=paper, width=100).print(live.draw())
    return [re.sub(" +", " ", line).strip() for line in paper.getvalue().splitlines()]


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> tuple[Live, Terminal]:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    made = recording.make("/run/services", quiet=False)
    assert isinstance(made, Live)
    return made, terminal


def test_it_suits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(recording.make("d", quiet=True)) is Quiet
    assert type(recording.make("d", quiet=False)) is Lines
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(recording.make("d", quiet=True)) is Quiet
    assert type(recording.make("d", quiet=False, debug=True)) is Lines


def test_rows_have_counts_and_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    live, _ = on_terminal(monkeypatch)
    try:
        now = 100.0
        monkeypatch.setattr(recording.time, "monotonic", lambda: now)
        live.rows([Row(name="api", pid=7, sent=1000, served=10)])
        now = 102.0
        live.rows(
            [
                Row(
                    name="api", pid=7, sent=3000, served=10, overwritten=5, note="the process ended"
                ),
                Row(name="conductor", pid=8, sent=40, served=2000),
            ]
        )
        title, heading, *rows = drawn(live)
    finally:
        live.close()
    assert title.startswith("/run/services") and title.endswith("Ctrl-C ends it")
    assert heading == "process sent /s served /s overwritten"
    assert rows == [
        "api 7 3,000 1,000 10 0 5 the process ended",
        # Of what has only just been seen nobody knows the rate.
        "conductor 8 40 0 2,000 0 0",
    ]


def test_what_is_told_stays_and_what_is_said_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live, terminal = on_terminal(monkeypatch)
    live.say("api 7 is on")
    live.tell("conductor 8 has ended")
    live.close()
    assert "omrig: conductor 8 has ended" in terminal.getvalue()
    assert "api 7 is on" not in terminal.getvalue()


def test_without_a_terminal_steps_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.say("api 7 is on")
    lines.rows([Row(name="api", pid=7)])
    lines.close()
    Quiet().say("nothing")
    Quiet().tell("api 7 has ended")
    assert capsys.readouterr().err == "omrig: api 7 is on\nomrig: api 7 has ended\n"
