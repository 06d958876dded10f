"""What a measured process says comes out as it went in; anything else is an error."""

from typing import get_args

import pytest

from omrig.model import events

SAID = [
    events.Loaded(),
    events.Ready("consumer"),
    events.Moved("producer"),
    events.Phase("producer", "warm-up"),
    events.Progress("producer", {"sent": 3, "done": 2, "errors": 1}),
    events.Latencies("producer", [1_000, 2_000]),
    events.Rows("consumer", [[1, 2], [3, 4]]),
    events.Saved(["producer", "consumer"]),
    events.Unwritten({"No space left on device": ["producer/side.json"]}),
    events.Failed(text="--target: no such thing", usage=True),
    events.Ask(1, "received", {"producer": "p", "first": 0, "end": None}),
    events.Answer(1, {"consumer-1": 3, "consumer-2": None}),
    events.Note("a producer came"),
    events.CallEnded(1, "silent", 5_000_000_000, "2026-11-26T10:00:00.000+00:00"),
]


def test_every_event_is_tried():
    assert {type(event) for event in SAID} == set(get_args(events.Event))


@pytest.mark.parametrize("event", SAID, ids=lambda event: type(event).__name__)
def test_an_event_is_one_line(event):
    line = events.encode(event)
    assert line.index("\n") == len(line) - 1
    assert events.decode(line) == event


@pytest.mark.parametrize(
    "line",
    [
        "",
        "once upon a time",
        '{"event": "laoded"}',
        '{"event": "ready"}',
        '{"event": "ready", "side": "consumer", "since": 1}',
        '{"side": "consumer"}',
    ],
)
def test_what_is_none_is_an_error(line):
    with pytest.raises(ValueError, match=r"event|Expecting value"):
        events.decode(line)
