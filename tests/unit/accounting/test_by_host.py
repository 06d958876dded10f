"""What the members on each host of a fleet did, and whether one of the hosts is slower."""

import json
import shutil

import numpy
import pytest

from omrig.accounting import result, slowest
from omrig.accounting.slowest import Took
from omrig.model.units import MS, NS
from omrig.recordings import folder as run_folder
from omrig.recordings import recording
from tests.unit.accounting import split

ON = {"a": ("producer-1", "consumer-1"), "b": ("producer-2",), "c": ("consumer-2",)}


def host(name, number, **changes):
    """A host of a fleet as ``run.json`` has it."""
    return {
        "name": name, "address": f"10.0.0.{number}", "boot_id": name, "cpu_count": 4,
        "kernel": "6.1", "python": "3.11.2", "omrig": "0.1.0", "members": list(ON.get(name, ())),
        "offset_ns": number * 1000, "round_trip_ns": 200, **changes,
    }  # fmt: skip


def fleet(folder, *hosts, **changes):
    """The run in ``folder`` as if its members had been on these hosts."""
    about = json.loads((folder / "run.json").read_text())
    about["fleet"] = {
        "kind": "hosts", "engine": "dask.distributed 2026.8.0", "coordinator": "desk",
        "hosts": list(hosts), "begin_ns": 1000, **changes,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(about))


def accounted(folder):
    _, run = run_folder.read_run(str(folder))
    return result.account(folder, run).result


@pytest.fixture
def folder(tmp_path):
    """Calls of two producers and two consumers on three hosts."""
    made = split.run("call-threading", tmp_path / "run", 2, 2)
    fleet(made, host("a", 1), host("b", 2), host("c", 3))
    return made


def test_each_host_has_what_its_members_did(folder):
    found = accounted(folder)
    rows = {row.name: row for row in found.members}
    a, b, c = found.hosts
    assert [part.name for part in found.hosts] == ["a", "b", "c"]
    assert (a.sent, a.received, b.sent, b.received, c.sent, c.received) == (
        40, 40, 40, None, None, 40,
    )  # fmt: skip
    assert b.cpu_seconds == rows["producer-2"].cpu_seconds
    assert b.cpu_ns_per_message == rows["producer-2"].cpu_ns_per_message
    both = rows["producer-1"].cpu_seconds + rows["consumer-1"].cpu_seconds
    assert a.cpu_seconds == pytest.approx(both, abs=1e-6)
    assert a.cpu_ns_per_message == pytest.approx(both * 1e9 / 80, abs=1)
    assert b.messages_per_second == rows["producer-2"].messages_per_second
    assert c.messages_per_second == rows["consumer-2"].messages_per_second
    assert (b.latency.count, b.latency.p50) == (40, rows["producer-2"].p50_ns)
    assert c.latency is None


def test_calls_that_a_consumer_served_took_what_their_producers_say(folder):
    found = accounted(folder)
    sides = recording.load(folder)
    one, two = (each.messages for each in sides["producer"].members)
    served = sides["consumer"].members[1].messages
    took = numpy.concatenate(
        [
            (each.end_ns - each.start_ns)[served.received_of(name) > 0]
            for each, name in ((one, "p0"), (two, "p1"))
        ]
    )
    c = found.hosts[2]
    assert (c.served.count, c.served.max) == (40, took.max())
    assert c.served.mean == pytest.approx(took.mean(), abs=1)


def test_without_replies_nothing_is_said_of_what_was_served(tmp_path):
    made = split.run("cast-threading", tmp_path / "run", 2, 2)
    fleet(made, host("a", 1), host("b", 2), host("c", 3))
    found = accounted(made)
    assert [part.served for part in found.hosts] == [None, None, None]
    assert found.hosts[2].received == 40


def test_the_beginning_is_put_on_one_clock_by_the_messages(folder):
    one, two = (each.messages.start_ns.min() for each in recording.load(folder)["producer"].members)
    found = accounted(folder)
    a, b, _ = found.hosts
    (clock,) = (each for each in found.clocks if each.name == "b")
    assert (b.clock.by, b.clock.offset_ns, b.clock.error_ns) == (
        "messages", clock.offset_ns, clock.error_ns,
    )  # fmt: skip
    # All of it was one machine, whose clock is none ahead of itself.
    assert abs(b.clock.offset_ns) <= b.clock.error_ns
    assert (a.clock, a.began_after_ns, a.began_error_ns) == (None, 0, 0)
    assert b.began_after_ns == two - one - clock.offset_ns
    assert b.began_error_ns == clock.error_ns
    among = found.among_hosts
    assert (among.begin_skew_ns, among.begin_error_ns) == (b.began_after_ns, b.began_error_ns)


@pytest.fixture
def casts(tmp_path):
    """Casts, whose messages tell nothing of clocks."""
    return split.run("cast-threading", tmp_path / "run", 2, 2)


def test_the_beginning_is_put_on_one_clock_by_the_exchanges(casts):
    one, two = (each.messages.start_ns.min() for each in recording.load(casts)["producer"].members)
    fleet(
        casts,
        host("a", 1, offset_ns=0, round_trip_ns=200_000),
        # So far ahead that its producer began 3 ms after the other one.
        host("b", 2, offset_ns=int(two - one) - 3 * MS, round_trip_ns=400_000),
        host("c", 3),
    )
    found = accounted(casts)
    a, b, c = found.hosts
    assert (a.began_after_ns, a.began_error_ns) == (0, 0)
    assert (b.began_after_ns, b.began_error_ns) == (3 * MS, 300_000)
    assert c.began_after_ns is None
    assert (found.among_hosts.begin_skew_ns, found.among_hosts.begin_error_ns) == (3 * MS, 300_000)
    assert (b.clock.against, b.clock.by, b.clock.error_ns) == ("a", "exchanges", 300_000)


def test_without_a_clock_nothing_is_said_of_the_beginning(casts):
    fleet(casts, host("a", 1), host("b", 2, offset_ns=None, round_trip_ns=None), host("c", 3))
    found = accounted(casts)
    assert found.hosts[1].clock is None
    assert found.among_hosts.begin_skew_ns is None
    assert [part.began_after_ns for part in found.hosts] == [None, None, None]


def test_a_lost_host_costs_what_was_on_it(folder):
    shutil.rmtree(folder / "producer-2")
    fleet(
        folder,
        host("a", 1),
        host("b", 2, ended_because="its worker is gone", last_seen_ns=1000 + 5 * NS,
             left_in="/var/spool/omrig"),
        host("c", 3, last_seen_ns=1000 + 9 * NS),
    )  # fmt: skip
    found = accounted(folder)
    a, b, c = found.hosts
    assert not found.complete
    assert (b.missing, b.sent, b.latency) == (("producer-2",), None, None)
    assert (b.ended_because, b.last_seen_seconds) == ("its worker is gone", 5.0)
    assert b.left_in == "/var/spool/omrig"
    assert (a.sent, a.missing, c.missing, c.last_seen_seconds) == (40, (), (), None)
    assert found.among_hosts.rates is None


def test_the_broker_is_on_a_host_by_its_address(folder):
    about = json.loads((folder / "run.json").read_text())
    about["transport"]["url"] = "rabbit://u:***@10.0.0.2:5672,u:***@[fd00::1]:5672/v"
    (folder / "run.json").write_text(json.dumps(about))
    broker = accounted(folder).among_hosts.broker
    assert [(each.address, each.host) for each in broker] == [
        ("10.0.0.2:5672", "b"),
        ("[fd00::1]:5672", None),
    ]


def test_a_run_of_no_fleet_has_no_hosts(tmp_path):
    found = accounted(split.run("call-threading", tmp_path / "run", 2, 2))
    assert found.hosts is None and found.among_hosts is None
    assert not {"hosts", "among_hosts"} & found.to_json().keys()


def test_what_is_written_is_read_again(folder):
    found = accounted(folder)
    assert type(found).from_json(json.loads(json.dumps(found.to_json()))) == found


def compared(hosts):
    """Whether the hosts can be compared, and the one that is slower."""
    spans = {name: slowest.span(each) for name, each in hosts.items()}
    hosts = {name: each for name, each in hosts.items() if spans[name]}
    edges = slowest.edges([spans[name] for name in hosts])
    medians = {
        name: slowest.medians(each, at)
        for (name, each), at in zip(hosts.items(), edges, strict=True)
    }
    whole = {name: int(numpy.median(each.took)) for name, each in hosts.items()}
    return slowest.named("producer", medians, whole)


def took(rng, factor=1.0, messages=4000, seconds=10.0, load=None):
    """Messages that ended at any time of a load that all hosts go through together."""
    ended = 50 * NS + numpy.sort(rng.uniform(0.01, seconds, messages) * NS).astype(numpy.int64)
    level = numpy.ones(messages) if load is None else load[((ended - 50 * NS) // NS)]
    values = 5 * MS * factor * level * rng.lognormal(0, 0.6, messages)
    return Took(ended, values.astype(numpy.int64))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_hosts_that_are_alike_have_no_slowest(count):
    named = 0
    for seed in range(200):
        rng = numpy.random.default_rng(seed)
        load = rng.lognormal(0, 0.5, 11)
        hosts = {f"h{n}": took(rng, messages=600, load=load) for n in range(count)}
        could, slower = compared(hosts)
        assert could
        named += slower is not None
    assert named <= 1


def test_a_host_that_is_slower_is_named_though_the_load_changes():
    rng = numpy.random.default_rng(7)
    load = rng.lognormal(0, 1.0, 11)
    hosts = {"a": took(rng, load=load), "b": took(rng, 1.25, load=load), "c": took(rng, load=load)}
    could, found = compared(hosts)
    assert could
    assert (found.name, found.side, found.parts) == ("b", "producer", 20)
    assert found.slowest_in >= 15
    assert found.by_chance == 6.7
    assert found.median_ns > found.others_ns


def test_a_burst_on_one_host_is_no_slow_host():
    rng = numpy.random.default_rng(3)
    hosts = {"a": took(rng), "b": took(rng, load=numpy.where(numpy.arange(11) == 4, 60.0, 1.0))}
    assert compared(hosts) == (True, None)


def test_what_is_too_short_or_alone_is_not_compared():
    rng = numpy.random.default_rng(3)
    short = {name: took(rng, factor, seconds=1.0) for name, factor in (("a", 1), ("b", 3))}
    assert compared(short) == (False, None)
    few = {name: took(rng, factor, messages=100) for name, factor in (("a", 1), ("b", 3))}
    assert compared(few) == (False, None)
    none = Took(numpy.zeros(0, numpy.int64), numpy.zeros(0, numpy.int64))
    assert compared({"a": took(rng), "b": none}) == (False, None)
