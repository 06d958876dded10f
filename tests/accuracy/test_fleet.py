"""A fleet of four hosts 20 ms apart, whose clocks differ and drift: what it says is so.

The truth is known: the hosts were given their clocks, and all of them are one machine.
"""

import json
import re

import numpy
import pytest

from omrig.accounting import result as accounting
from omrig.accounting import stamp_table
from omrig.model import units
from omrig.model.run import Run
from omrig.model.units import MS, NS
from omrig.recordings import recording
from tests import fleets, namespaces
from tests.namespaces import Clock

CLOCKS = {
    "east": Clock(ppm=-15),
    "west": Clock(ahead_ns=500 * MS, ppm=50),
    "north": Clock(ahead_ns=-200 * MS, ppm=20),
    "south": Clock(ahead_ns=3 * MS, ppm=-40),
}
PLACES = {
    "producer-1": "east",
    "consumer-1": "west",
    "producer-2": "north",
    "consumer-2": "south",
}
ONE_WAY_MS = 10.0
DURATION_S = 16
WORKERS = 8
SIZE_KB = 0.1
"""A message in one segment: TCP may pace those of a larger one over milliseconds, one way only."""

CORE_SHARE = 0.005
"""Of a core: what the engine may take of a host."""


@pytest.fixture(scope="module")
def rig():
    with namespaces.rig() as made:
        for name, clock in CLOCKS.items():
            made.add(name, clock, ONE_WAY_MS, ONE_WAY_MS)
        yield made


@pytest.fixture(scope="module")
def ran(rig, tmp_path_factory):
    """The folder of a run over the four hosts, and what was said of it."""
    folder = tmp_path_factory.mktemp("fleet")
    places = [word for name, host in PLACES.items() for word in ("--on", f"{name}={host}")]
    with fleets.engine(rig, folder) as engine, rig.broker() as (url, _):
        process = engine.start(
            "--producers", 2, "--consumers", 2, *places, "--",
            "--transport-url", url, "-s", SIZE_KB, "--duration", DURATION_S, "-w", WORKERS,
            "--output", folder / "r",
        )  # fmt: skip
        said, _ = process.communicate(timeout=150)
        # Members have ended with the run, and a worker is on each host still.
        counts = [len(rig.processes(host)) for host in rig.hosts.values()]
        kept = [path for host in rig.hosts.values() for path in engine.spool(host).rglob("*")]
    assert process.returncode == 0, said
    assert counts == [1] * len(CLOCKS)
    assert kept == []
    return folder / "r", said


@pytest.fixture(scope="module")
def run(ran):
    return Run.from_json(json.loads((ran[0] / "run.json").read_text()))


@pytest.fixture(scope="module")
def accounted(ran, run):
    return accounting.account(ran[0], run)


def on_machine(host, own):
    """What the machine's clock showed when the host's showed this."""
    return own - host.ahead_ns(own - host.ahead_ns(own))


def hosts_of(rig, side):
    """The hosts of a side's members, in their order."""
    return [rig.hosts[PLACES[each.member.name]] for each in side.members]


def test_each_host_s_clock_is_found_within_its_bound_which_is_below_a_millisecond(
    rig, run, accounted
):
    clocks = {each.name: each for each in accounted.result.clocks}
    assert clocks.keys() == CLOCKS.keys() - {"east"}
    first = rig.hosts["east"]
    for name, clock in clocks.items():
        assert clock.against == "east"
        assert 0 < clock.error_ns < MS
        assert clock.windows >= 2
        # All along the load, whatever is said of the drift.
        at_ns = run.fleet.begin_ns + numpy.arange(DURATION_S + 1) * NS
        own = at_ns + rig.hosts[name].ahead_ns(at_ns)
        apart = own - clock.ahead_ns(own.astype(numpy.int64)) - (at_ns + first.ahead_ns(at_ns))
        assert numpy.abs(apart).max() <= clock.error_ns, name
        if clock.drift_ppm is not None:
            gains = CLOCKS[name].ppm - CLOCKS["east"].ppm
            assert abs(clock.drift_ppm - gains) < clock.drift_error_ppm
    # Producers are connected by consumers, and the other way round: there are two ways.
    assert all(each.triangle_ns is not None for each in clocks.values())


def test_each_stage_between_the_hosts_is_right_within_the_bound(rig, ran, accounted):
    sides = recording.load(ran[0])
    way = {}
    for side, (begins, ends) in {
        "producer": ("amqp_request", "amqp_reply"),
        "consumer": ("amqp_reply", "amqp_request"),
    }.items():
        table = stamp_table.read(sides[side])
        for number, host in enumerate(hosts_of(rig, sides[side])):
            mine = table.take(numpy.flatnonzero(table.member == number))
            ids = mine["id"].tolist()
            departed, arrived = (on_machine(host, each) for each in (mine["depart"], mine.arrival))
            way.update(zip(((begins, "from", each) for each in ids), departed, strict=True))
            way.update(zip(((ends, "to", each) for each in ids), arrived, strict=True))
    (timeline,) = accounted.timelines
    ids = timeline.producer["id"].tolist()
    assert len(ids) == accounted.result.messages.sent > 500
    error = accounted.result.clock.error_ns
    assert error < MS
    both = numpy.zeros(len(ids))
    for name in ("amqp_request", "amqp_reply"):
        true = numpy.array([way[name, "to", each] - way[name, "from", each] for each in ids])
        apart = timeline.durations[name] - true
        assert numpy.abs(apart).max() <= error, name
        # No message came faster than the wires let it.
        assert true.min() >= 2 * ONE_WAY_MS * MS
        both += apart
    # What the one has too much of, the other has too little: less what drifted in between.
    assert numpy.abs(both).max() < 0.1 * MS
    closure = accounted.result.closure
    assert closure.within_tolerance >= 0.99 * closure.matched
    assert closure.negative_stages == 0


def test_the_offsets_by_which_the_start_was_told_are_right_within_half_a_round_trip(rig, run):
    for told in run.fleet.hosts:
        true_ns = rig.hosts[told.name].ahead_ns(run.fleet.begin_ns)
        assert abs(told.offset_ns - true_ns) <= told.round_trip_ns / 2
        assert told.round_trip_ns >= 2 * ONE_WAY_MS * MS


def test_the_skew_of_the_start_is_reported_and_right(rig, ran, run, accounted):
    side = recording.load(ran[0])["producer"]
    began = {}
    for each, host in zip(side.members, hosts_of(rig, side), strict=True):
        sent = each.messages.start_ns
        began[host.name] = on_machine(host, int(sent[sent > 0].min()))
    true_ns = max(began.values()) - min(began.values())
    among = accounted.result.among_hosts
    assert abs(among.begin_skew_ns - true_ns) <= among.begin_error_ns < MS
    # Nobody begins earlier than it was told: that was wrong by half a round trip at most.
    trips = {each.name: each.round_trip_ns for each in run.fleet.hosts}
    assert all(at >= run.fleet.begin_ns - trips[name] / 2 for name, at in began.items())
    skew, error = (units.duration(each) for each in (among.begin_skew_ns, among.begin_error_ns))
    words = f"The producers' hosts began within {skew} of each other (± {error})"
    assert words in " ".join(ran[1].split())


def test_what_is_shown_has_the_bounds(ran, accounted):
    said = " ".join(ran[1].split())
    error = units.duration(accounted.result.clock.error_ns)
    for name in ("amqp_request", "amqp_reply"):
        assert re.search(rf"{name} wire amqp \S+ % \S+ ms ± {error} ", said)
    for each in accounted.result.clocks:
        assert f"± {units.duration(each.error_ns)} with a network as fast there as back" in said


def test_the_engine_takes_next_to_nothing_of_any_host(run):
    shares = {
        each.name: each.engine_cpu_seconds / each.engine_wall_seconds for each in run.fleet.hosts
    }
    assert shares.keys() == CLOCKS.keys()
    assert max(shares.values()) < CORE_SHARE, shares


def test_nothing_is_left_of_it(rig, ran):
    assert [rig.processes(each) for each in rig.hosts.values()] == [[]] * len(CLOCKS)
