"""What members wrote down is read back in one place."""

import array
from pathlib import Path

import numpy
import pytest

from omrig.model.run import Member
from omrig.recordings import messages, recording, slices, stamping, writer
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from omrig.recordings.stamping import Blocking, StampCost, Stamping
from tests.unit.accounting import stamped


def test_a_member_is_read_as_it_was_written(tmp_path):
    (tmp_path / "consumer").mkdir()
    about = {
        "boot_id": "b",
        "received": 2,
        "producers": {"p": {}},
        "usage": None,
        "pid": 7,
        "new": 1,
    }
    columns = {
        "received_ns.p": array.array("Q", [30, 0, 10]),
        "received_ns.q": array.array("Q", [20]),
    }
    writer.save_recording(tmp_path / "consumer", about, columns)
    writer.write_json(tmp_path / "run.json", stamped.run_json())
    (side,) = recording.load(tmp_path).values()
    assert side.about == About(boot_id="b", pid=7, received=2, producers={"p": {}})
    assert side.member == Member(name="consumer", side="consumer", host="", boot_id="b", pid=7)
    assert side.messages.received_of("p").tolist() == [30, 0, 10]
    assert side.messages.received_of("nobody") is None
    assert side.messages.received().tolist() == [10, 20, 30]
    assert side.messages.span_ns() == (10, 30)
    assert side.stamping is None
    assert side.stamps() is None


def test_a_side_that_wrote_nothing_is_left_out(tmp_path):
    writer.write_json(tmp_path / "run.json", stamped.run_json())
    assert recording.load(tmp_path) == {}
    assert messages.read(tmp_path / "producer") is None
    with messages.opened(tmp_path / "producer") as found:
        assert found is None


def test_columns_are_read_one_at_a_time(tmp_path):
    sent = Messages({"start_ns": numpy.array([5, 6]), "end_ns": numpy.array([9, 0])})
    messages.save(tmp_path, sent.with_stages(numpy.array([0]), {"api": numpy.array([4])}))
    with messages.opened(tmp_path) as found:
        assert found.stage_names() == ["api"]
        assert found.stage("api").tolist() == [4]
        assert found.seq().tolist() == [0]
        assert found.ended().tolist() == [9]
        assert found.failed is None
        assert found.received().tolist() == []


def test_the_instrument_tells_what_a_stamp_cost_and_how_many_were_made(tmp_path):
    cost = {"made": 38, "hot_ns": 117.3, "cold_ns": 429.6}
    writer.write_json(tmp_path / "stages.json", {"realtime_offsets": [[1, 2]], "cost": cost})
    assert stamping.read(tmp_path).cost == StampCost(made=38, hot_ns=117.3, cold_ns=429.6)


def test_stamps_have_the_width_of_their_side(tmp_path):
    about = {"realtime_offsets": [[1, 2]], "blocked": [], "columns": {"producer": ["id"]}}
    width = len(stamped.producer(id=[1]).columns)
    rows = {"producer": array.array("Q", range(2 * width)), "consumer": array.array("Q")}
    name = writer.save_stamps(tmp_path, about, rows)
    with numpy.load(tmp_path / name) as file:
        assert file["producer"].shape == (2, width)
        assert len(file["consumer"]) == 0
    found = stamping.read(tmp_path)
    assert found.columns == {"producer": ("id",)}
    assert found.cost is None
    assert stamping.read(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("notices", "blocked"),
    [
        ([], []),
        ([(10, "low on memory"), (30, "")], [Blocking(10, 30, "low on memory")]),
        # Told again meanwhile, and still blocked at the end.
        ([(10, "a"), (20, "b")], [Blocking(10, 99, "a")]),
        ([(5, ""), (10, "a"), (30, ""), (40, "b")], [Blocking(10, 30, "a"), Blocking(40, 99, "b")]),
    ],
)
def test_a_blocking_lasts_until_the_broker_takes_messages_again(notices, blocked):
    assert Stamping(realtime_offsets=[(0, 0), (99, 0)], notices=notices).blocked() == blocked


def test_messages_are_in_the_slice_that_began_last():
    assert slices.place([0, 10, 20], numpy.array([0, 9, 10, 25])).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(("boots", "one"), [(["a", "a"], True), (["a", "b"], False)])
def test_members_of_one_boot_have_one_clock(boots, one):
    sides = [Recording("producer", Path(), stamped.run(), About(boot_id=boot)) for boot in boots]
    assert recording.on_one_clock(sides) is one
