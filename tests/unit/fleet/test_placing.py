"""Which member of a fleet is given up, when, and what is said of it."""

import queue
import time
from types import SimpleNamespace

import pytest

from omrig.fleet import agent
from omrig.fleet.placing import SILENT_S, Placing
from omrig.fleet.remote import RemoteChild
from omrig.model import events
from omrig.model.plan import Plan
from omrig.model.units import NS

NOW = 1_000 * NS


def host(name, *workers):
    return SimpleNamespace(
        name=name,
        address="127.0.0.1",
        workers=workers,
        cpu_count=2,
        boot_id="b",
        kernel="6.1",
        python="3.11.4",
        omrig="1.0",
        versions={"amqp": "5.2"},
        synchronisation=None,
    )


@pytest.fixture
def fleet(monkeypatch):
    """A fleet of two hosts with a producer and a consumer each, that were heard of just now."""
    monkeypatch.setattr(time, "monotonic_ns", lambda: NOW)
    hosts = [host("a", "tcp://127.0.0.1:1"), host("b", "tcp://127.0.0.1:2")]
    names = ("producer-1", "producer-2", "consumer-1", "consumer-2")
    placed = {name: hosts[int(name[-1]) - 1] for name in names}
    client = SimpleNamespace(loop=SimpleNamespace(add_callback=lambda *_: None), status="running")
    cluster = SimpleNamespace(client=client, kind="hosts", engine="dask 1", hosts=hosts)
    made = Placing(cluster, placed, "5a" * 16, ("amqp",))
    made.said = queue.Queue()
    for name in names:
        plan = Plan(sides=(name[:8],), run_id="5a" * 16, member=name)
        post = made._of_host[placed[name].name][0]
        post.members[name] = RemoteChild(plan, post)
        post.members[name].listen(made.said)
    return made


def children(fleet, which):
    return [c for p in fleet._posts.values() for n, c in p.members.items() if n.endswith(which)]


def told(fleet):
    found = []
    while not fleet.said.empty():
        line = fleet.said.get()[1]
        found.append(line and events.decode(line).text)
    return found


def silent(fleet, seconds):
    """The second host says nothing for so long; the time is then."""
    first, second = fleet._posts.values()
    first.heard_ns = NOW + int(seconds * NS)
    fleet._look(first.heard_ns)
    return second


def test_a_host_that_says_nothing_is_told_of_once_and_waited_for(fleet):
    silent(fleet, SILENT_S - 1)
    assert told(fleet) == []
    silent(fleet, SILENT_S)
    silent(fleet, SILENT_S + 1)
    assert told(fleet) == ["b has said nothing for 10 s"]
    assert all(each.running for each in children(fleet, "2"))
    fleet._heard({"post": f"{fleet._tag}-1", "said": []})
    assert told(fleet) == ["b is heard again"]


def test_it_is_given_up_with_its_agent(fleet):
    second = silent(fleet, agent.DEAD_MAN_S)
    assert second.lost == "b has said nothing for 30 s"
    assert told(fleet) == ["b has said nothing for 30 s", None, None]
    assert not any(each.running for each in children(fleet, "2"))
    assert all(each.running for each in children(fleet, "1"))


def test_it_is_given_up_earlier_where_the_others_are_through(fleet):
    for each in children(fleet, "1"):
        each.over(0, "")
    silent(fleet, SILENT_S)
    assert all(each.running for each in children(fleet, "2"))
    second = silent(fleet, SILENT_S + 1)
    assert second.lost


def test_one_whose_members_have_ended_owes_nothing(fleet):
    for each in children(fleet, "2"):
        each.over(0, "")
    assert silent(fleet, 100).lost is None


def test_a_worker_that_is_gone_takes_its_members_along(fleet):
    fleet._gone("tcp://127.0.0.1:2")
    fleet._gone("tcp://127.0.0.1:77")
    assert [each.running for each in children(fleet, "2")] == [False, False]
    assert all(each.running for each in children(fleet, "1"))
    first, second = fleet.fleet().hosts
    assert first.ended_because is None
    assert second.ended_because == "the worker on b is gone"
    assert second.last_seen_ns == NOW
    assert second.members == ("producer-2", "consumer-2")


def test_the_start_is_told_early_enough_for_the_slowest(fleet):
    assert fleet.fleet().begin_ns is None
    first, second = fleet._posts.values()
    for post, took in ((first, 1_000_000), (second, 30_000_000)):
        post.exchanges.asked(1, 0)
        post.exchanges.answered(1, took // 2, took)
    before = time.perf_counter_ns()
    assert fleet.ahead_s() == 0.8
    made = fleet.fleet()
    assert 0.8 * NS <= made.begin_ns - before < 5 * NS
    assert [each.round_trip_ns for each in made.hosts] == [1_000_000, 30_000_000]
    assert [each.offset_ns for each in made.hosts] == [0, 0]
    # What is said of the clocks is of then, whatever they gain until the end.
    for number in range(2, 30):
        first.exchanges.asked(number, number * NS)
        first.exchanges.answered(number, number * NS + 50_000 * number, number * NS)
    assert fleet.fleet().hosts == made.hosts
    assert (made.kind, made.engine, made.differences) == ("hosts", "dask 1", ("amqp",))


def test_the_machine_of_several_workers_is_sampled_in_folders_of_their_own():
    one = host("a", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    cluster = SimpleNamespace(client=None, kind="local", engine="dask 1", hosts=[one])
    made = Placing(cluster, {"producer": one}, "5a" * 16)
    assert [each.own for each in made._posts.values()] == ["hosts/a", "hosts/a.1"]
    assert made.fleet().hosts[0].sampled_in == ("hosts/a", "hosts/a.1")


def test_a_task_that_the_engine_gave_up_is_over(fleet):
    one = children(fleet, "1")[0]
    fleet._done(one, SimpleNamespace(status="finished"))
    assert one.running
    failed = SimpleNamespace(status="error", exception=lambda: RuntimeError("no room"))
    fleet._done(one, failed)
    assert one.last_words() == "a: RuntimeError: no room"


def test_without_its_scheduler_nobody_is_lost_for_any_other_reason(fleet):
    one = children(fleet, "1")[0]
    fleet._client.status = "connecting"
    fleet._done(one, SimpleNamespace(status="cancelled"))
    assert one.running
    fleet._over = SimpleNamespace(wait=lambda _: False)
    fleet._watch()
    assert {each.last_words() for each in children(fleet, "1") + children(fleet, "2")} == {
        "the scheduler of the fleet is gone"
    }
