"""Members on hosts whose clocks differ and drift are put on one clock, where calls connect them.

The truth is known: each message is made on the clock of nobody and told by those of its hosts.
"""

import dataclasses
import json

import numpy
import pytest

from omrig.accounting import host_clocks, timeline
from omrig.accounting import result as accounting
from omrig.accounting.stamp_table import TIMES, as_one
from omrig.model.columns import Integers
from omrig.model.patterns import PATTERNS
from omrig.model.units import MS, NS
from omrig.recordings import messages, recording
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from tests.unit.accounting import split, stamped

BEGAN = 10**15


@dataclasses.dataclass(frozen=True)
class Clock:
    """A host's clock: ahead of nobody's by so many ns, gaining ppm, stepped by ns after 12 s."""

    ahead: int = 0
    ppm: float = 0.0
    step: int = 0

    def own(self, times: Integers) -> Integers:
        gained = numpy.rint((times - BEGAN) * self.ppm / 1e6).astype(numpy.int64)
        stepped = numpy.where(times >= BEGAN + 12 * NS, self.step, 0)
        return times + self.ahead + gained + stepped


FIVE = {
    "a": Clock(),
    "b": Clock(500 * MS, 50),
    "c": Clock(-3 * NS, -50),
    "d": Clock(86_400 * NS, 20),
    "e": Clock(7 * MS, 120),
}


@dataclasses.dataclass
class Made:
    """The sides and tables of a made run; how long its ways ``took``, there and back, by id."""

    sides: dict
    tables: dict
    took: dict


def made(clocks, producers, consumers, lasts_s=20, talks=lambda _p, _c: True, ways=(150, 150)):
    """A run of these hosts' ``producers`` and ``consumers``, a member each.

    ``talks`` says which of them meet, ``ways`` are the fastest in µs.
    """
    random = numpy.random.default_rng(5)
    number, took = 1, {}
    rows = {"producer": [[] for _ in producers], "consumer": [[] for _ in consumers]}
    for p, sender in enumerate(producers):
        for c, server in enumerate(consumers):
            if not talks(sender, server):
                continue
            count = int(40 * lasts_s)
            sent = BEGAN + numpy.sort((random.random(count) * lasts_s * NS).astype(numpy.int64))
            there, back = (
                way * 1000 + random.exponential(200_000, count).astype(numpy.int64) for way in ways
            )
            replied = sent + there + 300_000
            ids = numpy.arange(number, number + count)
            number += count
            took |= dict(
                zip(ids.tolist(), zip(there.tolist(), back.tolist(), strict=True), strict=True)
            )
            own, far = clocks[sender].own, clocks[server].own
            rows["producer"][p].append((ids, own(sent), own(replied + back)))
            rows["consumer"][c].append((ids, far(sent + there), far(replied)))
    members, tables = [], {}
    for side, hosts in (("producer", producers), ("consumer", consumers)):
        parts = []
        for place, host in enumerate(hosts):
            ids, first, last = (
                numpy.concatenate(each) for each in zip(*rows[side][place], strict=True)
            )
            parts.append(_table(side, ids, first, last, place))
            name = f"{side}-{place + 1}" if len(hosts) > 1 else ""
            members.append(_recording(side, name, host, first, last, rows[side][place]))
        offsets = numpy.cumsum([0, *(part.rows for part in parts)])
        if side == "producer":
            parts = [p.stamped(seq=p["seq"] + off) for p, off in zip(parts, offsets, strict=False)]
        tables[side] = as_one(parts)
    return Made(recording.join(members), tables, took)


def _table(side, ids, first, last, place):
    if side == "producer":
        return stamped.producer(
            id=ids, depart=first, call=first - 1000, send=first - 500, arrival=last, latest=last,
            read=last, put=last + 10, woke=last + 20, **{"return": last + 30},
            seq=numpy.arange(len(ids)), member=numpy.full(len(ids), place),
        )  # fmt: skip
    return stamped.consumer(
        id=ids, arrival=first, latest=first, read=first, submit=first + 10, start=first + 20,
        endpoint=first + 30, endpoint_end=last - 20, reply=last - 10, depart=last,
        member=numpy.full(len(ids), place),
    )  # fmt: skip


def _recording(side, name, host, first, last, parts):
    columns = {"start_ns": first - 1000, "end_ns": last + 30}
    if side == "consumer":
        columns = {"received_ns.p": first + 30}
    about = About(boot_id=f"boot-{host}", host=host, producer_id=f"p{name}")
    run = stamped.run()
    return Recording(side, stamped.GONE, run, about, messages=Messages(columns), name=name)


def worst(run, clocked):
    """By how much the stages between hosts are wrong at most, and by how much they may be."""
    found = timeline.of_sides(clocked.sides, clocked.tables, PATTERNS["call"])
    ids = found.producer["id"].tolist()
    wrong = 0
    for place, stage in enumerate(("amqp_request", "amqp_reply")):
        true = numpy.array([run.took[each][place] for each in ids])
        wrong = max(wrong, int(numpy.abs(found.durations[stage] - true).max()))
    return wrong, found.clock


def test_two_hosts_500_ms_and_50_ppm_apart_are_on_one_clock():
    run = made(FIVE, ["a"], ["b"])
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    (clock,) = clocked.clocks
    assert (clock.name, clock.against, clock.members) == ("b", "a", ("consumer",))
    assert clock.offset_ns == pytest.approx(500 * MS, abs=clock.error_ns)
    assert clock.drift_ppm == pytest.approx(50, abs=clock.drift_error_ppm)
    assert clock.triangle_ns is None and clock.network_ns == 0
    wrong, of_stages = worst(run, clocked)
    assert wrong <= of_stages.error_ns == clock.error_ns < 0.3 * MS
    assert not of_stages.same_host


def test_the_load_s_own_times_are_on_it_too_and_what_was_recorded_is_kept():
    run = made(FIVE, ["a"], ["b"])
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    before, after = (sides["consumer"].messages.received() for sides in (run.sides, clocked.sides))
    gained = before[-1] - before[0] - (after[-1] - after[0])
    assert before[0] - after[0] == pytest.approx(500 * MS, abs=MS)
    assert gained == pytest.approx(50e-6 * (before[-1] - before[0]), rel=0.1)
    kept = clocked.sides["consumer"].as_recorded.messages.received()
    assert (kept == before).all()
    assert recording.on_one_clock(clocked.sides.values())
    assert not recording.on_one_clock(run.sides.values())


def test_every_time_of_a_row_is_moved_by_the_same_clock():
    run = made(FIVE, ["a"], ["b"])
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    before, after = run.tables["consumer"], clocked.tables["consumer"]
    moved = {name for name in before.columns if not (before[name] == after[name]).all()}
    assert moved == {name for name in TIMES & before.columns.keys() if before[name].any()}
    assert (before["depart"] - before["read"] - (after["depart"] - after["read"]) < 100).all()


def test_what_took_long_is_as_long_on_the_other_clock_as_what_it_is_part_of():
    """A connection that was made while a reply waited for it."""
    run = made(FIVE, ["a"], ["b"])
    took = 400 * MS
    far = run.tables["consumer"]
    far = far.stamped(
        pool_begin=far["depart"] - took - 200, pool_end=far["depart"] - 100,
        connect=numpy.full(far.rows, took),
    )  # fmt: skip
    clocked = host_clocks.on_one_clock(run.sides, {**run.tables, "consumer": far})
    moved = clocked.tables["consumer"]
    # 50 ppm of it is 20 us, and the drift is found within some ppm.
    assert (abs(took - moved["connect"] - 20_000) < 5_000).all()
    waited = moved["pool_end"] - moved["pool_begin"] - moved["connect"]
    assert (abs(waited - 100) <= 2).all()


def test_ways_that_are_not_as_fast_there_as_back_are_within_the_bound():
    run = made(FIVE, ["a"], ["b"], ways=(900, 100))
    wrong, clock = worst(run, host_clocks.on_one_clock(run.sides, run.tables))
    assert 0.35 * MS < wrong <= clock.error_ns


def test_five_hosts_are_on_one_clock_and_ways_around_agree():
    run = made(FIVE, ["a", "b", "c"], ["a", "d", "e"])
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    assert [each.name for each in clocked.clocks] == ["b", "c", "d", "e"]
    for each in clocked.clocks:
        assert each.against == "a"
        assert each.offset_ns == pytest.approx(FIVE[each.name].ahead, abs=each.error_ns)
        assert each.triangle_ns is not None and each.triangle_ns <= 2 * each.error_ns
        assert each.drift_ppm is None or each.drift_ppm == pytest.approx(
            FIVE[each.name].ppm, abs=each.drift_error_ppm
        )
    wrong, clock = worst(run, clocked)
    assert wrong <= clock.error_ns < MS
    # On rows of one host there is nothing to be wrong about.
    assert host_clocks.between(
        clocked.sides,
        clocked.tables["producer"]
        .take(clocked.tables["producer"].member == 0)
        .take(numpy.arange(1)),
        clocked.tables["consumer"]
        .take(clocked.tables["consumer"].member == 0)
        .take(numpy.arange(1)),
    ) == (True, 0)


def test_a_host_is_told_by_way_of_others():
    """The second producer meets the first one's consumer alone."""
    run = made(FIVE, ["a", "b"], ["d", "e"], talks=lambda p, c: (p, c) != ("a", "e"))
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    error = {each.name: each.error_ns for each in clocked.clocks}
    assert error["d"] < error["b"] < error["e"]
    for each in clocked.clocks:
        own = FIVE[each.name].own(numpy.array([BEGAN, BEGAN + 19 * NS]))
        found = own - each.ahead_ns(own)
        assert numpy.abs(found - numpy.array([BEGAN, BEGAN + 19 * NS])).max() <= each.error_ns
    wrong, clock = worst(run, clocked)
    # Who met is one pair apart, however many are between the first host and them.
    assert wrong <= clock.error_ns < error["b"]


def test_hosts_that_met_are_surer_of_each_other_than_by_way_of_others():
    run = made(FIVE, ["a", "c"], ["b", "d"])
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    error = {each.name: each.error_ns for each in clocked.clocks}
    # Of the second producer and one of the consumers the others tell no more than that.
    around = max(error["c"] + error[name] for name in "bd")
    wrong, clock = worst(run, clocked)
    assert wrong <= clock.error_ns < 0.75 * around


def test_a_way_around_that_says_otherwise_is_in_the_bound():
    """One pair's ways are not as fast there as back, and nobody can see which."""
    run = made(FIVE, ["a", "b"], ["d", "e"])
    near = run.tables["consumer"]
    sent = run.tables["producer"]
    odd = (near.member == 1) & numpy.isin(near["id"], sent["id"][sent.member == 0])
    # Its clock seems to be one for one producer and another one for the other.
    table = near.timed(lambda column: numpy.where(odd & (column > 0), column + 4 * MS, column))
    clocked = host_clocks.on_one_clock(run.sides, {**run.tables, "consumer": table})
    assert max(each.triangle_ns for each in clocked.clocks) == pytest.approx(4 * MS, rel=0.2)
    assert max(each.error_ns for each in clocked.clocks) >= 3.5 * MS


def test_a_step_of_a_clock_is_told():
    run = made({"a": Clock(), "b": Clock(500 * MS, 50, step=-5 * MS)}, ["a"], ["b"])
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    (clock,) = clocked.clocks
    assert clock.steps_ns == (pytest.approx(-5 * MS, abs=2 * clock.error_ns),)
    found = timeline.of_sides(clocked.sides, clocked.tables, PATTERNS["call"])
    true = numpy.array([run.took[each][0] for each in found.producer["id"].tolist()])
    wrong = numpy.abs(found.durations["amqp_request"] - true) > clock.error_ns
    # But for what was under way just then.
    assert wrong.mean() < 0.01


def test_hosts_that_no_call_connects_are_said():
    run = made(FIVE, ["a", "b"], ["d", "e"], talks=lambda p, c: (p == "a") == (c == "d"))
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    known = {each.name: each for each in clocked.clocks}
    assert known["b"].reason == "no call connects it with the others"
    assert known["b"].offset_ns is None and known["b"].against == "a"
    # These two are on one clock, which is not the first one's.
    assert known["e"].against == "b" and known["e"].offset_ns is not None
    assert known["d"].against == "a"
    wrong, clock = worst(run, clocked)
    assert wrong <= clock.error_ns
    assert not recording.on_one_clock(clocked.sides.values())


def test_casts_tell_nothing_of_clocks():
    run = made(FIVE, ["a"], ["b"])
    rows = run.tables["producer"].rows
    run.tables["producer"] = run.tables["producer"].stamped(put=numpy.zeros(rows, numpy.int64))
    clocked = host_clocks.on_one_clock(run.sides, run.tables)
    assert [each.reason for each in clocked.clocks] == ["no call connects it with the others"]
    for name, side in run.sides.items():
        assert clocked.sides[name].members == side.members


def test_members_on_one_host_have_nothing_to_compare():
    run = made(FIVE, ["a", "a"], ["a"])
    assert host_clocks.on_one_clock(run.sides, run.tables).clocks is None


# A folder


def fleet(folder, **hosts):
    """The run in ``folder`` as a fleet's, whose ``hosts`` had these members."""
    path = folder / "run.json"
    about = json.loads(path.read_text())
    who = {
        "address": "",
        "boot_id": "b",
        "cpu_count": 2,
        "kernel": "6",
        "python": "3",
        "omrig": "0",
    }
    about["fleet"] = {
        "kind": "scheduler", "engine": "e", "coordinator": "here",
        "hosts": [{"name": name, "members": each, **who} for name, each in hosts.items()],
    }  # fmt: skip
    path.write_text(json.dumps(about))


def accounted(folder):
    _, run = accounting.run_folder.read_run(str(folder))
    return accounting.account(folder, run)


def test_hosts_of_a_fleet_are_those_that_it_names_whatever_their_boot(tmp_path):
    folder = split.run("call-threading", tmp_path / "run", 2, 2)
    fleet(folder, near=["consumer-1", "producer-2"], far=["producer-1", "consumer-2"])
    before = {name: messages.read(folder / name) for name in ("producer-1", "consumer-2")}
    found = accounted(folder)
    (clock,) = found.result.clocks
    assert (clock.name, clock.against, clock.boot_id) == ("far", "near", None)
    assert set(clock.members) == {"producer-1", "consumer-2"}
    # Both are one clock here.
    assert abs(clock.offset_ns) <= clock.error_ns
    assert found.result.clock.error_ns == clock.error_ns and not found.result.clock.same_host
    assert found.result.closure.within_tolerance == found.result.closure.matched
    assert type(found.result).from_json(found.result.to_json()) == found.result
    found.save_stages()
    for name, kept in before.items():
        after = messages.read(folder / name)
        assert all((after.columns[each] == kept.columns[each]).all() for each in kept.columns)


def test_a_fleet_whose_members_are_on_one_host_has_one_clock(tmp_path):
    folder = split.run("call-threading", tmp_path / "run", 2, 2)
    fleet(folder, near=["consumer-1", "producer-2", "producer-1", "consumer-2"])
    found = accounted(folder).result
    assert found.clocks is None and found.clock.same_host


def test_a_fleet_that_casts_says_what_cannot_be_seen(tmp_path):
    folder = split.run("cast-threading", tmp_path / "run", 2, 2)
    fleet(folder, near=["producer-1", "producer-2"], far=["consumer-1", "consumer-2"])
    found = accounted(folder).result
    assert found.clock is None
    assert [each.reason for each in found.clocks] == ["no call connects it with the others"]
    assert not any(row.side == "wire" for row in found.stages)


def test_the_broker_is_sampled_on_the_coordinator_s_clock(tmp_path):
    folder = split.run("call-threading", tmp_path / "run", 2, 2)
    names = ["consumer-1", "producer-2"], ["producer-1", "consumer-2"]
    fleet(folder, near=names[0], far=names[1])
    path, told = folder / "run.json", []
    for ahead in (0, 3600 * NS):
        about = json.loads(path.read_text())
        for host in about["fleet"]["hosts"]:
            host["offset_ns"] = ahead
        path.write_text(json.dumps(about))
        told.append(accounted(folder).result.resources["broker"])
    # An hour away from the load nothing was sampled.
    assert told[0].cpu_seconds > 0 and told[1] is None
