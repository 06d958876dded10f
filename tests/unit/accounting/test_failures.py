"""What a run was told, and what its failures count as."""

import dataclasses
import json
import time

import numpy
import pytest

from omrig.accounting import latency, littles_law, prefetch
from omrig.accounting.result import of_sides
from omrig.measured.executors import base
from omrig.measured.load import producer
from omrig.measured.load.side import Stop
from omrig.measured.measurement import Measurement
from omrig.model.load import Load
from omrig.model.plan import Plan
from omrig.model.result import Counts
from omrig.recordings import messages, recording
from omrig.recordings.messages import Messages
from omrig.report import text
from tests.unit.accounting import stamped

PREFETCH = "[oslo_messaging_rabbit] rabbit_qos_prefetch_count"


@pytest.mark.parametrize(
    ("run", "count"),
    [
        ({}, 0),
        ({"options": {PREFETCH: 5}}, 5),
        ({"options": {}, "driver_options": {"rabbit_qos_prefetch_count": 7}}, 7),
        ({"options": {PREFETCH: 5}, "driver_options": {"rabbit_qos_prefetch_count": 0}}, 0),
        ({"options": {PREFETCH: 5}, "driver_options": {"ssl": False}}, 5),
        ({"options": {PREFETCH: -1}}, 0),
    ],
)
def test_the_prefetch_that_was_set(run, count):
    assert prefetch.limit(stamped.run(**run)) == count


@pytest.mark.parametrize(
    ("plan", "more", "seconds"),
    [
        ({"timeout_s": 2.5}, {"options": {"rpc_response_timeout": 9}}, 2.5),
        ({"timeout_s": None}, {"options": {"rpc_response_timeout": 9}}, 9),
        ({"timeout_s": None}, {"driver_options": {"rpc_response_timeout": 7}}, 7),
        ({}, {}, 60),
    ],
)
def test_the_timeout_of_a_call(plan, more, seconds):
    assert stamped.run(plan, **more).timeout_ns == seconds * 1_000_000_000


def test_failures_count_as_what_they_took():
    values, nothing = numpy.arange(1, 91), numpy.zeros(0, int)
    found = latency.with_failures(values, numpy.full(10, 1000))
    assert (found.count, found.p50, found.p90, found.p99) == (100, 50, 90, 1000)
    assert latency.with_failures(values, nothing) is None
    assert latency.with_failures(nothing, numpy.full(3, 1000)).mean == 1000


TOOK_S = 0.02
FAILING = {3: RuntimeError("refused"), 7: RuntimeError("refused")}


def _recorded(folder):
    """Ten messages of a producer, two of which fail after a while; read back."""

    def send(seq):
        if seq in FAILING:
            time.sleep(TOOK_S)
            raise FAILING[seq]

    plan = Plan(sides=("producer",), run_id="r", load=Load(messages=10, workers=1))
    sender = producer.Producer(plan, base.load("threading"), pytest.fail, Stop(), None)
    sender._workers.load(0, 10, send, pytest.fail)
    (folder / "producer").mkdir()
    sender.save(folder / "producer", Measurement([]))
    run = stamped.run_json(plan.public(), sides=["producer"])
    (folder / "run.json").write_text(json.dumps(run))
    return recording.load(folder)["producer"]


def test_when_a_message_failed_is_recorded(tmp_path):
    side = _recorded(tmp_path)
    number, _ = side.messages.failed
    assert number.tolist() == list(FAILING)
    assert (side.messages.end_ns == 0).nonzero()[0].tolist() == list(FAILING)
    took = latency.of_failed(side)
    assert (took >= TOOK_S * 1e9).all() and (took < 10e9).all()
    assert littles_law._failed_ns(side) == took.sum()
    given_up = latency.given_up_ns(side) - side.messages.start_ns
    assert given_up[[3, 7]].tolist() == took.tolist()
    assert (numpy.delete(given_up, [3, 7]) == 60e9).all()


def _told(side):
    """The latencies of a result with failures, and what is said of them."""
    found = of_sides(side.run, {"producer": side}).result
    found = dataclasses.replace(found, messages=Counts(errors={"RuntimeError": 2}))
    return found, text.with_failures(side.run, found)


def test_failures_that_came_at_once_are_no_timeouts(tmp_path):
    side = _recorded(tmp_path)
    found, said = _told(side)
    assert found.latency_with_failures.count == 10
    assert found.latency_with_failures.max == latency.of_failed(side).max() < 10e9
    assert found.latency_of_failures.count == 2
    assert said == "with the 2 that failed, as long as they took until then"


def test_failures_of_a_run_that_did_not_record_when_are_timeouts(tmp_path):
    side = _recorded(tmp_path)
    columns = {name: side.messages.columns[name] for name in ("start_ns", "end_ns")}
    found, said = _told(dataclasses.replace(side, messages=Messages(columns)))
    assert found.latency_with_failures.max == 60e9
    assert found.latency_of_failures is None
    assert "as at least 60.0 s each" in said


def test_when_a_message_failed_stays_where_stages_are_added(tmp_path):
    side = _recorded(tmp_path)
    stages = {"api": numpy.ones(8, numpy.int64)}
    messages.save(side.folder, side.messages.with_stages(numpy.arange(8), stages))
    again = recording.load(tmp_path)["producer"]
    assert latency.of_failed(again).tolist() == latency.of_failed(side).tolist()
    assert again.messages.stage("api").tolist() == [1] * 8
    # Stages that are accounted again replace those of before.
    fewer = again.messages.with_stages(numpy.arange(8), {"publish": numpy.ones(8, numpy.int64)})
    assert fewer.stage_names() == ["publish"]
