"""trace.json: what viewers of trace events are given."""

import itertools
import json
from collections import defaultdict

import numpy
import pytest

from omrig.report.files import trace
from tools import synthetic_values

MS = 1_000_000

CALL = {
    "publish": 2 * MS,
    "amqp_request": 3 * MS,
    "receive_lag": 0,
    "endpoint": 5 * MS,
    "amqp_reply": 3 * MS,
    "wakeup": 1 * MS,
}
CAST = {"publish": MS, "amqp_request": 2 * MS, "endpoint": 4 * MS, "confirm_wait": 3 * MS}
ALONE = {"publish": MS, "remote": 5 * MS, "wakeup": MS}


def _columns(stages, begins):
    """Messages that begin at these times (in ms) and whose stages all last as long."""
    count = len(begins)
    start = 10**15 + numpy.array(begins, numpy.int64) * MS
    length = sum(stages.values())
    columns = {"start_ns": start, "end_ns": start + length, "seq": numpy.arange(count)}
    return columns | {f"stage.{n}": numpy.full(count, v) for n, v in stages.items()}


def _events(stages, begins, pattern="call"):
    return list(trace.trace(_columns(stages, begins), pattern))


def _slices(events, category=None):
    return [e for e in events if e["ph"] == "X" and category in (None, e["cat"])]


def test_the_stages_of_a_message_follow_each_other_on_their_sides():
    events = _events(CALL, [0])
    stages = [e for e in _slices(events) if e["cat"] != "message"]
    placed = {e["name"]: (e["pid"], e["ts"], e["dur"]) for e in stages}
    assert placed == {
        "publish": (1, 0, 2000),
        "amqp_request": (2, 2000, 3000),
        "endpoint": (3, 5000, 5000),
        "amqp_reply": (2, 10000, 3000),
        "wakeup": (1, 13000, 1000),
    }
    sides = [(e["pid"], e["ts"], e["dur"]) for e in _slices(events, "message")]
    assert sides == [(1, 0, 14000), (3, 5000, 5000)]
    assert all(e["args"] == {"seq": 0} for e in _slices(events))


def test_arrows_lead_from_the_request_to_the_endpoint_to_the_reply():
    arrows = [e for e in _events(CALL, [0, 100]) if e["ph"] in "stf" and e["id"] == 1]
    assert [(e["ph"], e["pid"], e["ts"]) for e in arrows] == [
        ("s", 1, 102_000),
        ("f", 1, 113_000),
        ("t", 3, 105_000),
    ]
    assert arrows[1]["bp"] == "e"


def test_each_arrow_end_is_inside_a_slice_of_its_message():
    events = _events(CALL, [0, 3, 4, 30])
    for arrow in (e for e in events if e["ph"] in "stf"):
        around = [
            e
            for e in _slices(events, "message")
            if (e["pid"], e["tid"]) == (arrow["pid"], arrow["tid"])
            and e["ts"] <= arrow["ts"] <= e["ts"] + e["dur"]
        ]
        assert arrow["id"] in [e["args"]["seq"] for e in around]


def test_a_cast_ends_twice():
    events = _events(CAST, [0], "cast")
    placed = {e["name"]: e["ts"] for e in _slices(events) if e["cat"] != "message"}
    assert placed["confirm_wait"] == placed["amqp_request"] == 1000
    assert [e["ph"] for e in events if e["ph"] in "stf"] == ["s", "f"]


def test_a_producer_alone_has_no_arrows():
    events = _events(ALONE, [0])
    assert not [e for e in events if e["ph"] in "stf"]
    assert {e["args"]["name"] for e in events if e["name"] == "process_name"} == {
        "producer",
        "AMQP: network and broker",
    }


def test_no_two_messages_share_a_lane_at_a_time():
    generator = numpy.random.default_rng(1)
    begins = numpy.sort(generator.integers(0, 200, 300)).tolist()
    columns = _columns(CALL, begins)
    columns["stage.amqp_request"] = generator.integers(0, 30 * MS, 300)
    lanes = defaultdict(list)
    for e in _slices(list(trace.trace(columns, "call"))):
        if e["cat"] == "message" or e["pid"] == 2:
            lanes[e["pid"], e["tid"]].append((round(e["ts"] * 1000), round(e["dur"] * 1000)))
    assert len(lanes) > 10
    for taken in lanes.values():
        taken.sort()
        assert all(a + d <= b for (a, d), (b, _) in itertools.pairwise(taken))


def test_of_many_messages_the_slow_ones_and_some_of_the_rest_are_shown():
    latency = numpy.arange(50_000)[::-1].copy()
    chosen = trace.choose(latency)
    assert len(chosen) == trace.MESSAGES
    assert (numpy.diff(chosen) > 0).all()
    assert set(range(500)) <= set(chosen.tolist())
    assert chosen[-1] == 49_999
    assert trace.choose(latency[:30]).tolist() == list(range(30))
    assert len(trace.choose(numpy.ones(1_000_000))) == trace.MESSAGES


def _run_folder(folder, columns):
    """A run folder whose producer has these columns; without any it left nothing."""
    (folder / "run.json").write_text(json.dumps(synthetic_values.run().to_json()))
    if columns:
        (folder / "producer").mkdir()
        (folder / "producer/side.json").write_text(json.dumps({"side": "producer"}))
        with (folder / "producer/messages.npz").open("wb") as file:
            numpy.savez(file, **columns)


def test_the_file_is_what_viewers_read(tmp_path):
    _run_folder(tmp_path, _columns(CALL, [0, 5]))
    written = json.loads(trace.write(tmp_path, synthetic_values.run()).read_text())
    assert set(written) == {"traceEvents", "displayTimeUnit", "otherData"}
    for event in written["traceEvents"]:
        assert {"ph", "name", "pid", "tid", "ts"} <= set(event)
        assert event["ts"] >= 0 and event.get("dur", 0) >= 0


@pytest.mark.parametrize("names", [(), ("start_ns", "end_ns")])
def test_without_timelines_there_is_no_trace(tmp_path, names):
    _run_folder(tmp_path, {name: numpy.ones(2) for name in names})
    assert trace.write(tmp_path, synthetic_values.run()) is None
    assert not (tmp_path / trace.TRACE).exists()
