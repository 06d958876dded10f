"""What an agent says of its members, and when it has them end by itself."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

from omrig.fleet import agent, channel
from omrig.fleet.agent import Agent, Order
from omrig.model import events
from omrig.supervisor.ending import ASKED_SAVE_S


class Child:
    name = "producer-1"

    def __init__(self):
        self.did = []

    def __getattr__(self, name):
        return lambda *values: self.did.append((name, *values))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An agent with one member, whose worker keeps what is said."""
    monkeypatch.setenv("OMRIG_SPOOL", str(tmp_path / "spool"))
    said = []
    worker = SimpleNamespace(
        log_event=lambda _topic, message: said.append(message),
        state=SimpleNamespace(tasks={"key": SimpleNamespace(state="long-running")}),
    )
    one = Agent(Order("5a" * 16, "5a5a", "5a5a-0", "hosts/a"), worker)
    one.said = said
    one._sampler = SimpleNamespace(used_s=lambda: 0.0, cpu=lambda: {}, stop=lambda: None)
    one._members["producer-1"] = agent._Member(
        Child(), "key", tmp_path / "record", tmp_path / "log.txt"
    )
    yield one
    one._open.close()


def lines(made):
    return [line for message in made.said for _, line in message.get("said", ())]


def test_progress_waits_but_never_behind_what_comes_after_it(made):
    child = made._members["producer-1"].child
    first, last = (events.encode(events.Progress("producer-1", {"done": n})) for n in (1, 2))
    rows = events.encode(events.Rows("producer-1", [[1]]))
    latencies = events.encode(events.Latencies("producer-1", [1]))
    saved = events.encode(events.Saved(["producer-1"]))
    for line in (first, rows, last, latencies):
        made.put((child, line))
    assert lines(made) == []
    made.put((child, saved))
    assert lines(made) == [last, saved]
    made.put((child, first))
    made._report()
    assert lines(made) == [last, saved, first]
    made.put((child, None))
    assert made._members["producer-1"].ended.is_set()


def test_the_engine_is_measured_from_the_load_to_its_end(made):
    child = made._members["producer-1"].child
    made.put((child, events.encode(events.Phase("producer-1", "load"))))
    made.put((child, events.encode(events.Phase("producer-1", "saving"))))
    cpu_s, wall_s = next(each["engine"] for each in made.said if "engine" in each)
    assert cpu_s >= 0
    assert 0 < wall_s < 10


def test_of_a_consumer_the_load_begins_with_its_first_message(made):
    child = made._members["producer-1"].child
    for received in (0, 0, 5):
        made.put((child, events.encode(events.Progress("producer-1", {"received": received}))))
        assert (made._loaded is None) == (received == 0)
    loaded = made._loaded
    made.put((child, events.encode(events.Progress("producer-1", {"received": 9}))))
    assert made._loaded is loaded
    made.put((child, events.encode(events.Phase("producer-1", "saving"))))
    assert [each for each in made.said if "engine" in each]


def test_a_member_does_what_the_coordinator_says(made):
    ask = events.Ask(3, "received", {})
    for message in (
        {"do": channel.PLAN, "member": "producer-1"},
        {"do": channel.TELL, "member": "producer-1", "line": events.encode(ask)},
        {"do": channel.STOP, "member": "producer-1"},
        {"do": channel.KILL, "member": "nobody"},
        {"do": channel.PING, "number": 3},
    ):
        made._do(message)
    did = made._members["producer-1"].child.did
    assert did == [("send_plan",), ("tell", ask), ("stop",)]


@pytest.mark.parametrize("why", ["silent", "cancelled", "forgotten", "over"])
def test_members_for_which_nobody_waits_save_and_end(made, why):
    now = time.monotonic()
    made._look(now)
    member = made._members["producer-1"]
    assert member.child.did == []
    if why == "silent":
        made._heard_at = now - agent.DEAD_MAN_S - 1
    elif why == "cancelled":
        made._worker.state.tasks["key"].state = "cancelled"
    elif why == "forgotten":
        made._worker.state.tasks.clear()
    else:
        made._over = True
    made._look(now)
    made._look(now + 1)
    assert member.child.did == [("stop",)]
    made._look(now + ASKED_SAVE_S + 1)
    assert member.child.did == [("stop",), ("kill",)]


def test_what_is_declared_is_said_once_and_files_of_this_host_are_deleted_here(made, tmp_path):
    member = made._members["producer-1"]
    counter = tmp_path / "counter"
    counter.write_text("1")
    queue = json.dumps({"kind": "queue", "name": "q", "is_own": True})
    file = json.dumps({"kind": "file", "name": str(counter), "is_own": True})
    (tmp_path / "record").write_text(f'\n{queue}\n\n{file}\n\n{{"half')
    assert member.declared() == [queue]
    assert member.declared() == []
    member.clear()
    assert not counter.exists()
    assert not (tmp_path / "record").exists()


def test_errors_are_said_when_the_log_has_more(made, tmp_path):
    member = made._members["producer-1"]
    member.child.last_error = lambda: "refused"
    assert member.new_error() is None
    (tmp_path / "log.txt").write_text("x\n")
    assert member.new_error() == "refused"
    assert member.new_error() is None


def test_a_task_without_its_agent_starts_nothing(monkeypatch):
    import distributed

    monkeypatch.setattr(distributed, "secede", lambda: None)
    with pytest.raises(RuntimeError, match="producer-1"):
        agent.speak_for(Order("r", "t", "none", "hosts/a"), "producer-1", False, None)


def test_only_this_user_sees_the_spool(made):
    assert made.folder.stat().st_mode & 0o777 == 0o700
    assert (made.folder / "hosts/a").stat().st_mode & 0o777 == 0o700


def test_a_host_on_which_nothing_was_started_keeps_nothing(made):
    made._members.clear()
    assert made._own.is_dir()
    made._over = True
    made._run()
    assert not made.folder.exists()


@pytest.mark.parametrize(("error", "over"), [(OSError(), False), (KeyError("its queue"), True)])
def test_who_listens_ends_with_the_scheduler_or_the_queue(made, error, over):
    async def queue_get(**_):
        raise error

    made._worker.scheduler = SimpleNamespace(queue_get=queue_get)
    asyncio.run(made._listen())
    assert made._listened.is_set()
    # With its scheduler the worker ends, and its members save then.
    assert made._over is over


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_queue_of_a_coordinator_that_says_nothing_is_deleted(made, monkeypatch, is_silent):
    forgot = []
    monkeypatch.setattr(channel, "forget", lambda *what: forgot.append(what))
    made._worker.scheduler = SimpleNamespace(address="tcp://10.0.0.1:8786")
    made._worker.security = "tls"
    made._members.clear()
    if is_silent:
        made._look(made._heard_at + agent.DEAD_MAN_S + 1)
    else:
        made._over = True
    made._run()
    expected = ("tcp://10.0.0.1:8786", "tls", "5a5a-0", made._listened)
    assert forgot == [expected] * is_silent
