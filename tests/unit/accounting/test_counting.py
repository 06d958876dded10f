"""What processes counted, as counts a message."""

from omrig.accounting import counting
from omrig.model.counts import Recorded
from omrig.report import message_counts


def recorded(calls=None, marks=None, more=None, waits=100):
    sent = {"basic.publish": (100, 300, 50_000), "basic.ack": (99, 99, 99 * 21)}
    return Recorded(
        frames={
            "start": {"sent": {"queue.declare": (2, 2, 120), "connection.open": (2, 2, 32)}},
            "load": {
                "sent": sent | (more or {}),
                "received": {"basic.deliver": (100, 300, 40_000)},
            },
        },
        waits={"start": 12, "load": waits},
        heartbeats=3,
        marks=marks or {"sends": 100, "receives": 100},
        calls=calls or {"sends": {"200": 98, "207": 1}, "receives": {"150": 95, "160": 4}},
        waiting={"sends": 10.0, "receives": 20.0},
        switches_voluntary=400,
        switches_involuntary=20,
        syscalls=50,
    )


def test_the_usual_count_of_each_thread_is_added_up():
    found = counting.side_counts([recorded()], 100, 1)
    assert found.exact
    assert found.calls.a_message == 350
    assert found.calls.messages_alike == 95
    assert found.calls.by_task["sends"].waiting == 10
    assert (found.switches_voluntary, found.syscalls) == (4.0, 0.5)


def test_one_acknowledgement_less_at_the_end_is_still_one_a_message():
    amqp = counting.side_counts([recorded()], 100, 1).amqp
    assert amqp.exact
    assert amqp.messages_alike == 99
    assert amqp.by_method["basic.ack"].sent == 1
    assert (amqp.methods, amqp.frames, amqp.bytes) == (3, 7, 500 + 21 + 400)
    assert amqp.round_trips == 1
    assert amqp.at_start == {"declares": 2, "binds": 0, "connects": 2, "round_trips": 12}
    assert amqp.heartbeats == 3


def test_what_some_messages_take_is_a_mean():
    amqp = counting.side_counts([recorded(more={"queue.declare": (50, 50, 3000)})], 100, 1).amqp
    assert not amqp.exact
    assert amqp.by_method["queue.declare"].sent == 0.5
    assert amqp.by_method["basic.publish"].exact
    assert amqp.frames == 7.5


def test_what_only_the_end_has_counts_for_no_message():
    amqp = counting.side_counts([recorded(more={"channel.close": (3, 3, 57)})], 100, 1).amqp
    assert amqp.exact
    assert amqp.methods == 3
    assert amqp.by_method["channel.close"].load_sent == 3


def test_too_few_alike_are_not_exact():
    calls = {"sends": {"200": 49, "201": 50}}
    found = counting.side_counts([recorded(calls, {"sends": 100})], 100, 1).calls
    assert found.exact
    calls = {"sends": {"200": 48, "201": 49, "202": 2}}
    found = counting.side_counts([recorded(calls, {"sends": 100})], 100, 1).calls
    assert not found.exact
    assert found.reason == "only 49% of the messages have the most frequent count"
    assert 200 < found.a_message < 201


def test_several_workers_are_not_exact():
    found = counting.side_counts([recorded()], 100, 8, "several workers")
    assert not found.exact
    assert found.calls.reason == "several workers"
    assert found.calls.a_message != 350
    assert found.amqp.exact


def test_few_messages_are_not_exact():
    found = counting.side_counts([recorded(marks={"sends": 10, "receives": 10})], 10, 1)
    assert found.calls.reason == "10 messages are too few: -m 40 would do"


def test_several_processes_of_a_side_are_added_up():
    marks = {"sends": 50, "receives": 50}
    found = counting.side_counts([recorded(marks=marks), recorded(marks=marks)], 200, 1)
    assert found.amqp.by_method["basic.publish"].sent == 1
    assert found.amqp.at_start["declares"] == 4


def test_another_driver_speaks_no_amqp():
    silent = Recorded(
        frames={"start": {}, "load": {}}, waits={}, heartbeats=0, marks={"sends": 100},
        calls={"sends": {"20": 99}}, waiting={}, switches_voluntary=1, switches_involuntary=1,
    )  # fmt: skip
    found = counting.side_counts([silent], 100, 1)
    assert found.amqp is None
    assert found.calls.a_message == 20
    assert "producer: no AMQP was spoken" in " ".join(message_counts.notes({"producer": found}))


def test_what_is_shown():
    found = counting.side_counts([recorded()], 100, 1)
    shown = dict(message_counts.rows({"producer": found}))
    assert shown["Python calls"] == ("350",)
    assert shown["  basic.ack"] == ("1 sent",)
    assert shown["declares at start"] == ("2",)
    lines = list(message_counts.notes({"producer": found}))
    assert lines[0] == "producer: Python calls exact, alike in 95 of 100 messages"
    assert lines[1].startswith("producer: AMQP exact, alike in 99 of 100 messages")
