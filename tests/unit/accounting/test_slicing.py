"""The slices of recorded runs: what was compared, at which end, and why not."""

import dataclasses
from pathlib import Path

import numpy
import pytest

from omrig.accounting import coverage, overhead, slicing
from omrig.model import slices
from omrig.model.result import Counts
from omrig.model.run import Sampling
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from tests.unit.accounting import stamped

MS = 1_000_000
WORKERS = 2
TOTAL = 1000

PLAIN_NS, PROFILED_NS = 1 * MS, 4 * MS
"""How long a message takes; one at a time, so that 1000 and 250 are sent a second."""

OFFSET_NS = 50_000 * MS
"""What the consumer's clock is ahead, where it is another host's."""

PAUSE_NS = 500 * MS

YAPPI = {"producer": ["yappi"], "consumer": ["yappi"]}


def load(sparing=True):
    """Slices, and when each message begins and ends."""
    made = slices.divide(TOTAL, WORKERS, sparing)
    begins, ends, now = [], [], MS
    for each in made:
        for _ in range(each.first, each.end):
            begins.append(now)
            now += PROFILED_NS if each.profiled else PLAIN_NS
            ends.append(now)
        now += PAUSE_NS
    return made, numpy.array(begins), numpy.array(ends)


def about(made, first_switches=None):
    """What a side writes of its slices; ``first_switches`` on a consumer: when each began."""
    return [
        {
            "first": each.first,
            "end": each.end,
            "profiled": each.profiled,
            "pair": each.pair,
            "producer_cpu_seconds": (each.end - each.first) * (0.002 if each.profiled else 0.001),
            "consumer_cpu_seconds": (each.end - each.first) * (0.004 if each.profiled else 0.001),
        }
        for each in made
    ]


def recording(side, about, times, profile=("stages", "yappi"), pattern="call"):
    run = stamped.run({"profile": list(profile), "pattern": pattern})
    return Recording(side, Path("run") / side, run, About.from_json(about), Messages(times))


def changed(recording, **about):
    """The same recording of a member that says otherwise of itself."""
    return dataclasses.replace(recording, about=dataclasses.replace(recording.about, **about))


def sides(
    pattern="call", modes=YAPPI, slow_only=True, hosts=("a", "a"), profile=("stages", "yappi")
):
    made, begins, ends = load()
    slicing = {"modes": modes, "slow_only": slow_only, "reason": None}
    offer = {"slow": ["yappi"], "all": ["stages", "yappi"], "lasting": [], "twin": False}
    same = {"slicing": slicing, "offer": offer}
    offset = 0 if hosts[0] == hosts[1] else OFFSET_NS
    told = [
        {
            **each,
            "producer": "p1",
            "at_ns": int(begins[each["first"]]) + offset - MS // 2,
        }
        for each in about(made)
    ]
    for each in told:
        del each["producer_cpu_seconds"]
    return {
        "producer": recording(
            "producer",
            {"producer_id": "p1", "boot_id": hosts[0], "slices": about(made), **same},
            {"start_ns": begins, "end_ns": ends},
            profile,
            pattern,
        ),
        "consumer": recording(
            "consumer",
            {"producers": {"p1": {}}, "boot_id": hosts[1], "slices": told, **same},
            {"received_ns.p1": ends + offset},
            profile,
            pattern,
        ),
    }


def distortion(found, every=None):
    return overhead.of_modes(found, slicing.read(found), every)


def timelines(found, side):
    """A stage of 1 ms that the profiler makes 3 ms long, and one of 1 ms that it does not."""
    recorded = found[side]
    column = "end_ns" if side == "producer" else "received_ns.p1"
    profiled = numpy.concatenate(
        [numpy.full(each.end - each.first, each.profiled) for each in load()[0]]
    )
    stamps = {"id": numpy.arange(TOTAL), "read": recorded.messages.columns[column] - 1000}
    if side == "producer":
        stamps["seq"] = numpy.arange(TOTAL)
    durations = {
        "publish": numpy.where(profiled, 3 * MS, MS),
        "decode": numpy.full(TOTAL, MS),
    }
    return stamped.timeline(stamped.table(side, (), **stamps), durations)


@pytest.mark.parametrize("alone", [False, True])
def test_the_producer_tells_throughput_and_cpu_of_both_sides(alone):
    found = sides()
    if alone:
        del found["consumer"]
    entry = distortion(found)["yappi"]
    assert entry.throughput_ratio == pytest.approx(0.25)
    assert entry.unprofiled_messages_per_second == pytest.approx(1000, rel=0.01)
    assert entry.profiled_messages_per_second == pytest.approx(250, rel=0.01)
    assert entry.cpu_ratio == pytest.approx(3)
    assert entry.pairs == 5
    assert entry.latency.unprofiled.p50 == PLAIN_NS
    assert entry.latency.profiled.p50 == PROFILED_NS
    assert entry.text.startswith("yappi slowed the run to 0.25 of its speed")
    assert "stages in every slice" in entry.method


def test_a_consumer_alone_tells_it_from_what_it_received():
    found = {"consumer": sides(hosts=("a", "b"))["consumer"]}
    entry = distortion(found, timelines(found, "consumer"))["yappi"]
    assert entry.throughput_ratio == pytest.approx(0.25)
    assert entry.unprofiled_messages_per_second == pytest.approx(1000, rel=0.01)
    assert entry.cpu_ratio == pytest.approx(4)
    assert entry.latency is None
    assert "seen by the consumer alone" in entry.method
    publish, decode = entry.stages
    assert (publish.mean_ratio, decode.mean_ratio) == (3, 1)


@pytest.mark.parametrize("side", ["producer", "consumer"])
def test_stages_are_those_of_the_messages_sent_without(side):
    found = sides()
    if side == "consumer":
        del found["producer"]
    every = timelines(found, side)
    sliced = slicing.read(found)
    keep = slicing.undisturbed(sliced)(every.table)
    assert keep.sum() == 200
    assert set(every.durations["publish"][keep]) == {MS}
    assert slicing.are_told(sliced, [every.table])
    covered = coverage.of_stages(found, sliced, Counts(), has_stages=True, quiet=True)
    assert covered.disturbance is None
    assert covered.unprofiled_messages == 200
    assert covered.profiled_messages == 800
    assert covered.text.endswith("stages, books and verdict are of the 200 sent without")


def test_what_a_producer_says_between_slices_is_no_message():
    found = {"consumer": sides()["consumer"]}
    every = timelines(found, "consumer")
    keep = slicing.undisturbed(slicing.read(found))
    slices_told = found["consumer"].about.slices
    ends = found["consumer"].messages.received_of("p1")
    words = [int(ends[each.end - 1]) + MS for each in slices_told]
    read = numpy.concatenate([every.table["read"], words])
    table = stamped.table("consumer", (), id=numpy.arange(len(read)), read=read)
    assert keep(table).sum() == 200
    assert slicing.in_slices(slicing.read(found))(table).sum() == TOTAL
    assert slicing.in_slices(None) is None


def test_the_instrument_alone_is_compared_but_hides_nothing():
    found = sides(modes={"producer": ["stages"], "consumer": ["stages"]}, slow_only=False)
    sliced = slicing.read(found)
    assert slicing.undisturbed(sliced) is None
    entries = overhead.of_modes(found, sliced, timelines(found, "producer"))
    assert entries["stages"].throughput_ratio == pytest.approx(0.25)
    assert entries["stages"].stages is None


@pytest.mark.parametrize("hosts", [("a", "a"), ("a", "b")])
def test_a_cast_ends_where_it_is_received(hosts):
    found = sides(pattern="cast", hosts=hosts)
    times = found["producer"].messages.columns
    times["end_ns"] = times["start_ns"] + 1000
    entry = distortion(found)["yappi"]
    assert entry.throughput_ratio == pytest.approx(0.25)
    assert entry.unprofiled_messages_per_second == pytest.approx(1000, rel=0.01)


def with_drained(recording, times):
    slices = [
        dataclasses.replace(each, drained_ns=at)
        for each, at in zip(recording.about.slices, times, strict=True)
    ]
    return changed(recording, slices=tuple(slices))


def test_a_producer_alone_asks_when_its_casts_were_received():
    found = sides(pattern="cast")
    del found["consumer"]
    times = found["producer"].messages.columns
    drained = [int(times["end_ns"][each.end - 1]) for each in found["producer"].about.slices]
    found["producer"] = with_drained(found["producer"], drained)
    times["end_ns"] = times["start_ns"] + 1000
    assert distortion(found)["yappi"].throughput_ratio == pytest.approx(0.25)
    found["producer"] = with_drained(found["producer"], [None] * len(drained))
    entry = distortion(found)["yappi"]
    assert entry.throughput_ratio is None
    assert "too little of the load" in entry.reason


def test_a_slice_with_a_message_missing_does_not_count():
    found = sides()
    first = next(each for each in found["producer"].about.slices if each.pair == 2)
    found["producer"].messages.columns["end_ns"][first.first + 3] = 0
    assert distortion(found)["yappi"].pairs == 4
    covered = coverage.of_stages(found, slicing.read(found), Counts(), has_stages=True, quiet=True)
    assert covered.profiled_messages + covered.unprofiled_messages == TOTAL - 1


def test_modes_in_and_out_together_have_one_figure_and_say_so():
    modes = {"producer": ["yappi", "lines"], "consumer": ["yappi", "lines"]}
    entries = distortion(sides(modes=modes, profile=("stages", "yappi", "lines")))
    assert entries["yappi"] is entries["lines"]
    assert entries["yappi"].text.startswith("yappi and lines together slowed")
    assert "one figure for all" in entries["yappi"].method


def test_each_side_s_own_modes_are_named():
    found = sides(modes={"producer": [], "consumer": ["lines"]}, profile=("stages",))
    entries = distortion(found)
    assert list(entries) == ["stages", "lines"]
    assert entries["lines"].text.startswith("lines on the consumer slowed the run to 0.25")


def test_what_stays_on_says_how_to_measure_it():
    found = sides(profile=("stages", "yappi", "memory", "spy"))
    sampling = Sampling(interval_seconds=0.1, turns=1, cpu_seconds=0.25, wall_seconds=1.0)
    for name, side in found.items():
        offer = dataclasses.replace(side.about.offer, lasting=("spy",))
        run = dataclasses.replace(side.run, sampling=sampling)
        found[name] = dataclasses.replace(changed(side, offer=offer), run=run)
    entries = distortion(found)
    assert "--profile stages --twin measures it" in entries["stages"].reason
    assert "cannot be stopped and started" in entries["spy"].reason
    assert "0.25 s of CPU" in entries["memory"].reason
    assert all(entries[mode].throughput_ratio is None for mode in ("stages", "spy", "memory"))


def test_a_load_that_was_not_sliced_says_why():
    found = sides()
    reason = "10 messages are too few; -m 440 would do"
    plan = dataclasses.replace(found["producer"].about.slicing, reason=reason)
    found["producer"] = changed(found["producer"], slicing=plan, slices=())
    assert slicing.read(found) is None
    assert distortion(found)["yappi"].reason == "10 messages are too few; -m 440 would do"
    found["producer"] = changed(found["producer"], slicing=None)
    entries = distortion(found)
    assert entries["stages"].reason == "run with --twin to measure it"
    assert entries["yappi"].reason.startswith("the producer did not send its load in slices")


def test_several_producers_disturb_each_other_s_slices():
    found = sides()
    producers = {**found["consumer"].about.producers, "p2": {}}
    found["consumer"] = changed(found["consumer"], producers=producers)
    assert slicing.read(found) is None
    assert distortion(found)["yappi"].reason.startswith("2 producers used this consumer")


def test_a_consumer_that_was_told_nothing_is_matched_by_the_producer():
    found = sides()
    found["consumer"] = changed(found["consumer"], slices=())
    keep = slicing.undisturbed(slicing.read(found))
    assert keep(timelines(found, "consumer").table).all()
    assert keep(timelines(found, "producer").table).sum() == 200


def test_pauses_between_slices_are_told_and_what_each_side_used():
    sliced = slicing.read(sides())
    seconds, number = slicing.pauses(sliced)
    assert number == len(sliced.slices) - 1
    assert seconds == pytest.approx(number * PAUSE_NS / 1e9)
    assert slicing.pauses(None) == (0, 0)
    assert slicing.cpu_share(sliced, profiled=False) == pytest.approx(
        {"producer": 1.0, "consumer": 1.0}
    )
    assert slicing.cpu_share(sliced, profiled=True) == pytest.approx(
        {"producer": 0.5, "consumer": 1.0}
    )


def covered(found, quiet=False, has_stages=True):
    counted = Counts(requested=TOTAL, sent=TOTAL, received=TOTAL, replied=TOTAL)
    return coverage.of_stages(found, slicing.read(found), counted, has_stages, quiet)


def lasting(found, *modes, side="producer", **changes):
    """A mode that cannot be taken out, on one side."""
    offer = dataclasses.replace(found[side].about.offer, lasting=modes, **changes)
    found[side] = changed(found[side], offer=offer)


def test_what_cannot_be_taken_out_is_in_the_stages_and_that_is_said():
    found = sides()
    for side in found:
        lasting(found, "memray", side=side, slow=())
        found[side] = changed(found[side], slicing=None, slices=())
    told = covered(found)
    assert (told.profiled_messages, told.unprofiled_messages) == (TOTAL, 0)
    assert (told.stages_of, told.disturbance.who) == ("profiled", "memray")
    assert told.disturbance.modes == {"producer": ("memray",), "consumer": ("memray",)}
    assert "cannot be stopped and started" in told.disturbance.reason
    assert told.text.startswith("all 1,000 messages went under memray: stages, books and verdict")
    assert covered(found, has_stages=False) is None


def test_what_cannot_be_taken_out_is_in_the_slices_without_the_other_modes_too():
    found = sides()
    lasting(found, "memray")
    told = covered(found, quiet=True)
    assert told.stages_of == "unprofiled"
    assert told.disturbance.who == "memray on the producer"
    assert "are of the 200 sent without; they went under memray on the producer" in told.text


def test_a_load_too_small_for_slices_has_the_stages_of_the_profiled_run():
    found = sides(modes={"producer": [], "consumer": ["lines"]})
    reason = "100 messages of 10 workers are too few; -m 440 or more would do"
    plan = dataclasses.replace(found["producer"].about.slicing, reason=reason)
    found["producer"] = changed(found["producer"], slicing=plan, slices=())
    for alone in (False, True):
        if alone:
            del found["consumer"]
        told = covered(found)
        assert told.disturbance.who == "lines on the consumer"
        assert told.disturbance.reason == reason
        assert reason in told.text


def test_slices_of_which_nothing_is_left_without_the_profiler_say_so():
    told = covered(sides(), quiet=False)
    assert (told.stages_of, told.disturbance.who) == (None, "yappi")
    assert "no message that is known to have been sent without" in told.text


def test_a_side_that_was_told_of_no_slices_has_the_stages_of_the_profiled_run():
    found = {"consumer": changed(sides()["consumer"], slicing=None, slices=())}
    assert "its own result says why" in covered(found).disturbance.reason


def test_a_consumer_that_was_not_told_of_every_slice_cannot_tell_its_messages():
    found = sides()
    found["consumer"] = changed(found["consumer"], slices=found["consumer"].about.slices[:-1])
    sliced = slicing.read(found)
    tables = {side: timelines(found, side).table for side in found}
    assert not slicing.are_told(sliced, [tables["consumer"]])
    assert slicing.are_told(sliced, tables.values())


def test_stages_alone_disturb_nothing():
    found = sides(modes={"producer": ["stages"], "consumer": ["stages"]}, slow_only=False)
    for side in found:
        lasting(found, side=side, slow=())
    assert covered(found).disturbance is None
