"""From hand-made stamps to the exact stages of a message, and back to their sum."""

import dataclasses

import numpy
import pytest

from omrig.accounting import clocks, closure, legs, statistics, timeline
from omrig.model.patterns import PATTERNS
from omrig.model.result import Clock
from omrig.model.stages import BY_NAME, STAGES
from tests.unit.accounting import stamped

HERE = Clock(same_host=True)
OTHER = Clock(same_host=False, offset_ns=12_345_678, error_ns=1000)
SEND_NAMES = ("api", "serialize", "pool_wait", "connect", "publish", "socket_wait")


def stages_of(pattern, producer, consumer, clock):
    return timeline.of_tables(PATTERNS[pattern], producer, consumer, clock).durations


SENT = {
    "call": 1000,
    "send": 1010,
    "json_out": 7,
    "pool_begin": 1020,
    "pool_end": 1060,
    "connect": 25,
    "reconnect": 3,
    "socket_wait": 11,
    "depart": 1100,
}
SENDING = {
    "api": 10,
    "serialize": 7,
    "pool_wait": 15,
    "connect": 28,
    "publish": 90 - 7 - 40 - 3 - 11,
    "socket_wait": 11,
}
SERVED = {
    "arrival": 1130,
    "read": 1150,
    "json_in": 5,
    "submit": 1170,
    "start": 1200,
    "endpoint": 1208,
    "endpoint_end": 1258,
    "reply": 1262,
    "json_out": 6,
    "pool_begin": 1270,
    "pool_end": 1280,
    "connect": 2,
    "reconnect": 1,
    "socket_wait": 4,
    "depart": 1300,
}
SERVING = {
    "receive_lag": 20,
    "decode": 15,
    "deserialize": 5,
    "executor_queue": 30,
    "dispatch": 8 + 4,
    "endpoint": 50,
}
REPLYING = {
    "reply_serialize": 6,
    "reply_pool_wait": 8,
    "reply_connect": 3,
    "reply_publish": 38 - 6 - 10 - 1 - 4,
    "reply_socket_wait": 4,
}
REPLIED = {"arrival": 1340, "read": 1355, "put": 1370, "woke": 1400, "return": 1410}
"""And ``json_in``: 4."""


def _call(confirm_arrival, confirm, wait):
    producer = stamped.producer(
        **SENT, **REPLIED, json_in=4, confirm_arrival=confirm_arrival, confirm=confirm, wait=wait
    )
    stages = stages_of("call", producer, stamped.consumer(**SERVED), HERE)
    assert closure.total(stages).tolist() == [1410 - 1000]
    assert list(stages) == [stage.name for stage in STAGES if stage.name in stages]
    return {name: int(values[0]) for name, values in stages.items()}


CALL = {
    **SENDING,
    "amqp_request": 30,
    **SERVING,
    **REPLYING,
    "amqp_reply": 40,
    "reply_receive_lag": 15,
    "reply_decode": 11,
    "reply_deserialize": 4,
}


@pytest.mark.parametrize(
    ("confirm_arrival", "confirm", "wait", "confirm_wait", "wakeup", "returned"),
    [
        # Confirmed before the reply, which the caller waits for: nothing of it counts.
        (1150, 1160, 1165, 0, 30, 10),
        # The confirm is in our kernel before the reply is handed over, and read after it.
        (1360, 1380, 1382, 0, 10 + 18, 2 + 10),
        # The confirm comes after the reply: until it is in the kernel AMQP is waited for.
        (1375, 1380, 1382, 5, 5 + 18, 2 + 10),
        # The caller looks for a reply that is there, and does not wait.
        (1375, 1380, 1399, 5, 5 + 1, 19 + 10),
    ],
)
def test_a_call_to_the_nanosecond(confirm_arrival, confirm, wait, confirm_wait, wakeup, returned):
    assert _call(confirm_arrival, confirm, wait) == {
        **CALL,
        "confirm_wait": confirm_wait,
        "wakeup": wakeup,
        "return": returned,
    }


def _cast(**confirmed):
    producer = stamped.producer(**SENT, **confirmed, **{"return": 1190})
    stages = stages_of("cast", producer, stamped.consumer(**SERVED), HERE)
    return {name: int(values[0]) for name, values in stages.items()}


def test_a_cast_has_two_ends():
    stages = _cast(confirm_arrival=1140, confirm=1165)
    received = {**SERVING, "dispatch": 8}
    assert stages == {
        **SENDING,
        "amqp_request": 30,
        **received,
        "confirm_wait": 40,
        "wakeup": 25,
        "return": 25,
    }
    sending = sum(stages[name] for name in SEND_NAMES)
    assert sending + 40 + 25 + 25 == 1190 - 1000
    assert sending + 30 + sum(received.values()) == 1258 - 1000


def test_a_cast_without_a_confirm():
    stages = _cast()
    assert (stages["confirm_wait"], stages["wakeup"], stages["return"]) == (0, 0, 90)


def test_a_producer_alone_has_the_rest_in_one_stage():
    producer = stamped.producer(
        **SENT, **REPLIED, json_in=4, confirm_arrival=1150, confirm=1160, wait=1165
    )
    stages = stages_of("call", producer, None, None)
    assert stages["remote"].tolist() == [240]
    assert "amqp_request" not in stages
    assert closure.total(stages).tolist() == [410]


def test_a_consumer_alone_has_its_own_stages():
    stages = stages_of("call", None, stamped.consumer(**SERVED), None)
    assert {name: int(values[0]) for name, values in stages.items()} == {**SERVING, **REPLYING}
    assert closure.total(stages).tolist() == [1300 - 1130]


def test_what_is_on_the_wire_is_left_out_where_clocks_cannot_be_compared():
    stages = stages_of("cast", stamped.producer(**SENT), stamped.consumer(**SERVED), None)
    assert "amqp_request" not in stages
    assert "receive_lag" in stages


RANDOM = numpy.random.default_rng(20)


def random_tables(rows):
    """Stamps as a run could have made them: each later than the one before it."""

    def after(earlier, longest=1_000_000):
        return earlier + RANDOM.integers(0, longest, rows)

    def part(whole):
        return (whole * RANDOM.random(rows)).astype(numpy.int64)

    def sent(entered):
        begin = after(entered)
        end = after(begin)
        rest = RANDOM.integers(1, 1_000_000, rows)
        stamps = {"pool_begin": begin, "pool_end": end, "connect": part(end - begin)}
        for name in ("json_out", "reconnect", "socket_wait"):
            stamps[name] = part(rest // 3)
        return stamps | {"depart": end + rest}

    call = RANDOM.integers(10**15, 10**15 + 10**9, rows)
    send = after(call)
    producer = {"call": call, "send": send, **sent(send)}
    arrival = after(producer["depart"])
    read = after(arrival)
    submit = after(read)
    start = after(submit)
    endpoint = after(start)
    ended = after(endpoint)
    reply = after(ended)
    consumer = {
        "arrival": arrival,
        "read": read,
        "submit": submit,
        "json_in": part(submit - read),
        "start": start,
        "endpoint": endpoint,
        "endpoint_end": ended,
        "reply": reply,
        **sent(reply),
    }
    arrival = after(consumer["depart"])
    read = after(arrival)
    put = after(read)
    # Anywhere between the send and long after the reply.
    confirm_arrival = after(producer["depart"], 20_000_000)
    confirm = after(confirm_arrival)
    wait = after(confirm)
    woke = after(numpy.maximum(put, wait))
    producer |= {
        "arrival": arrival,
        "read": read,
        "put": put,
        "json_in": part(put - read),
        "confirm_arrival": confirm_arrival,
        "confirm": confirm,
        "wait": wait,
        "woke": woke,
        "return": after(woke),
    }
    return stamped.producer(**producer), stamped.consumer(**consumer)


def test_the_stages_of_any_call_add_up_to_the_nanosecond():
    producer, consumer = random_tables(20_000)
    stages = stages_of("call", producer, consumer, HERE)
    assert (closure.total(stages) == producer["return"] - producer["call"]).all()
    assert not closure.negative(stages).any()
    # Both before and after the reply.
    late = producer.confirm_arrival > producer["put"]
    assert 0 < late.mean() < 1
    assert ((stages["confirm_wait"] > 0) == late).all()


def test_an_offset_between_the_clocks_changes_no_sum():
    producer, consumer = random_tables(1000)
    stages = stages_of("call", producer, consumer, OTHER)
    assert (closure.total(stages) == producer["return"] - producer["call"]).all()


def test_the_two_ends_of_any_cast_add_up():
    producer, consumer = random_tables(5000)
    producer = producer.stamped(**{"return": producer["confirm"] + 5})
    stages = stages_of("cast", producer, consumer, HERE)
    sending = closure.total({name: stages[name] for name in SEND_NAMES})
    back = closure.total({name: stages[name] for name in ("confirm_wait", "wakeup", "return")})
    assert (sending + back == producer["return"] - producer["call"]).all()
    whole = closure.total(stages) - back
    assert (whole == consumer["endpoint_end"] - producer["call"]).all()


# Statistics


def test_shares_add_up_to_one():
    stages = stages_of("call", *random_tables(999), HERE)
    rows = statistics.table(stages)
    assert sum(row.share for row in rows) == pytest.approx(1, abs=1e-12)
    assert sum(statistics.buckets(rows).values()) == pytest.approx(1, abs=1e-12)
    assert sum(row.total_ns for row in rows) == closure.total(stages).sum()
    for row in rows:
        assert row.count == 999
        assert row.bucket == BY_NAME[row.name].bucket
        assert row.p50_ns <= row.p90_ns <= row.p99_ns <= row.max_ns
        assert row.p50_ns in stages[row.name]


def test_the_error_of_a_share_is_that_of_samples():
    everything = stages_of("call", *random_tables(40_000), HERE)
    shares = []
    for part in numpy.split(numpy.arange(40_000), 100):
        rows = statistics.table({name: each[part] for name, each in everything.items()})
        shares.append({row.name: (row.share, row.share_error) for row in rows})
    for name in ("amqp_request", "endpoint", "wakeup"):
        spread = numpy.std([each[name][0] for each in shares])
        assert numpy.mean([each[name][1] for each in shares]) == pytest.approx(spread, rel=0.25)


def test_the_waterfall_is_of_the_mean_and_of_the_messages_around_p99():
    api = numpy.arange(1, 1001)
    waterfall = statistics.waterfall({"api": api, "publish": 2 * api}, 3 * api)
    assert waterfall.mean == {"api": 500, "publish": 1001}
    assert waterfall.p99 == {"api": 990, "publish": 1980}


def test_a_negative_stage_is_found():
    stages = {"api": numpy.array([1, 0, 5]), "publish": numpy.array([1, 2, -1])}
    assert closure.negative(stages).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("stages", "measured", "close"),
    [
        (100_000, 150_000, True),
        (100_000, 150_001, False),
        (10_100_000, 10_000_000, True),
        (10_100_001, 10_000_000, False),
        (0, 0, True),
    ],
)
def test_the_tolerance(stages, measured, close):
    found = closure.within_tolerance(numpy.array([stages]), numpy.array([measured]))
    assert found.tolist() == [close]


# Sent twice


RESENT = {
    "lost_depart": 1100,
    "lost_json_out": 7,
    "json_out": 12,
    "reconnect": 1_000_000,
    "depart": 1_001_200,
}


@pytest.mark.parametrize(("read", "first"), [(1150, True), (1_001_250, False)])
def test_of_a_message_that_was_sent_twice_the_attempt_counts_that_arrived(read, first):
    producer = stamped.producer(**SENT | RESENT)
    settled = clocks.as_arrived(producer, numpy.array([read]))
    assert settled["depart"].tolist() == [1100 if first else 1_001_200]
    stages = {name: int(each[0]) for name, each in legs.send(settled).items()}
    if first:
        assert stages == SENDING | {"connect": 25, "publish": SENDING["publish"] + 3}
    else:
        assert stages["connect"] == 1_000_025
        assert stages["publish"] == 1_001_200 - 1010 - 12 - 40 - 1_000_000 - 11


def test_what_was_sent_once_departed_once():
    producer = stamped.producer(**SENT)
    settled = clocks.as_arrived(producer, numpy.array([1050]))
    told = {name: settled[name].tolist() for name in ("depart", "json_out", "reconnect")}
    assert told == {"depart": [1100], "json_out": [7], "reconnect": [3]}
    assert settled.reconnect_later.tolist() == [0]


def test_a_reply_overtakes_the_publishing_of_its_request_again():
    # Handed over while the connection is made again: the rest of that holds the caller up.
    stamps = {"confirm": 1_001_300, "confirm_arrival": 1_001_290, "wait": 1_001_400}
    replied = {"arrival": 1300, "read": 1310, "put": 1320, "woke": 1_001_410, "return": 1_001_420}
    producer = stamped.producer(**SENT | RESENT, **stamps, **replied)
    settled = clocks.as_arrived(producer, numpy.array([1150]))
    stages = {name: int(each[0]) for name, each in legs.returned(settled).items()}
    assert stages["connect"] == 1_001_290 - 1320 - stages["confirm_wait"]
    assert stages["connect"] == 999_970 and stages["confirm_wait"] == 0
    assert sum(stages.values()) == 1_001_420 - 1300


def test_a_cast_is_sent_again_while_the_first_is_under_way():
    producer = stamped.producer(
        **SENT | RESENT, confirm=1_001_300, confirm_arrival=1_001_290, **{"return": 1_001_400}
    )
    settled = clocks.as_arrived(producer, numpy.array([1150]))
    stages = {name: int(each[0]) for name, each in legs.confirm(settled).items()}
    assert stages["connect"] == 1_000_000
    assert stages["confirm_wait"] == 1_001_290 - 1100 - 1_000_000
    assert sum(stages.values()) == 1_001_400 - 1100


# Native threads


def _producer_with_cpu(computed, busy):
    """Its publish lasts 29 ns (see SENDING); the thread computed so long, all threads so long.

    Of the JSON passes' 7 ns it computed all.
    """
    cpu = {"cpu_begin": 500, "cpu_depart": 500 + computed, "cpu_json_out": 7}
    noted = {"before": {"call": 9000}, "after": {"depart": 9000 + busy}}
    return stamped.producer(**SENT, **cpu, **noted)


@pytest.mark.parametrize(
    ("computed", "busy", "stall"),
    [
        # 100 ns from call() to the last send, of which 54 in named waits: 46 of its own.
        (46, 46, 0),
        (36, 46, 10),
        # It slept: nobody else computed.
        (36, 36, 0),
        # Others computed for part of the time.
        (36, 40, 4),
        # More than publish has room for is not taken from elsewhere.
        (0, 100, 29),
        # Two clocks are never read at once.
        (50, 100, 0),
    ],
)
def test_what_a_thread_waits_for_the_interpreter_is_not_the_driver_s(computed, busy, stall):
    stages = legs.send(_producer_with_cpu(computed, busy))
    assert stages["publish_stall"].tolist() == [stall]
    assert stages["publish"].tolist() == [SENDING["publish"] - stall]
    others = {n: v.tolist() for n, v in stages.items() if not n.startswith("publish")}
    assert others == {n: [v] for n, v in SENDING.items() if n != "publish"}


def test_waiting_in_a_json_pass_is_not_taken_out_of_what_is_around_it():
    # Of the 10 ns that the thread did not compute it spent 4 in serialisation.
    columns = _producer_with_cpu(36, 46).stamped(cpu_json_out=numpy.array([3]))
    stages = legs.send(columns)
    assert stages["serialize"].tolist() == [SENDING["serialize"]]
    assert stages["publish_stall"].tolist() == [6]
    assert stages["publish"].tolist() == [SENDING["publish"] - 6]


def test_all_parts_of_the_consumer_s_driver_have_a_stall():
    edges = ("read", "submit", "start", "endpoint", "endpoint_end", "depart")
    busy = {name: 10 * SERVED[name] for name in edges}
    cpu = {"cpu_endpoint": 100, "cpu_endpoint_end": 100, "cpu_begin": 100}
    cpu |= {"cpu_handed": 4, "cpu_depart": 110}
    cpu |= {"cpu_json_in": SERVED["json_in"] - 1, "cpu_json_out": SERVED["json_out"] - 2}
    columns = stamped.consumer(**SERVED, **cpu, before=busy, after=busy)
    received, replied = legs.serve(columns), legs.answer(columns)
    # 20 ns from the read to the executor, 4 computing and 1 of waiting in deserialisation.
    assert received["decode_stall"].tolist() == [15] and received["decode"].tolist() == [0]
    assert received["dispatch_stall"].tolist() == [8] and received["dispatch"].tolist() == [0]
    # 42 ns from the endpoint's end to the send, 15 in waits, 10 computing, 2 waiting in JSON.
    assert replied["reply_publish_stall"].tolist() == [15]
    assert replied["reply_publish"].tolist() == [REPLYING["reply_publish"] - 15]


def test_a_connection_made_before_the_pool_is_asked_is_none_of_its_wait():
    early = {"connect_early": 4}
    stages = {
        name: int(each[0]) for name, each in legs.send(stamped.producer(**SENT | early)).items()
    }
    assert stages == SENDING | {
        "connect": SENDING["connect"] + 4,
        "publish": SENDING["publish"] - 4,
    }
    found = legs.answer(stamped.consumer(**SERVED | early))
    assert {name: int(found[name][0]) for name in REPLYING} == REPLYING | {
        "reply_connect": REPLYING["reply_connect"] + 4,
        "reply_publish": REPLYING["reply_publish"] - 4,
    }


def test_a_recording_of_before_has_both_connections_in_one_column():
    table = stamped.producer(**SENT)
    of_before = {name: column for name, column in table.columns.items() if name != "connect_early"}
    stages = legs.send(dataclasses.replace(table, columns=of_before))
    assert {name: int(each[0]) for name, each in stages.items()} == SENDING
