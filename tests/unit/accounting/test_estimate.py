"""What stamping cost by its own count, in hand-made recordings."""

import dataclasses
from pathlib import Path

import pytest

from omrig.accounting import estimate
from omrig.accounting.slicing import Slicing, TimedSlice
from omrig.model.estimate import Estimate
from omrig.model.overhead import NotMeasured, Overhead
from omrig.model.resources import Resources
from omrig.recordings.recording import About, Recording
from omrig.recordings.stamping import StampCost, Stamping
from tests.unit.accounting import stamped

USED = {
    name: Resources(
        wall_seconds=1.0, cpu_user_seconds=user, cpu_system_seconds=0.01, peak_rss_bytes=1
    )
    for name, user in (("producer", 0.09), ("consumer", 0.06), ("broker", 9.0))
}
"""Of 100 messages: 1 and 0.7 ms each."""

PRODUCER = StampCost(made=2000, hot_ns=100.0, cold_ns=400.0)
CONSUMER = StampCost(made=1000, hot_ns=400.0, cold_ns=1000.0)


def recording(side, cost, **transport):
    counts = {"sent": 100} if side == "producer" else {"received": 98, "duplicated": 2}
    stamping = Stamping(realtime_offsets=[(0, 0)], cost=cost)
    run = stamped.run()
    if transport:
        run = dataclasses.replace(run, transport=dataclasses.replace(run.transport, **transport))
    return Recording(side, Path(side), run, About(**counts), stamping=stamping)


def sides(producer=PRODUCER, consumer=CONSUMER, **transport):
    return {
        "producer": recording("producer", producer, **transport),
        "consumer": recording("consumer", consumer, **transport),
    }


def sliced(modes, cpu_seconds=None):
    """60 messages with profilers, 40 without that took 0.5 ms of each side."""
    plain = cpu_seconds or {"producer": 0.02, "consumer": 0.02}
    return Slicing(
        [
            TimedSlice(0, True, 0, 60, 0, 1, 60, 60, {"producer": 9.0, "consumer": 9.0}),
            TimedSlice(0, False, 60, 100, 1, 2, 40, 40, plain),
        ],
        modes,
        True,
        "pairs",
    )


def test_stamps_times_the_cost_of_one_over_the_cpu_of_a_message():
    assert estimate.of_stamps(sides(), None, USED) == Estimate(
        stamps_per_message=30.0,
        hot_ns=200.0,  # 20 of 100 and 10 of 400
        cold_ns=600.0,
        cpu_share_hot=round(6_000 / 1_700_000, 5),
        cpu_share_cold=round(18_000 / 1_700_000, 5),
    )


def test_of_one_side_alone_it_is_that_sides():
    found = estimate.of_stamps({"producer": sides()["producer"]}, None, USED)
    assert (found.stamps_per_message, found.hot_ns, found.cold_ns) == (20.0, 100.0, 400.0)
    assert found.cpu_share_cold == pytest.approx(0.008)


def test_where_the_stages_were_in_and_out_their_stamps_are_of_the_messages_with_them():
    modes = {"producer": ["stages"], "consumer": ["stages"]}
    found = estimate.of_stamps(sides(), sliced(modes), USED)
    assert found.stamps_per_message == pytest.approx(3000 / 60)
    assert found.cpu_share_hot == pytest.approx(200 * 3000 / 60 / 1_000_000)


def test_under_a_profiler_that_slows_the_cpu_is_that_of_the_messages_without():
    found = estimate.of_stamps(sides(), sliced({"producer": ["yappi"]}), USED)
    assert found.stamps_per_message == 30.0
    assert found.cpu_share_cold == pytest.approx(18_000 / 1_000_000)


def test_cpu_that_the_slices_do_not_tell_is_that_of_the_load():
    slices = sliced({"producer": ["yappi"]}, {"producer": 0.02})
    found = estimate.of_stamps(sides(), slices, USED)
    assert found.cpu_share_cold == pytest.approx(18_000 / 1_200_000)


@pytest.mark.parametrize(
    "nothing",
    [
        (sides(None, None), USED),
        (sides(StampCost(made=0, hot_ns=1.0, cold_ns=2.0), None), USED),
        (sides(), {"producer": None}),
        (sides(in_memory=True), USED),
        ({"producer": dataclasses.replace(sides()["producer"], stamping=None)}, USED),
        ({"producer": dataclasses.replace(sides()["producer"], about=About())}, USED),
    ],
    ids=["older", "no stamps", "no CPU", "in memory", "no instrument", "no messages"],
)
def test_without_one_of_its_parts_there_is_none(nothing):
    recorded, used = nothing
    assert estimate.of_stamps(recorded, None, used) is None


def test_it_stands_beside_what_is_known_of_the_stages():
    costs = {"stages": NotMeasured(reason="no"), "yappi": Overhead(throughput_ratio=0.5)}
    found = estimate.of_stamps(sides(), None, USED)
    with_it = estimate.added(costs, found)
    assert with_it["stages"] == NotMeasured(reason="no", estimate=found)
    assert with_it["yappi"] is costs["yappi"]
    assert estimate.added(costs, None) == costs
    assert "estimate" not in estimate.added(costs, None)["stages"].to_json()
