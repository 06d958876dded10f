"""What the endpoint is told to do is what is measured of it, and nothing else is."""

import json

import numpy
import pytest

from omrig.cli import scenarios
from omrig.model.stamps import PRODUCER_COLUMNS

CLOSE = 0.95
"""Of all messages these add up at least: one interrupted between two clocks' readings does not."""


def assert_books_close(closure, count):
    """Each of ``count`` messages was seen whole, nothing is negative, and nearly all add up."""
    assert closure["messages"] == closure["matched"] == count
    assert closure["negative_stages"] == 0
    assert closure["within_tolerance"] >= CLOSE * count


def median(rows, *names):
    """The sum of the medians of these stages, in ms."""
    return sum(row["p50_ns"] for row in rows if row["name"] in names) / 1e6


def shortest(folder):
    """The shortest endpoint of a run, in ms."""
    with numpy.load(folder / "producer/messages.npz") as messages:
        return messages["stage.endpoint"].min() / 1e6


@pytest.fixture
def measured(run, broker, tmp_path):
    """Run omrig with these arguments against the broker: its result."""

    def measured(name, *arguments):
        status, out, err = run(
            "run", "--transport-url", broker.url, "--output", name, "--json", "--quiet", *arguments,
            timeout=120,
        )  # fmt: skip
        assert status == 0, err
        return json.loads(out)

    return measured


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_a_stage_grows_by_what_was_asked_and_errors_are_answers(measured, tmp_path, executor):
    load = ("-m", 200, "-w", 1, "-s", 1, "--executor", executor)
    plain = measured("plain", *load)
    told = measured(
        "told", *load, "--endpoint", "cpu:4ms,sleep:15ms", "--endpoint", "error:1.5%,reply:300KB"
    )
    grown = median(told["stages"], "endpoint") - median(plain["stages"], "endpoint")
    assert grown >= 19
    # A sleep ends late, and the processor is not ours alone: whoever was held up least tells.
    assert shortest(tmp_path / "told") - shortest(tmp_path / "plain") == pytest.approx(19, rel=0.05)
    names = ("reply_serialize", "reply_deserialize", "reply_publish")
    assert median(told["stages"], *names) > median(plain["stages"], *names) + 0.5
    messages = told["messages"]
    assert messages["errors_raised"] == messages["errors_replied"] == {"InjectedError": 3}
    assert messages["errors"] == {}
    assert messages["lost"] == 0
    assert messages["replied"] == told["latency"]["count"] == 200
    assert_books_close(told["closure"], 200)
    assert "errors_raised" not in plain["messages"]


def test_casts_err_where_nobody_hears_of_it(measured, tmp_path):
    told = measured("r", "-m", 300, "-w", 5, "--pattern", "cast", "--endpoint", "error:10%")
    assert told["messages"]["errors_raised"] == {"InjectedError": 30}
    assert "errors_replied" not in told["messages"]
    assert told["messages"]["received"] == 300
    assert "ERROR" not in (tmp_path / "r/consumer/log.txt").read_text()


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_nested_calls_have_stages_of_their_own(measured, run, executor):
    told = measured(
        "r", "-m", 150, "-w", 4, "--executor", executor, "--endpoint", "call:2,sleep:2ms"
    )
    nested = told["nested"]
    assert nested["messages"]["sent"] == nested["messages"]["received"] == 300
    assert nested["messages"]["replied"] == nested["latency"]["count"] == 300
    assert nested["messages"]["lost"] == 0
    assert_books_close(told["closure"], 150)
    assert_books_close(nested["closure"], 300)
    endpoint = next(row for row in told["stages"] if row["name"] == "endpoint")
    assert nested["calls_ns"] + nested["own_ns"] == endpoint["mean_ns"]
    assert nested["calls_ns"] == pytest.approx(2 * nested["latency"]["mean"], rel=0.01)
    assert nested["own_ns"] >= 2e6
    status, out, _ = run("report", "r")
    assert status == 0
    assert "nested calls" in out
    assert "in nested calls and" in out


def test_several_members_count_and_add_up_alike(measured):
    told = measured(
        "r", "-m", 250, "-w", 3, "--producers", 2, "--consumers", 2,
        "--endpoint", "call:1,error:4%",
    )  # fmt: skip
    assert told["messages"]["errors_raised"] == {"InjectedError": 10}
    assert told["messages"]["errors_replied"] == {"InjectedError": 10}
    nested = told["nested"]
    assert told["messages"]["replied"] == nested["messages"]["replied"] == 250
    assert_books_close(told["closure"], 250)
    assert_books_close(nested["closure"], 250)


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_services_begin_all_at_once_each_with_connections_of_its_own(
    measured, executor, channel, tmp_path
):
    told = measured("r", "--scenario", "restart-storm", "--services", 8, "-m", 16, "-w", 8,
        "--executor", executor)  # fmt: skip
    assert told["messages"]["replied"] == told["closure"]["matched"] == 16
    beginning = told["beginning"]
    assert (beginning["services"], beginning["first"]) == (16, 16)
    # The reply queue's connection is made before the pool is asked for another one.
    assert told["closure"]["negative_stages"] == 0
    assert 0 < beginning["p50_ns"] <= beginning["max_ns"] < 60e9
    # Whoever sent first waited for the slowest of them no longer than all took.
    assert beginning["served_ns"] == pytest.approx(told["latency"]["max"], rel=0.5)
    stamps = numpy.load(tmp_path / "r/producer-1/stamps.npz")["producer"]
    connections = stamps[:, PRODUCER_COLUMNS.index("connection")]
    assert len(set(connections.tolist())) == 8


@pytest.mark.parametrize("name", sorted(set(scenarios.titles()) - {"restart-storm"}))
def test_each_other_scenario_runs(measured, name):
    few = ("-m", 60, "-w", 3, "--warmup", 6)
    told = measured("r", "--scenario", name, *few)
    assert told["complete"]
    assert told["messages"]["sent"] == 60
    assert told["messages"]["lost"] == 0
