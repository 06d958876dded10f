"""Open loops, loads that end with their time, and ramps through a broker, as a user runs them."""

import json
import os
import signal
import time
from pathlib import Path

import numpy
import psutil
import pytest

from tests.functional.conftest import result_of

QUIET = ("--profile", "none", "-s", 1, "--warmup", 20)


def _messages(folder):
    with numpy.load(folder / "producer" / "messages.npz") as file:
        return {name: file[name].astype(numpy.int64) for name in file.files}


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_messages_are_sent_at_the_rate(run, broker, tmp_path, executor, arrivals):
    status, out, err = run(
        "run", "--rate", 50, "--arrivals", arrivals, "--duration", 3, "-w", 20, *QUIET,
        "--executor", executor, "--output", "r", "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    pacing, counts = result["pacing"], result["messages"]
    assert pacing["scheduled"] == counts["requested"] == 150
    assert counts["sent"] + pacing["dropped"] == 150
    assert counts["sent"] == counts["received"] == counts["replied"]
    assert counts["lost"] == 0
    assert pacing["sent_per_second"] == pytest.approx(50, rel=0.01)
    assert result["service_time"]["count"] == result["latency"]["count"] == counts["sent"]
    assert result["latency"]["mean"] >= result["service_time"]["mean"]
    assert result["little"] is None
    assert "in an open loop" in out
    found = _messages(tmp_path / "r")
    sent = found["start_ns"] > 0
    assert (found["start_ns"] - found["intended_ns"])[sent].min() >= 0


def _consumer_of(process):
    for _ in range(200):
        for child in psutil.Process(process.pid).children(recursive=True):
            line = child.cmdline()
            if "omrig.measured.process" in line and "consumer" in line:
                return child.pid
        time.sleep(0.05)
    raise AssertionError("no consumer was started")


def test_a_server_that_stands_still_is_seen_by_all_that_were_due_meanwhile(start, broker, tmp_path):
    process = start(
        "run", "--rate", 100, "--duration", 6, "-w", 2, *QUIET, "--executor", "threading",
        "--output", "r", "--transport-url", broker.url,
    )  # fmt: skip
    consumer = _consumer_of(process)
    for line in process.stderr:
        if "producer: load" in line:
            break
    time.sleep(2)
    os.kill(consumer, signal.SIGSTOP)
    try:
        time.sleep(1)
    finally:
        os.kill(consumer, signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = _messages(tmp_path / "r")
    ended = found["end_ns"] > 0
    latency = (found["end_ns"] - found["intended_ns"])[ended]
    service = (found["end_ns"] - found["start_ns"])[ended]
    # Two workers had one message each under way: a closed loop would have seen no more.
    assert (service > 5e8).sum() <= 2 + 1
    assert (latency > 5e8).sum() >= 40
    result = result_of(tmp_path / "r")
    assert result["latency"]["p99"] > 3 * result["service_time"]["p90"]
    assert result["pacing"]["late"] >= 40


def test_what_is_beyond_all_workers_is_dropped_and_said(run, broker, tmp_path):
    status, out, err = run(
        "run", "--rate", 20000, "--duration", 1, "-w", 2, *QUIET,
        "--output", "r", "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    pacing = result["pacing"]
    assert pacing["fell_behind"]
    assert pacing["dropped"] == 20000 - result["messages"]["sent"] > 0
    assert result["messages"]["received"] == result["messages"]["sent"]
    assert pacing["limited_by"]["text"] in " ".join(out.split())


@pytest.mark.parametrize("pattern", ["call", "cast"])
def test_a_closed_loop_ends_with_its_time(run, broker, tmp_path, pattern):
    began = time.monotonic()
    status, _, err = run(
        "run", "--duration", 2, "-w", 4, *QUIET, "--pattern", pattern,
        "--output", "r", "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    # The consumer is told, and does not wait for more.
    assert time.monotonic() - began < 30
    result = result_of(tmp_path / "r")
    assert result["messages"]["sent"] == result["messages"]["received"] > 0
    assert result["messages"]["requested"] is None
    assert "pacing" not in result


def test_a_ramp_has_a_row_a_rate_and_a_chart(run, broker, tmp_path):
    status, out, err = run(
        "run", "--ramp", "20:60:3", "--duration", 3, "-w", 10, *QUIET,
        "--output", "r", "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    rows = result_of(tmp_path / "r")["ramp"]["rows"]
    assert [row["asked_per_second"] for row in rows] == [20, 40, 60]
    assert [row["scheduled"] for row in rows] == [20, 40, 60]
    assert "knee" in out
    assert 'id="figure-rate"' in Path(tmp_path / "r" / "report.html").read_text()


def test_the_highest_rate_is_found_with_what_broke_beyond_it(run, broker, tmp_path):
    status, out, err = run(
        "run", "--find-rate", "p50<10s", "--rate", 1500, "--duration", 1, "-w", 1, *QUIET,
        "--output", "f", "--transport-url", broker.url, "--json", timeout=400,
    )  # fmt: skip
    assert status == 0, err
    found = json.loads(out)
    assert found == json.loads((tmp_path / "f" / "find-rate.json").read_text())
    assert 0 < found["rate"] < found["broken_rate"] <= found["rate"] * 1.06
    assert found["broke"].startswith("sent ")
    assert len(list((tmp_path / "f").glob("*/run.json"))) == len(found["trials"])


def test_a_search_without_a_limit_is_refused_in_one_line(run):
    for gate, wanted in (
        ("p99", "is no gate"),
        ("p99<5%", "nothing to be a percentage of"),
        ("throughput>=3", "must not be exceeded"),
    ):
        status, _, err = run("run", "--find-rate", gate)
        assert status == 2
        assert wanted in err
        assert len(err.strip().splitlines()) == 1
