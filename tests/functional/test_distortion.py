"""What profilers cost in real runs: measured unasked, stage by stage, on whatever side they are."""

import json
import pstats
import signal

import pytest

from tests.functional.conftest import result_of

BOTH = pytest.mark.parametrize("executor", ["eventlet", "threading"])


@BOTH
def test_yappi_is_measured_unasked_and_stages_are_those_without_it(run, broker, tmp_path, executor):
    status, out, err = run(
        "run", "-m", 600, "-w", 10, "--profile", "stages,yappi", "--executor", executor,
        "--transport-url", broker.url, "--output", "r", timeout=120,
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    assert result["messages"]["replied"] == result["latency"]["count"] == 600
    found = result["distortion"]["yappi"]
    assert found["pairs"] == 5
    assert found["throughput_ratio"] < 0.8
    assert found["cpu_ratio"] > 1.5
    assert found["profiled_messages_per_second"] < found["unprofiled_messages_per_second"]
    assert [stage["name"] for stage in found["stages"]] == [
        stage["name"] for stage in result["stages"]
    ]
    (decode,) = [stage for stage in found["stages"] if stage["name"] == "decode"]
    assert decode["mean_ratio"] > 1.2
    assert found["ranking_changed"] in (True, False)
    assert "--twin" in result["distortion"]["stages"]["reason"]
    sliced = result["slices"]
    assert sliced["unprofiled_messages"] == result["closure"]["messages"] == 200
    assert {stage["count"] for stage in result["stages"]} == {result["closure"]["matched"]} == {200}
    shown = " ".join(out.split())
    assert found["text"] in shown
    assert "stages, books and verdict are of the 200 sent without" in shown
    for side, name in (("producer", "call"), ("consumer", "_process_incoming")):
        stats = pstats.Stats(str(tmp_path / "r" / side / "yappi.pstat")).stats
        (calls,) = [
            calls
            for (file, _, function), (_, calls, *_) in stats.items()
            if function == name and "oslo_messaging/rpc" in file and calls >= 400
        ]
        # Those of the slices with it, and what the sides say to each other in between.
        assert 400 <= calls <= 460


def test_too_few_messages_say_how_many_would_do(run, broker):
    status, out, err = run(
        "run", "-m", 100, "-w", 10, "--profile", "yappi", "--transport-url", broker.url, "--json"
    )
    assert status == 0, err
    result = json.loads(out)
    reason = result["distortion"]["yappi"]["reason"]
    assert "-m 440 or more would do" in reason
    # The stages are there, and are those of the profiled run.
    assert result["slices"]["disturbance"]["reason"] == reason
    assert {stage["count"] for stage in result["stages"]} == {100}


@BOTH
def test_the_probes_of_casts_are_in_and_out_with_nothing_under_way(run, broker, executor):
    status, out, err = run(
        "run", "-m", 840, "-w", 10, "--pattern", "cast", "--twin", "--executor", executor,
        "--transport-url", broker.url, "--json",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    assert result["messages"]["received"] == 840
    found, sliced = result["distortion"]["stages"], result["slices"]
    assert 0.2 < found["throughput_ratio"] < 2
    assert found["pairs"] == 10
    stamped = result["closure"]["matched"]
    assert stamped == result["closure"]["messages"] == sliced["profiled_messages"]


def test_each_side_has_its_mode_and_both_together_a_verdict(start, run, broker, tmp_path):
    where = ("--transport-url", broker.url, "--quiet")
    consumer = start("-c", 100_000, "--profile=lines", "--target=impl_rabbit", *where, "--output=C")
    status, _, err = run("-p", "-m", 480, "-w", 5, "--profile=yappi", *where, "--output=P")
    assert status == 0, err
    consumer.send_signal(signal.SIGINT)
    _, err = consumer.communicate(timeout=60)
    assert consumer.returncode == 130, err
    status, out, err = run("report", "P", "C", "--json")
    assert status == 0, err
    merged = json.loads(out)
    verdict, sliced = merged["verdict"], merged["slices"]
    assert verdict["owner"] != "unknown" and "objection" not in verdict
    assert sliced["modes"] == {"producer": ["yappi"], "consumer": ["lines"]}
    assert "disturbance" not in sliced and "profiled" not in verdict["evidence_kinds"]
    messages = {stage["count"] for stage in merged["stages"]}
    assert messages == {sliced["unprofiled_messages"]} == {merged["closure"]["matched"]}
    assert {stage["side"] for stage in merged["stages"]} == {"producer", "wire", "consumer"}
    assert {side: set(found) for side, found in merged["profiles"].items()} == {
        "producer": {"yappi"}, "consumer": {"lines"},
    }  # fmt: skip


def test_a_consumer_s_mode_is_measured_with_a_producer_that_has_none(start, run, broker, tmp_path):
    consumer = start(
        "-c", 480, "--profile", "stages,yappi", "--transport-url", broker.url, "--output", "C"
    )
    status, _, err = run(
        "-p", 480, "-w", 5, "--profile", "stages", "--transport-url", broker.url, "--output", "P"
    )
    assert status == 0, err
    _, err = consumer.communicate(timeout=60)
    assert consumer.returncode == 0, err
    merged = json.loads(run("report", "--json", "P", "C")[1])
    sides = {name: result_of(tmp_path / name) for name in "PC"}
    for result in (merged, *sides.values()):
        found = result["distortion"]["yappi"]
        assert found["throughput_ratio"] < 0.9
        assert found["text"].startswith("yappi on the consumer")
        assert found["stages"]
        assert result["closure"]["messages"] == result["slices"]["unprofiled_messages"]
    assert "seen by the consumer alone" in sides["C"]["distortion"]["yappi"]["method"]
