"""What is shown while a run goes on."""

import io
import sys

from rich.console import Console

from omrig.report.terminal import progress


def shown(made):
    """The live screen as text, 100 columns wide."""
    file = io.StringIO()
    Console(file=file, width=100).print(made.draw())
    return file.getvalue()


def told(made):
    made.phase("producer", "load")
    made.counts("producer", {"sent": 60, "done": 50, "errors": 2})
    made.latencies([1_000_000] * 98 + [40_000_000] * 2)
    made.processors({"producer": 0.98, "broker": 0.41})
    made.owners({"driver": 0.3, "amqp": 0.6, "process": 0.1})


def test_the_screen_has_all_of_it():
    live = progress.Live(200)
    try:
        told(live)
        text = shown(live)
    finally:
        live.close()
    assert "producer: load" in text
    assert "50/200 messages" in text
    assert "2 errors" in text
    assert "p50 1.00 ms" in text
    assert "p99 40.1 ms" in text
    assert "broker 41 %   producer 98 %" in text
    # The largest first, in 40 characters.
    assert "last 10 seconds" in text
    assert "AMQP 60 %   driver 30 %   own process 10 %" in text
    assert "█" * 40 in text
    assert "█" * 41 not in text


def test_the_rate_and_the_time_left_are_of_the_last_seconds(monkeypatch):
    made = progress.Progress(1000)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for done in (0, 100, 300):
        made.counts("producer", {"done": done, "errors": 0})
        now[0] += 1.0
    assert made.rate() == 150
    assert made.state()[-1] == "5 s left"


def test_what_is_said_takes_the_place_of_the_figures():
    live = progress.Live(200)
    try:
        told(live)
        live.say("making the reports of the profilers")
        text = shown(live)
    finally:
        live.close()
    assert "making the reports" in text
    assert "messages" not in text


def test_without_a_terminal_it_is_one_line(capsys):
    lines = progress.Lines(200)
    told(lines)
    assert lines.line() == (
        "50/200 messages, 0 msg/s, 2 errors, p50 1.00 ms, p90 1.00 ms, p99 40.1 ms;"
        " time: AMQP 60 %, driver 30 %, own process 10 %;"
        " CPU: broker 41 %, producer 98 %"
    )
    assert "50/200 messages" in capsys.readouterr().err


def test_a_consumer_alone_has_no_latency():
    lines = progress.Lines(None)
    lines.counts("consumer", {"received": 7})
    assert lines.line() == "7 messages, 0 msg/s, 0 errors"


def test_quiet_shows_nothing(capsys):
    made = progress.make(10, quiet=True, debug=False)
    told(made)
    assert not made.is_seen
    assert capsys.readouterr() == ("", "")


def test_the_screen_is_for_terminals(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(progress.make(10, quiet=False, debug=False), progress.Lines)
