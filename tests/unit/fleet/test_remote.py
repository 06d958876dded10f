"""A member on another host as it is seen here: what it says, is told, and how it is lost."""

import queue
import time

import pytest

from omrig.fleet import remote
from omrig.fleet.remote import Post, RemoteChild
from omrig.model import events
from omrig.model.plan import Plan
from omrig.model.units import NS
from omrig.supervisor.child import stop_all


@pytest.fixture
def sent():
    return []


@pytest.fixture
def post(sent):
    return Post("tag-0", "host-1", "tcp://127.0.0.1:1", sent.append)


@pytest.fixture
def child(post, tmp_path):
    record = tmp_path / "record"
    plan = Plan(sides=("producer",), run_id="5a" * 16, member="producer-1")
    made = RemoteChild(plan.with_transport(record=str(record)), post)
    post.members[made.name] = made
    return made


def heard(said):
    found = []
    while not said.empty():
        found.append(said.get()[1])
    return found


def test_what_it_says_early_is_heard_in_its_order(post, child):
    said = queue.Queue()
    post.heard({"said": [["producer-1", "a\n"], ["producer-1", "b\n"]]}, 1)
    child.listen(said)
    post.heard({"said": [["producer-1", "c\n"], ["consumer-9", "of nobody\n"]]}, 2)
    assert heard(said) == ["a\n", "b\n", "c\n"]
    assert post.heard_ns == 2


def test_its_end_is_said_once_with_what_it_died_of(post, child):
    said = queue.Queue()
    child.listen(said)
    assert child.running
    assert child.ended(0.0) is None
    ended = {"ended": "producer-1", "status": 3, "words": "MemoryError", "error": "no memory"}
    post.heard(ended, 1)
    post.lose("the worker on host-1 is gone")
    assert heard(said) == [None]
    assert not child.running
    assert child.ended(0.0) == 3
    assert (child.last_words(), child.last_error()) == ("MemoryError", "no memory")


def test_one_that_is_lost_has_no_status(post, child, sent):
    child.send_plan()
    assert child.is_heard
    post.lose("host-1 has said nothing for 30 s")
    post.lose("something else")
    assert child.ended(0.0) is None
    assert child.last_words() == "host-1 has said nothing for 30 s"
    assert not child.is_heard
    child.tell(events.Ask(1, "received", {}))
    assert [each["do"] for each in sent] == ["plan"]


def test_an_instant_is_told_in_the_time_of_its_host(post, child, sent):
    post.exchanges.asked(1, 0)
    post.exchanges.answered(1, 7_000_000_005, 10)
    child.tell(events.Answer(4, {"consumer-1": None, events.BEGIN_AT: 1000}))
    child.tell(events.Answer(5, {"consumer-1": 3}))
    first, second = (events.decode(each["line"]) for each in sent)
    assert first.values == {"consumer-1": None, events.BEGIN_AT: 7_000_001_000}
    assert second.values == {"consumer-1": 3}


def test_it_is_asked_to_end_once_and_given_up_when_it_does_not(child, sent, monkeypatch):
    monkeypatch.setattr(remote, "KILL_S", 0.01)
    child.stop()
    child.close()
    child.close()
    monkeypatch.setattr(child.post, "heard_ns", time.monotonic_ns() + NS)
    stop_all([child], 0.01)
    assert [each["do"] for each in sent] == ["stop", "close", "kill"]
    assert child.post.lost is None
    assert child.last_words() == "host-1 does not say that it was killed"
    assert not child.running


def test_all_of_a_host_that_does_not_answer_are_given_up_together(post, child, monkeypatch):
    monkeypatch.setattr(remote, "KILL_S", 0.01)
    other = RemoteChild(Plan(sides=("consumer",), run_id="5a" * 16, member="consumer-1"), post)
    post.members[other.name] = other
    child.kill()
    assert not other.running
    assert other.last_words() == post.lost == "host-1 does not answer"


def test_what_it_declares_is_in_the_record_here(post, child, tmp_path):
    post.heard({"declared": ['{"kind": "queue", "name": "q", "is_own": true}']}, 1)
    assert (tmp_path / "record").read_text() == '\n{"kind": "queue", "name": "q", "is_own": true}\n'


def test_its_host_says_what_it_uses(post):
    post.heard(
        {"cpu": {"producer-1": 0.5}, "engine": [0.01, 2.0], "errors": {"producer-1": "x"}}, 1
    )
    post.heard({"said": []}, 2)
    assert post.cpu == {"producer-1": 0.5}
    assert post.engine == (0.01, 2.0)
