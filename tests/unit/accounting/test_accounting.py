"""The books: from hand-made stamps to the exact stages of a message, and back to their sum."""

import numpy
import pytest

from omrig.accounting import accounting
from omrig.accounting.accounting import Clock
from omrig.model.stages import BY_NAME, STAGES
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS

HERE = Clock(same_host=True)
SEND_NAMES = ("api", "serialize", "pool_wait", "connect", "publish", "socket_wait")


def _columns(names, **stamps):
    """Columns of one side; what is not given is 0."""
    given = {
        name: numpy.atleast_1d(numpy.array(each, numpy.int64)) for name, each in stamps.items()
    }
    rows = max(len(column) for column in given.values())
    empty = numpy.zeros(rows, numpy.int64)
    return {name: empty for name in (*names, "arrival", "confirm_arrival")} | given


def _producer(**stamps):
    return _columns(PRODUCER_COLUMNS, **stamps)


def _consumer(**stamps):
    return _columns(CONSUMER_COLUMNS, **stamps)


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
    producer = _producer(
        **SENT, **REPLIED, json_in=4, confirm_arrival=confirm_arrival, confirm=confirm, wait=wait
    )
    stages = accounting.stages_of("call", producer, _consumer(**SERVED), HERE)
    assert accounting.total(stages).tolist() == [1410 - 1000]
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
    producer = _producer(**SENT, **confirmed, **{"return": 1190})
    stages = accounting.stages_of("cast", producer, _consumer(**SERVED), HERE)
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
    producer = _producer(
        **SENT, **REPLIED, json_in=4, confirm_arrival=1150, confirm=1160, wait=1165
    )
    stages = accounting.stages_of("call", producer, None, None)
    assert stages["remote"].tolist() == [240]
    assert "amqp_request" not in stages
    assert accounting.total(stages).tolist() == [410]


def test_a_consumer_alone_has_its_own_stages():
    stages = accounting.stages_of("call", None, _consumer(**SERVED), None)
    assert {name: int(values[0]) for name, values in stages.items()} == {**SERVING, **REPLYING}
    assert accounting.total(stages).tolist() == [1300 - 1130]


def test_what_is_on_the_wire_is_left_out_where_clocks_cannot_be_compared():
    stages = accounting.stages_of("cast", _producer(**SENT), _consumer(**SERVED), None)
    assert "amqp_request" not in stages
    assert "receive_lag" in stages


RANDOM = numpy.random.default_rng(20)


def _random_book(rows):
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
    return _producer(**producer), _consumer(**consumer)


def test_the_stages_of_any_call_add_up_to_the_nanosecond():
    producer, consumer = _random_book(20_000)
    stages = accounting.stages_of("call", producer, consumer, HERE)
    assert (accounting.total(stages) == producer["return"] - producer["call"]).all()
    assert not accounting.negative(stages).any()
    # Both before and after the reply.
    late = producer["confirm_arrival"] > producer["put"]
    assert 0 < late.mean() < 1
    assert ((stages["confirm_wait"] > 0) == late).all()


def test_an_offset_between_the_clocks_changes_no_sum():
    producer, consumer = _random_book(1000)
    stages = accounting.stages_of("call", producer, consumer, Clock(False, 12_345_678, 1000))
    assert (accounting.total(stages) == producer["return"] - producer["call"]).all()


def test_the_two_ends_of_any_cast_add_up():
    producer, consumer = _random_book(5000)
    producer["return"] = producer["confirm"] + 5
    stages = accounting.stages_of("cast", producer, consumer, HERE)
    sending = accounting.total({name: stages[name] for name in SEND_NAMES})
    back = accounting.total({name: stages[name] for name in ("confirm_wait", "wakeup", "return")})
    assert (sending + back == producer["return"] - producer["call"]).all()
    whole = accounting.total(stages) - back
    assert (whole == consumer["endpoint_end"] - producer["call"]).all()


# Matching


@pytest.mark.parametrize(
    ("producer", "consumer", "here", "there"),
    [
        ([1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 2]),
        ([3, 1, 2], [2, 3, 1], [0, 1, 2], [1, 2, 0]),
        ([1, 2, 3, 4], [4, 2], [1, 3], [1, 0]),
        ([2], [9, 2, 1, 5], [0], [1]),
        # Delivered twice: the first that was served counts.
        ([7], [5, 7, 7], [0], [1]),
        ([1, 2], [3, 4], [], []),
        ([1, 2], [], [], []),
        ([], [1, 2], [], []),
    ],
)
def test_matching(producer, consumer, here, there):
    columns = [{"id": numpy.array(each, numpy.int64)} for each in (producer, consumer)]
    found = accounting.match(*columns)
    assert [each.tolist() for each in found] == [here, there]


# Clocks


def _exchange(offset, trips):
    """Both sides' stamps of messages whose ways took ``trips`` (there, back), in ns."""
    there, back = numpy.array(trips).T
    depart = 10**15 + numpy.arange(len(trips)) * 1_000_000
    arrival = depart + there
    replied = arrival + 50_000
    producer = _producer(depart=depart, arrival=replied + back, put=replied + back + 1)
    consumer = _consumer(arrival=arrival + offset, depart=replied + offset)
    return producer, consumer


@pytest.mark.parametrize("offset", [0, 1, -1_000_000_000, 86_400_000_000_000])
def test_the_offset_of_two_hosts_is_found_within_its_error(offset):
    trips = RANDOM.integers(80_000, 5_000_000, (500, 2))
    clock = accounting.synchronise(*_exchange(offset, trips), same_host=False)
    assert not clock.same_host
    assert abs(clock.offset_ns - offset) <= clock.error_ns
    # Half of the fastest ways there and back.
    assert clock.error_ns == pytest.approx(trips.min(axis=0).sum() / 2, abs=1)


def test_one_way_that_is_slower_is_within_the_error():
    clock = accounting.synchronise(*_exchange(7_000, [(400_000, 20_000)]), same_host=False)
    assert abs(clock.offset_ns - 7_000) <= clock.error_ns + 1
    assert clock.error_ns == 210_000


def test_on_one_host_there_is_nothing_to_find():
    clock = accounting.synchronise(*_exchange(5000, [(10, 10)]), same_host=True)
    assert clock == Clock(same_host=True, offset_ns=0, error_ns=0)


def test_without_a_reply_clocks_cannot_be_compared():
    producer, consumer = _exchange(0, [(10, 10)])
    producer["put"] = numpy.zeros(1, numpy.int64)
    assert accounting.synchronise(producer, consumer, same_host=False) is None


# Arrivals

REALTIME = 1_700_000_000_000_000_000
STEADY = [(0, REALTIME), (10_000_000_000, REALTIME + 50_000)]


def _arrival(read, watched=0, stamp=0, offsets=STEADY, watching=True, connection=1):
    columns = _producer(read=read, stamp=stamp, connection=connection)
    arrival, flagged = accounting.arrivals(columns, numpy.array([watched]), offsets, watching)
    return int(arrival[0]), bool(flagged[0])


@pytest.mark.parametrize(
    ("read", "watched", "stamp", "arrival"),
    [
        (1000, 0, 0, 1000),
        (1000, 900, 0, 900),
        (1000, 0, REALTIME + 950, 950),
        (1000, 900, REALTIME + 950, 900),
        (1000, 960, REALTIME + 950, 950),
        # The watcher woke up late, the kernel kept the stamp of a later segment.
        (1000, 1100, REALTIME + 1050, 1000),
    ],
)
def test_the_smallest_of_the_bounds_is_the_arrival(read, watched, stamp, arrival):
    assert _arrival(read, watched, stamp) == (arrival, False)


def test_the_kernel_s_clock_is_followed_while_it_is_slewed():
    middle = 5_000_000_000
    arrival, _ = _arrival(middle, stamp=REALTIME + 25_000 + middle - 300)
    assert arrival == middle - 300


def test_kernel_stamps_are_not_used_when_the_clock_was_set():
    stepped = [(0, REALTIME), (10_000_000_000, REALTIME + 10_000_000)]
    assert _arrival(1000, 0, REALTIME + 500, stepped) == (1000, False)
    assert _arrival(1000, 900, REALTIME + 500, stepped) == (900, False)


@pytest.mark.parametrize(
    ("known", "flagged"),
    [
        ({}, True),
        ({"watched": 900}, False),
        ({"stamp": REALTIME + 950}, False),
        ({"connection": 0}, False),
        ({"watching": True}, False),
    ],
)
def test_a_message_is_flagged_when_nobody_saw_it_arrive(known, flagged):
    assert _arrival(1000, **{"watching": False, **known})[1] is flagged


@pytest.mark.parametrize(
    ("stamp", "offsets", "arrival"),
    [
        (REALTIME + 1200, STEADY, 1200),
        (0, STEADY, 1300),
        # Not before the message was sent, nor after the confirm was read.
        (REALTIME + 1000, STEADY, 1100),
        (REALTIME + 2000, STEADY, 1300),
        (REALTIME + 1200, [(0, REALTIME), (10, REALTIME + 10**9)], 1300),
    ],
)
def test_the_confirm_s_arrival(stamp, offsets, arrival):
    columns = _producer(depart=1100, confirm=1300, confirm_stamp=stamp)
    assert accounting.confirm_arrival(columns, offsets).tolist() == [arrival]


# Statistics


def test_shares_add_up_to_one():
    stages = accounting.stages_of("call", *_random_book(999), HERE)
    rows = accounting.statistics(stages)
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=1e-12)
    assert sum(accounting.buckets(rows).values()) == pytest.approx(1, abs=1e-12)
    assert sum(row["total_ns"] for row in rows) == accounting.total(stages).sum()
    for row in rows:
        assert row["count"] == 999
        assert row["bucket"] == BY_NAME[row["name"]].bucket
        assert row["p50_ns"] <= row["p90_ns"] <= row["p99_ns"] <= row["max_ns"]
        assert row["p50_ns"] in stages[row["name"]]


def test_the_error_of_a_share_is_that_of_samples():
    everything = accounting.stages_of("call", *_random_book(40_000), HERE)
    shares = []
    for part in numpy.split(numpy.arange(40_000), 100):
        rows = accounting.statistics({name: each[part] for name, each in everything.items()})
        shares.append({row["name"]: (row["share"], row["share_error"]) for row in rows})
    for name in ("amqp_request", "endpoint", "wakeup"):
        spread = numpy.std([each[name][0] for each in shares])
        assert numpy.mean([each[name][1] for each in shares]) == pytest.approx(spread, rel=0.25)


def test_a_negative_stage_is_found():
    stages = {"api": numpy.array([1, 0, 5]), "publish": numpy.array([1, 2, -1])}
    assert accounting.negative(stages).tolist() == [False, False, True]


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
    found = accounting.within_tolerance(numpy.array([stages]), numpy.array([measured]))
    assert found.tolist() == [close]


def test_the_waterfall_is_of_the_mean_and_of_the_messages_around_p99():
    api = numpy.arange(1, 1001)
    waterfall = accounting.waterfall({"api": api, "publish": 2 * api}, 3 * api)
    assert waterfall["mean"] == {"api": 500, "publish": 1001}
    assert waterfall["p99"] == {"api": 990, "publish": 1980}


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
    sent = _producer(**SENT | RESENT)
    settled = sent | accounting.as_arrived(sent, numpy.array([read]))
    assert settled["depart"].tolist() == [1100 if first else 1_001_200]
    stages = {name: int(each[0]) for name, each in accounting.sending_stages(settled).items()}
    if first:
        assert stages == SENDING | {"connect": 25, "publish": SENDING["publish"] + 3}
    else:
        assert stages["connect"] == 1_000_025
        assert stages["publish"] == 1_001_200 - 1010 - 12 - 40 - 1_000_000 - 11


def test_what_was_sent_once_departed_once():
    sent = _producer(**SENT)
    settled = accounting.as_arrived(sent, numpy.array([1050]))
    assert {name: each.tolist() for name, each in settled.items()} == {
        "depart": [1100], "json_out": [7], "reconnect": [3], "reconnect_later": [0],
    }  # fmt: skip


def test_a_reply_overtakes_the_publishing_of_its_request_again():
    # Handed over while the connection is made again: the rest of that holds the caller up.
    stamps = {"confirm": 1_001_300, "confirm_arrival": 1_001_290, "wait": 1_001_400}
    replied = {"arrival": 1300, "read": 1310, "put": 1320, "woke": 1_001_410, "return": 1_001_420}
    sent = _producer(**SENT | RESENT, **stamps, **replied)
    settled = sent | accounting.as_arrived(sent, numpy.array([1150]))
    stages = {name: int(each[0]) for name, each in accounting.returning_stages(settled).items()}
    assert stages["connect"] == 1_001_290 - 1320 - stages["confirm_wait"]
    assert stages["connect"] == 999_970 and stages["confirm_wait"] == 0
    assert sum(stages.values()) == 1_001_420 - 1300


def test_a_cast_is_sent_again_while_the_first_is_under_way():
    sent = _producer(
        **SENT | RESENT, confirm=1_001_300, confirm_arrival=1_001_290, **{"return": 1_001_400}
    )
    settled = sent | accounting.as_arrived(sent, numpy.array([1150]))
    stages = {name: int(each[0]) for name, each in accounting.confirming_stages(settled).items()}
    assert stages["connect"] == 1_000_000
    assert stages["confirm_wait"] == 1_001_290 - 1100 - 1_000_000
    assert sum(stages.values()) == 1_001_400 - 1100


def test_what_was_sent_twice_says_nothing_of_the_other_host_s_clock():
    producer = _producer(
        depart=[1000, 900_000], lost_depart=[0, 2000], arrival=[1600, 3000], put=[1700, 3100]
    )
    consumer = _consumer(depart=[501_400, 502_900], arrival=[501_200, 502_200])
    clock = accounting.synchronise(producer, consumer, same_host=False)
    assert clock == accounting.Clock(same_host=False, offset_ns=500_000, error_ns=200)


# Native threads


def _producer_with_cpu(computed, busy):
    """Its publish lasts 29 ns (see SENDING); the thread computed so long, all threads so long.

    Of the JSON passes' 7 ns it computed all.
    """
    cpu = {"cpu_begin": 500, "cpu_depart": 500 + computed, "cpu_json_out": 7}
    noted = {"busy_until_call": 9000, "busy_after_depart": 9000 + busy}
    return _producer(**SENT, **cpu, **noted)


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
    stages = accounting.sending_stages(_producer_with_cpu(computed, busy))
    assert stages["publish_stall"].tolist() == [stall]
    assert stages["publish"].tolist() == [SENDING["publish"] - stall]
    others = {n: v.tolist() for n, v in stages.items() if not n.startswith("publish")}
    assert others == {n: [v] for n, v in SENDING.items() if n != "publish"}


def test_waiting_in_a_json_pass_is_not_taken_out_of_what_is_around_it():
    # Of the 10 ns that the thread did not compute it spent 4 in serialisation.
    columns = _producer_with_cpu(36, 46) | {"cpu_json_out": numpy.array([3])}
    stages = accounting.sending_stages(columns)
    assert stages["serialize"].tolist() == [SENDING["serialize"]]
    assert stages["publish_stall"].tolist() == [6]
    assert stages["publish"].tolist() == [SENDING["publish"] - 6]


def test_all_parts_of_the_consumer_s_driver_have_a_stall():
    edges = ("read", "submit", "start", "endpoint", "endpoint_end", "depart")
    busy = {f"busy_until_{name}": 10 * SERVED[name] for name in edges}
    busy |= {f"busy_after_{name}": 10 * SERVED[name] for name in edges}
    columns = _consumer(**SERVED, cpu_endpoint=100, cpu_endpoint_end=100, cpu_begin=100, **busy)
    columns |= {"cpu_handed": columns["read"] * 0 + 4, "cpu_depart": columns["read"] * 0 + 110}
    columns |= {"cpu_json_in": columns["json_in"] - 1, "cpu_json_out": columns["json_out"] - 2}
    received, replied = accounting.receiving_stages(columns), accounting.replying_stages(columns)
    # 20 ns from the read to the executor, 4 computing and 1 of waiting in deserialisation.
    assert received["decode_stall"].tolist() == [15] and received["decode"].tolist() == [0]
    assert received["dispatch_stall"].tolist() == [8] and received["dispatch"].tolist() == [0]
    # 42 ns from the endpoint's end to the send, 15 in waits, 10 computing, 2 waiting in JSON.
    assert replied["reply_publish_stall"].tolist() == [15]
    assert replied["reply_publish"].tolist() == [REPLYING["reply_publish"] - 15]


def test_the_readings_around_a_time():
    times, values = numpy.array([100, 200, 300]), numpy.array([1, 2, 3])
    when = numpy.array([50, 100, 150, 300, 400])
    assert accounting.known_before(when, times, values).tolist() == [1, 1, 1, 3, 3]
    assert accounting.known_after(when, times, values).tolist() == [1, 1, 2, 3, 3]
    nothing = numpy.zeros(0, numpy.int64)
    assert accounting.known_before(when, nothing, nothing).tolist() == [0] * 5
    assert accounting.known_after(when, nothing, nothing).tolist() == [0] * 5
