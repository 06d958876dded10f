"""The stages of real messages through a real RabbitMQ: the books close, and the sides agree."""

import json

import pytest

from omrig.model.stages import BY_NAME, STAGES
from tests.functional.conftest import result_of

MESSAGES = 300

CLOSE = 0.97
"""Part of the messages that has to add up: a process may lose its core between the load's reading
of the clock and the probe's, and on a busy machine one message in a hundred does."""


def _both_sides(run, broker, *arguments):
    status, out, err = run(
        "run", "-m", MESSAGES, "-w", 10, "--transport-url", broker.url, "--json", *arguments
    )
    assert status == 0, err
    return json.loads(out)


def _model(executor):
    """The stages of a call; only native threads can lose the interpreter to each other."""
    return [
        stage.name
        for stage in STAGES
        if not stage.mixed
        and stage.name != "batch_wait"
        and (executor == "threading" or not stage.name.endswith("_stall"))
    ]


def _names(result):
    return [stage["name"] for stage in result["stages"]]


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("pattern", ["call", "cast", "fanout", "notify"])
def test_the_books_close(run, broker, executor, pattern):
    result = _both_sides(run, broker, "--executor", executor, "--pattern", pattern)
    closure = result["closure"]
    assert closure["messages"] == closure["matched"] == MESSAGES
    assert closure["within_tolerance"] >= CLOSE * MESSAGES
    assert closure["negative_stages"] == closure["flagged_arrivals"] == 0
    assert closure["unexplained_share"] <= 0.005
    assert result["not_measured"] == []
    assert sum(stage["share"] for stage in result["stages"]) == pytest.approx(1)
    assert sum(result["buckets"].values()) == pytest.approx(1)
    assert result["clock"] == {"same_host": True, "offset_ns": 0, "error_ns": 0}


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_a_call_has_all_stages_and_a_verdict(run, broker, executor):
    result = _both_sides(run, broker, "--executor", executor)
    assert _names(result) == _model(executor)
    assert [each["arrival_clock"] for each in result["instrument"].values()] == ["capture"] * 2
    whole = sum(result["waterfall"]["mean"].values())
    assert whole == pytest.approx(result["latency"]["mean"], rel=0.01)
    assert result["verdict"]["owner"] in ("amqp", "driver", "process", "endpoint", "mixed")
    assert result["verdict"]["stage"] in _names(result)
    for stage in ("serialize", "publish", "amqp_request", "decode", "endpoint", "amqp_reply"):
        assert result["waterfall"]["mean"][stage] > 0


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_without_the_right_to_capture_a_watcher_does(start, broker, executor):
    command = ["run", "-m", MESSAGES, "-w", 10, "--transport-url", broker.url, "--json"]
    # As for a user who is not root, who has none of these either.
    lacking = ["setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw"]
    process = start(*command, "--executor", executor, before=lacking)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert [each["arrival_clock"] for each in result["instrument"].values()] == ["watcher"] * 2
    assert result["closure"]["matched"] == MESSAGES
    assert result["closure"]["negative_stages"] == result["closure"]["flagged_arrivals"] == 0
    assert result["closure"]["unexplained_share"] <= 0.005
    assert _names(result) == _model(executor)


def test_the_report_shows_it(run, broker):
    status, out, err = run(
        "run", "-m", MESSAGES, "-w", 10, "--transport-url", broker.url, "--output", "r"
    )
    assert status == 0, err
    for words in ("a mean message, ", "a p99 message, ", "executor_queue", "buckets  ", "books "):
        assert words in out
    assert f"{MESSAGES} of {MESSAGES} messages matched" in out
    assert run("report", "r")[1] == out


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_a_sample_is_the_same_on_both_sides(run, broker, tmp_path, executor):
    import numpy

    result = _both_sides(
        run, broker, "-m", 800, "--sample", "1/4", "--executor", executor, "--output", "r"
    )
    closure = result["closure"]
    assert 120 < closure["messages"] < 290
    with numpy.load(tmp_path / "r/producer/stamps.npz") as stamps:
        assert len(stamps["producer"]) == closure["messages"] == closure["matched"]
    assert all(stage["count"] == closure["matched"] for stage in result["stages"])
    assert result["messages"]["replied"] == result["latency"]["count"] == 800


@pytest.fixture
def sides(start, run, broker, tmp_path):
    """The run folders of a producer and a consumer that were two commands."""

    def sides(*arguments):
        consumer = start("-c", MESSAGES, "--transport-url", broker.url, "--output", "C", *arguments)
        status, _, err = run(
            "-p", MESSAGES, "-w", 10, "--transport-url", broker.url, "--output", "P", *arguments
        )
        assert status == 0, err
        _, err = consumer.communicate(timeout=30)
        assert consumer.returncode == 0, err
        return result_of(tmp_path / "P"), result_of(tmp_path / "C")

    return sides


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_two_commands_are_reported_together(sides, run, executor):
    sides("--executor", executor)
    status, out, err = run("report", "P", "C")
    assert status == 0, err
    for stage in STAGES:
        assert (f" {stage.name} " in out) == (stage.name in _model(executor))
    assert f"{MESSAGES} of {MESSAGES} messages matched" in out
    merged = json.loads(run("report", "--json", "C", "P")[1])
    assert merged["sides"] == ["producer", "consumer"]
    assert merged["closure"]["matched"] == MESSAGES
    assert merged["closure"]["unexplained_share"] <= 0.005
    assert _names(merged) == _model(executor)


def test_one_side_alone_says_what_it_cannot_tell(sides, run):
    producer, consumer = sides()
    assert "remote" in _names(producer)
    assert not {"amqp_request", "endpoint"} & set(_names(producer))
    assert producer["closure"]["matched"] is None
    assert producer["closure"]["unexplained_share"] <= 0.005
    assert {BY_NAME[name].side for name in _names(consumer)} == {"consumer"}
    for folder in ("P", "C"):
        status, out, err = run("report", folder)
        assert status == 0, err
        assert "omrig report P C" in " ".join(out.split())
    assert " remote " in run("report", "P")[1]


def test_a_cast_s_two_commands_are_reported_together(sides, run):
    sides("--pattern", "cast")
    merged = json.loads(run("report", "--json", "P", "C")[1])
    assert merged["closure"]["matched"] == MESSAGES
    assert "amqp_request" in _names(merged)


def test_sides_of_different_runs_are_not_merged(sides, run):
    sides()
    status, _, err = run("report", "P", "P")
    assert status == 2
    assert "is given twice" in err
    status, _, err = run("report", "P", "nowhere")
    assert status == 2
    assert "nowhere holds no run" in err


def test_a_run_without_stages_says_why(run, broker):
    status, out, err = run(
        "run", "-m", 20, "--profile", "none", "--transport-url", broker.url, "--output", "r"
    )
    assert status == 0, err
    assert "no stages: --profile none leaves them out" in out


def test_a_consumer_s_stages_are_reported_with_a_producer_that_has_none(start, run, broker):
    consumer = start("-c", MESSAGES, "--transport-url", broker.url, "--output", "C")
    url = ("--transport-url", broker.url)
    status, _, err = run("-p", MESSAGES, "-w", 10, *url, "--output", "P", "--profile", "none")
    assert status == 0, err
    consumer.communicate(timeout=30)
    status, out, err = run("report", "P", "C")
    assert status == 0, err
    assert "receive_lag" in out
