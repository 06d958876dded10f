"""Patterns of a mix and classes of sizes: rows that fit, and verdicts that are told once."""

from pathlib import Path

import pytest

from omrig.model.result import Counts, Part, Throughput
from omrig.report import parts
from omrig.report.terminal import run as terminal
from tools import synthetic_values

DURATIONS = {"api": 1, "amqp_request": 2, "receive_lag": 3, "endpoint": 4}


def part(stage="receive_lag", owner="process", total=1.0, count=400, **changes):
    verdict = {
        "owner": owner, "bucket": "scheduler", "stage": stage, "share": 0.7,
        "text": f"70 % is {owner} in {stage}", "head": "70 %", "evidence": [], "evidence_kinds": [],
    }  # fmt: skip
    durations = {name: total * each for name, each in DURATIONS.items()}
    found = synthetic_values.measured(durations, "cast", verdict=verdict)
    latency = synthetic_values.changed(found.latency, count=count)
    return Part(
        messages=Counts(sent=count, received=count, lost=0, errors={"MessagingTimeout": 2}),
        throughput=Throughput(messages_per_second=12.5, duration_seconds=10.0),
        latency=latency,
        stages=found.stages,
        closure=found.closure,
        waterfall=found.waterfall,
        verdict=found.verdict,
        **changes,
    )


def mix(**patterns):
    made = synthetic_values.result(pattern="mix", patterns=patterns)
    weights = dict.fromkeys(patterns, 1)
    return synthetic_values.run(plan={"pattern": "mix", "mix": weights}), made


def test_patterns_whose_time_goes_the_same_way_are_told_once():
    _, result = mix(call=part(total=1.0), cast=part(total=5.0), fanout=part("api", "driver"))
    told = [(each.patterns, each.verdict.stage) for each in parts.verdicts(result)]
    assert told == [("cast, and call alike", "receive_lag"), ("fanout", "api")]


def test_a_p99_wants_a_hundred_messages():
    few, many = parts.rows({"call": part(count=99), "cast": part(count=100)})
    assert few.values["p99"] == "-"
    assert many.values["p99"] != "-"
    assert few.values["p50"] != "-"


@pytest.mark.parametrize("width", [60, 72, 80, 100, 160])
def test_every_pattern_has_a_row_that_fits(width):
    run, result = mix(call=part(), cast=part("api", "driver"))
    shown = terminal.text(Path("run"), run, result, width)
    # Paths and commands are whole whatever the width.
    lines = shown.partition("\nresults")[0].splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.split()[:1] in (["call"], ["cast"]) and "12.5" in line]
    assert len(rows) == 2
    assert all("ms" in row for row in rows)


def test_both_verdicts_are_on_the_terminal_and_no_percentile_of_both():
    run, result = mix(call=part(), cast=part("api", "driver"))
    shown = terminal.text(Path("run"), run, result, 120)
    assert "call: 70 % is process in receive_lag" in shown
    assert "cast: 70 % is driver in api" in shown
    assert "call() to its reply; cast: cast() to the publisher confirm" in shown
    (head,) = [line for line in shown.splitlines() if line.startswith("mix over")]
    assert "p50" not in head
    assert "mix call=1, cast=1" in shown


def test_classes_of_sizes_are_called_by_their_bounds():
    sizes = {"1024-2047": part(least_bytes=1024, most_bytes=2047)}
    (row,) = parts.rows(sizes)
    assert row.name == "1.00 KiB to 2.00 KiB"
    run, result = mix(call=part(sizes=sizes), cast=part())
    shown = terminal.text(Path("run"), run, result, 120)
    assert "call by size of payload" in shown
    assert "1.00 KiB to 2.00 KiB" in shown
    assert [name for name, _ in parts.of_sizes(result)] == ["call"]
