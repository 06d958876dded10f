"""The calls that endpoints made: recorded by their consumer, accounted and shown by themselves."""

import array
import json

import pytest

from omrig.accounting import nested
from omrig.model.result import Nested, Result, StageRow
from omrig.model.run import Run
from omrig.recordings import nested as recorded
from omrig.recordings import recording, writer
from omrig.report import nested as words
from tests.unit.model.test_run_json import about as run_json


def column(*values):
    return array.array("Q", values)


@pytest.fixture
def consumer(tmp_path):
    """A consumer that received four messages, for each of which its endpoint made a call."""
    folder = tmp_path / "consumer"
    folder.mkdir()
    writer.write_json(tmp_path / "run.json", run_json())
    calls = {"producer_id": "in", "sent": 4, "done": 3, "errors": {"Late": 1}, "received": 4}
    writer.save_recording(
        folder,
        {"side": "consumer", "received": 4, "nested": calls},
        {"received_ns.out": column(1, 2, 3, 4)},
    )
    writer.save_nested(
        folder,
        {
            "start_ns": column(100, 200, 300, 400),
            "end_ns": column(1100, 2200, 0, 3400),
            "failed_seq": column(2),
            "failed_ns": column(9300),
        },
    )
    return recording.load(tmp_path)["consumer"]


def test_they_are_the_sides_of_a_run_of_their_own(consumer):
    sides = recorded.sides(consumer)
    assert list(sides) == ["producer", "consumer"]
    assert sides["producer"].about.sent == 4
    assert sides["producer"].messages.end_ns.tolist() == [1100, 2200, 0, 3400]
    assert sides["consumer"].about.received == 4


def test_a_consumer_without_has_none(consumer, tmp_path):
    writer.write_json(consumer.folder / "side.json", {"side": "consumer", "received": 4})
    assert recorded.sides(recording.load(tmp_path)["consumer"]) is None


ENDPOINT = StageRow(
    name="endpoint", side="consumer", bucket="endpoint", count=4, mean_ns=5000, p50_ns=5000,
    p90_ns=5000, p99_ns=5000, max_ns=5000, total_ns=20_000, share=1.0,
)  # fmt: skip


def test_the_endpoint_is_split_in_its_own_and_the_calls(consumer):
    found = nested.account(recorded.sides(consumer), {}, 4, ENDPOINT)
    assert (found.messages.sent, found.messages.received, found.messages.replied) == (4, 4, 3)
    assert found.messages.errors == {"Late": 1}
    assert found.latency.count == 3
    assert (found.calls_ns, found.own_ns) == (1500, 3500)
    assert found.stages is found.closure is None
    assert nested.account(recorded.sides(consumer), {}, 4, None).own_ns is None


def test_it_is_said_in_words_and_kept(consumer):
    found = nested.account(recorded.sides(consumer), {}, 4, ENDPOINT)
    result = Result.from_json(
        {
            "schema": 1, "complete": True, "pattern": "call", "executor": "threading",
            "sides": ["producer", "consumer"], "is_measurement": True, "messages": {},
            "stages": [ENDPOINT.to_json()], "nested": found.to_json(),
        }
    )  # fmt: skip
    assert result.nested == found
    assert json.loads(json.dumps(result.to_json()))["nested"]["calls_ns"] == 1500
    told = dict(words.lines(result))
    assert told["calls"].startswith(
        "4 sent, 4 received, 3 replied, 0 lost, 1 failed with Late, p50"
    )
    assert told["endpoint"] == (
        "5.00 µs of a mean message, of which 1.50 µs in nested calls and 3.50 µs its own"
    )


def test_nothing_is_said_where_there_were_none():
    plain = Result(
        complete=True, pattern="call", executor="threading", sides=(), is_measurement=True,
        messages=Nested.from_json({"messages": {}}).messages,
    )  # fmt: skip
    assert words.lines(plain) == []
    assert "nested" not in plain.to_json()


def test_a_run_knows_what_its_endpoint_was_told():
    told = run_json()
    told["plan"] |= {"endpoint": ["cpu:1ms"], "scenario": "nova-boot"}
    assert Run.from_json(told).plan.endpoint == ("cpu:1ms",)
    assert json.dumps(Run.from_json(told).to_json()["plan"]).count("nova-boot") == 1
