"""From recordings to result.json."""

import array
import json

import numpy
import pytest

from omrig.accounting import statistics
from omrig.cli import results
from omrig.model.errors import Losses, UsageError
from omrig.model.result import Counts
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.report import text
from tests.unit.accounting import stamped

SECOND = 1_000_000_000


def make_run(tmp_path, sides, pattern="call", messages=3, ended_because=None):
    folder = run_folder.create(str(tmp_path / "run"), sides)
    plan = {"messages": messages, "pattern": pattern}
    run = stamped.run_json(plan, sides=list(sides), ended_because=ended_because)
    writer.write_json(folder / "run.json", run)
    return folder


def producer(folder, starts_ends, sent=None, errors=None):
    started, ended = (array.array("Q", column) for column in zip(*starts_ends, strict=True))
    about = {
        "sent": len(starts_ends) if sent is None else sent,
        "done": len(starts_ends),
        "errors": errors or {},
        "usage": None,
        "producer_id": "p1",
        "boot_id": "b1",
        "slices": [],
    }
    writer.save_recording(folder / "producer", about, {"start_ns": started, "end_ns": ended})


def consumer(folder, stamps, duplicated=0, others=(), foreign=0):
    about = {
        "received": sum(stamp > 0 for stamp in [*stamps, *others]),
        "duplicated": duplicated,
        "out_of_range": foreign,
        "foreign": foreign,
        "usage": None,
        "producers": {"p1": {}},
        "boot_id": "b1",
    }
    columns = {"received_ns.p1": stamps} | ({"received_ns.p2": others} if others else {})
    writer.save_recording(
        folder / "consumer", about, {name: array.array("Q", each) for name, each in columns.items()}
    )


def test_both_sides_of_a_call(tmp_path):
    folder = make_run(tmp_path, ("producer", "consumer"))
    producer(folder, [(1, SECOND + 1), (SECOND, 2 * SECOND + 1), (SECOND, 4 * SECOND + 1)])
    consumer(folder, [1, 2, 3])
    result = results.account(folder, Losses(folder)).to_json()
    assert result["complete"] and result["reason"] is None
    assert result["messages"] == {
        "requested": 3,
        "sent": 3,
        "received": 3,
        "replied": 3,
        "lost": 0,
        "duplicated": 0,
        "out_of_range": 0,
        "foreign": 0,
        "of_other_producers": 0,
        "errors": {},
    }
    assert result["throughput"]["messages_per_second"] == 0.75
    assert result["throughput"]["bytes_per_second"] == 750
    assert result["throughput"]["series"] == [
        {"t_seconds": 0, "messages": 0},
        {"t_seconds": 1, "messages": 1},
        {"t_seconds": 2, "messages": 1},
        {"t_seconds": 3, "messages": 0},
        {"t_seconds": 4, "messages": 1},
    ]
    assert result["latency"]["max"] == 3 * SECOND + 1
    assert json.loads((folder / "result.json").read_text()) == result


def test_a_cast_ends_where_it_is_received(tmp_path):
    folder = make_run(tmp_path, ("producer", "consumer"), pattern="cast", messages=2)
    producer(folder, [(1, 10), (10, 20)])
    consumer(folder, [SECOND, 4 * SECOND + 1])
    result = results.account(folder, Losses(folder)).to_json()
    assert result["throughput"]["duration_seconds"] == 4
    assert result["throughput"]["messages_per_second"] == 0.5
    assert result["messages"]["replied"] is None


def test_a_consumer_alone_does_not_count_the_message_that_starts_the_clock(tmp_path):
    folder = make_run(tmp_path, ("consumer",))
    consumer(folder, [1, SECOND + 1, 2 * SECOND + 1])
    result = results.account(folder, Losses(folder)).to_json()
    assert result["throughput"]["messages_per_second"] == 1
    assert result["latency"] is None
    assert result["messages"]["sent"] is None


@pytest.mark.parametrize(
    ("sent", "errors", "received", "said"),
    [
        (2, {}, 2, "1 of 3 messages were not sent"),
        (3, {"MessagingTimeout": 1}, 3, "1 of 3 messages failed: MessagingTimeout 1"),
        (3, {}, 2, "1 messages were lost"),
    ],
)
def test_what_is_missing_is_said(tmp_path, sent, errors, received, said):
    folder = make_run(tmp_path, ("producer", "consumer"))
    producer(folder, [(1, 2)] * 2, sent=sent, errors=errors)
    consumer(folder, list(range(1, received + 1)))
    result = results.account(folder, Losses(folder)).to_json()
    assert not result["complete"]
    assert said in result["reason"]
    assert not json.loads((folder / "run.json").read_text())["complete"]


def test_messages_of_other_producers_are_counted_apart_and_make_up_for_none(tmp_path):
    folder = make_run(tmp_path, ("producer", "consumer"))
    producer(folder, [(1, 2)] * 3)
    consumer(folder, [1, 2, 0], others=[3, 4, 5], foreign=7)
    result = results.account(folder, Losses(folder)).to_json()
    messages = result["messages"]
    assert (messages["received"], messages["lost"]) == (2, 1)
    assert (messages["of_other_producers"], messages["foreign"]) == (3, 7)
    assert result["reason"] == "1 messages were lost"
    assert text.apart(Counts.from_json(messages)) == (
        "3 of the consumer's other producers, 7 of producers that the consumer does not know"
    )


def test_a_run_that_met_nobody_says_that_alone(tmp_path):
    folder = make_run(tmp_path, ("producer",), ended_because="no consumer answered")
    result = results.account(folder, Losses(folder)).to_json()
    assert result["reason"] == "no consumer answered"
    assert text.apart(Counts.from_json(result["messages"])) == ""


def test_a_side_that_left_nothing_makes_the_run_incomplete(tmp_path):
    folder = make_run(tmp_path, ("producer", "consumer"), ended_because="the broker died")
    consumer(folder, [1])
    result = results.account(folder, Losses(folder)).to_json()
    assert "the broker died" in result["reason"]
    assert "the producer left no results" in result["reason"]
    assert result["sides"] == ["consumer"]


def test_percentiles_are_measured_values():
    values = numpy.array([10, 20, 30, 40])
    assert statistics.percentile(values, 50) == 20
    assert statistics.percentile(values, 99) == 40


def test_a_folder_with_a_run_is_not_written_again(tmp_path):
    make_run(tmp_path, ("producer",))
    with pytest.raises(UsageError, match="already holds a run"):
        run_folder.create(str(tmp_path / "run"), ("producer",))


def test_a_newer_schema_is_not_read(tmp_path):
    folder = make_run(tmp_path, ("producer",))
    run = json.loads((folder / "run.json").read_text())
    writer.write_json(folder / "run.json", {**run, "schema": 2})
    with pytest.raises(UsageError, match="upgrade"):
        run_folder.read_run(str(folder))
