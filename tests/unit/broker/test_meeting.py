"""What a producer believes of who answers, and what both compare before they declare it."""

import contextlib
import dataclasses
import time
from types import SimpleNamespace

import pytest

from omrig.broker.amqp import meeting
from omrig.broker.base import Consumer
from omrig.drivers import rabbit
from omrig.model.errors import UsageError


def options(**given):
    return rabbit.declaring_options(given)


def consumer(**given):
    return Consumer("5a", "t", "e", "there", 12, options(**given))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"rabbit_quorum_queue": True}, {"amqp_durable_queues": True}),
        ({"amqp_auto_delete": True}, {"amqp_auto_delete": True}),
        ({"use_queue_manager": True}, {}),
    ],
)
def test_what_the_broker_takes_is_taken(ours, theirs):
    meeting.check_options(options(**ours), consumer(**theirs))


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        ({"rabbit_quorum_queue": True}, {}, "rabbit_quorum_queue is True here and False there"),
        ({}, {"amqp_durable_queues": True}, "amqp_durable_queues is False here and True there"),
        ({"amqp_auto_delete": True}, {}, "amqp_auto_delete is True here and False there"),
    ],
)
def test_what_the_broker_would_refuse_is_told_with_the_options_and_both_values(ours, theirs, text):
    with pytest.raises(UsageError, match=text) as caught:
        meeting.check_options(options(**ours), consumer(**theirs))
    assert "the consumer on there, pid 12" in str(caught.value)
    assert "\n" not in str(caught.value)


NAME = "omrig.t.5a5a5a5a5a5a"
ANSWER = {
    **dataclasses.asdict(Consumer("5a" * 16, NAME, NAME, "there", 12, options())),
    "serves": 2,
}


def test_an_answer_of_a_consumer_is_known():
    known, serves = meeting.known_answer(ANSWER)
    assert (known.topic, known.exchange, known.who, serves) == (
        NAME, NAME, "the consumer on there, pid 12", 2,
    )  # fmt: skip
    # One of a later release may say more.
    more = {**ANSWER, "more": 1, "options": {**ANSWER["options"], "more": True}}
    assert meeting.known_answer(more) == (known, serves)


@pytest.mark.parametrize(
    "changed",
    [
        *({name: None} for name in ANSWER),
        {"serves": "2"},
        {"topic": "compute"},
        {"exchange": "nova"},
        {"topic": "compute", "exchange": "compute"},
        {"topic": "omrig", "exchange": "omrig"},
        {"topic": "x" + NAME, "exchange": "x" + NAME},
        {"run_id": ""},
        {"run_id": "5a"},
        {"run_id": "5b" * 16},
        {"host": "h\x1b[2J"},
        {"topic": [NAME], "exchange": [NAME]},
        {"options": []},
    ],
    ids=str,
)
def test_any_other_answer_is_none(changed):
    assert meeting.known_answer({**ANSWER, **changed}) is None
    left_out = {name: value for name, value in ANSWER.items() if name not in changed}
    assert meeting.known_answer(left_out) is None


@pytest.mark.parametrize("body", [b"", b"1", b"[]", b"\xff", b"[" * 100_000])
def test_a_message_of_others_is_empty(body):
    assert meeting.value_of(SimpleNamespace(body=body)) == {}


def test_a_consumer_that_accepts_nobody_is_not_asked_for_ever(monkeypatch):
    asked = []
    search = object.__new__(meeting._Search)
    monkeypatch.setattr(meeting._Search, "_channel", lambda _: contextlib.nullcontext())
    known = meeting.known_answer(ANSWER)
    monkeypatch.setattr(meeting._Search, "_ask", lambda *_: asked.append(1) or [known])
    monkeypatch.setattr(meeting._Search, "_claim", lambda *_: len(asked) > 100_000)
    assert search.try_once(time.monotonic()) is None
    assert asked == [1]
    assert search.problem == "the consumer on there, pid 12, did not accept this producer"
