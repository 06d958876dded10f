"""What recordings with known answers come to, method by method."""

import json

import pytest

from omrig.accounting import stamp_table
from omrig.accounting.services.result import account
from omrig.model.service import REMOTE, ServiceResult
from omrig.model.stamps import COLUMNS
from tests import recorded
from tests.recorded import MS, US, Fleet

COUNT = 60
"""Messages of a method: enough for a verdict."""


def result(folder, fleet, **others):
    return account(fleet.write(folder, **others))


def only(found, name):
    (method,) = found.called(name)
    return method


def mean(method, stage):
    return next(row.mean_ns for row in method.stages if row.name == stage)


def pair():
    fleet = Fleet()
    return fleet, fleet.process("api"), fleet.process("conductor")


def test_calls_are_matched_and_their_stages_add_up_to_their_span(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS, endpoint_ns=3 * MS, computing=0.25)
    found = result(tmp_path, fleet)
    method = only(found, "ping")
    assert (method.sent, method.served, method.matched) == (COUNT, COUNT, COUNT)
    assert (method.senders, method.servers) == (("api",), ("conductor",))
    closure = method.closure
    assert (closure.messages, closure.matched, closure.within_tolerance) == (COUNT,) * 3
    assert (closure.negative_stages, closure.flagged_arrivals) == (0, 0)
    assert closure.unexplained_share == 0
    assert {name: mean(method, name) for name in ("api", "pool_wait", "amqp_request")} == {
        "api": 30 * US, "pool_wait": 10 * US, "amqp_request": 200 * US,
    }  # fmt: skip
    assert mean(method, "executor_queue") == 100 * US
    assert mean(method, "endpoint") == 3 * MS
    assert method.latency.mean == sum(row.mean_ns for row in method.stages)
    assert method.latency.p50 == method.distribution["50"] == method.latency.max
    assert sum(method.owners.values()) == pytest.approx(1)
    assert method.owners["endpoint"] == pytest.approx(3 * MS / method.latency.mean)
    assert (method.endpoint_own, method.endpoint_nested) == (method.owners["endpoint"], 0)
    assert method.computing == pytest.approx(0.25)
    assert (method.self_ns, method.share) == (method.total_ns, 1)
    assert (found.sent, found.served, found.matched) == (COUNT, COUNT, COUNT)
    assert found.closure == closure
    assert ServiceResult.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_casts_have_the_ways_to_both_ends(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.cast(api, conductor, "told", at=number * 10 * MS)
    method = only(result(tmp_path, fleet), "told")
    assert (method.closure.matched, method.closure.within_tolerance) == (COUNT, COUNT)
    assert method.closure.negative_stages == 0
    assert {"confirm_wait", "amqp_request", "endpoint"} <= {row.name for row in method.stages}
    assert method.latency.mean == sum(row.mean_ns for row in method.stages)


def test_a_fanout_has_a_row_a_copy(tmp_path):
    fleet, api, conductor = pair()
    other = fleet.process("conductor")
    for number in range(COUNT):
        fleet.fanout(api, [conductor, other, api], "refresh", at=number * 10 * MS)
    method = only(result(tmp_path, fleet), "refresh")
    assert method.name.pattern == "fanout"
    assert (method.sent, method.served, method.matched) == (COUNT, 3 * COUNT, COUNT)
    assert (method.closure.messages, method.closure.matched) == (COUNT, COUNT)
    assert {row.count for row in method.stages} == {3 * COUNT}
    assert method.servers == ("api", "conductor[1100]", "conductor[1200]")


def test_notifications_that_are_served_in_batches_wait_for_their_batch(tmp_path):
    fleet, api, listener = pair()
    for number in range(COUNT):
        at = number * 10 * MS
        fleet.notify(api, listener, "made", topic="n.info", at=at, batch_ns=5 * MS)
        fleet.notify(api, listener, "made", topic="n.info", at=at + MS, together=True)
    found = result(tmp_path, fleet)
    method = only(found, "made")
    assert (method.name.label, method.matched) == ("notify n.info made", 2 * COUNT)
    assert mean(method, "batch_wait") == pytest.approx((5 + 4) / 2 * MS, abs=20 * US)
    assert method.closure.negative_stages == 0
    # A batch is in one thread.
    pool = found.processes[1].executor_pool
    assert pool.most == 1


def test_notifications_that_are_served_one_by_one_do_not(tmp_path):
    fleet, api, listener = pair()
    for number in range(COUNT):
        fleet.notify(api, listener, "made", at=number * 10 * MS)
    assert "batch_wait" not in {row.name for row in only(result(tmp_path, fleet), "made").stages}


def test_what_serves_calls_and_is_not_recorded_is_remote(tmp_path):
    fleet, api, _ = pair()
    for number in range(COUNT):
        fleet.call(api, None, "away", at=number * 10 * MS)
        fleet.cast(api, None, "told", at=number * 10 * MS)
    found = result(tmp_path, fleet)
    called, told = only(found, "away"), only(found, "told")
    assert (called.servers, told.servers) == ((REMOTE,), (REMOTE,))
    assert mean(called, "remote") > MS
    assert (called.closure.matched, called.closure.within_tolerance) == (None, COUNT)
    assert called.endpoint_own is None
    assert "amqp_request" not in {row.name for row in told.stages}
    assert any("call topic away" in words and "not recorded" in words for words in found.not_seen)
    assert called.verdict.objection == "mixed stage"
    assert "omrig exec" in called.verdict.text


def test_what_sends_and_is_not_recorded_is_remote(tmp_path):
    fleet, _, conductor = pair()
    for number in range(COUNT):
        fleet.call(None, conductor, "asked", at=number * 10 * MS)
        fleet.cast(None, conductor, "told", at=number * 10 * MS)
        fleet.notify(None, conductor, "made", topic="n.info", at=number * 10 * MS)
    found = result(tmp_path, fleet)
    assert [method.senders for method in found.methods] == [(REMOTE,)] * 3
    assert sorted(method.name.pattern for method in found.methods) == ["call", "cast", "notify"]
    asked = only(found, "asked")
    assert (asked.sent, asked.served, asked.matched) == (0, COUNT, 0)
    assert {"receive_lag", "endpoint", "reply_publish"} <= {row.name for row in asked.stages}
    assert asked.verdict.objection == "one side"
    assert "omrig report" not in asked.verdict.text


def test_messages_of_senders_that_are_not_recorded_count_with_those_of_others(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.fanout(api, [conductor], "refresh", at=2000 * MS + number * 10 * MS)
    fleet.fanout(None, [conductor], "refresh", at=3000 * MS)
    method = only(result(tmp_path, fleet), "refresh")
    assert (method.sent, method.served, method.matched) == (COUNT, COUNT + 1, COUNT)
    assert method.senders == ("api", REMOTE)


def test_what_was_under_way_while_others_were_turned_on_or_off_is_expected_nowhere(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=2000 * MS + number * 10 * MS)
    # The server is on 2 ms after the recording began, and off at its end.
    fleet.call(None, conductor, "ping", at=MS)
    fleet.call(api, None, "ping", at=MS)
    fleet.call(api, None, "ping", at=9999 * MS)
    found = result(tmp_path, fleet)
    method = only(found, "ping")
    assert (method.senders, method.servers) == (("api",), ("conductor",))
    assert (method.sent, method.closure.messages, method.closure.matched) == (
        COUNT + 2, COUNT, COUNT,
    )  # fmt: skip
    assert any(words.startswith("3 messages under way when") for words in found.not_seen)


def test_casts_that_may_still_wait_for_their_server_are_not_missed(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.cast(api, conductor, "told", at=number * 10 * MS, queue_ns=1500 * MS)
    fleet.cast(api, None, "told", at=8000 * MS)
    fleet.cast(api, None, "told", at=9000 * MS)
    method = only(result(tmp_path, fleet), "told")
    # The first of these was longer under way than any other, the second was not.
    assert (method.closure.messages, method.closure.matched) == (COUNT + 1, COUNT)
    assert method.servers == ("conductor", REMOTE)


def test_a_message_that_its_sender_did_not_name_is_what_its_server_calls_it(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS)
        fleet.cast(api, conductor, "told", at=number * 10 * MS)
    for row in api.rows["producer"]:
        row["kind"] = 0
    found = result(tmp_path, fleet)
    assert sorted(method.name.label for method in found.methods) == [
        "call topic ping", "cast topic told",
    ]  # fmt: skip
    assert [method.matched for method in found.methods] == [COUNT, COUNT]


def test_messages_that_nobody_named_are_still_counted(tmp_path):
    fleet, api, _ = pair()
    fleet.call(api, None, "ping", at=MS)
    api.rows["producer"][0]["kind"] = 0
    (method,) = result(tmp_path, fleet).methods
    assert (method.name.pattern, method.name.method, method.sent) == ("call", "", 1)


def test_messages_without_an_id_are_not_taken_for_each_other(tmp_path):
    fleet, api, conductor = pair()
    for number in range(5):
        fleet.notify(api, conductor, "old", at=number * 10 * MS)
    for row in (*api.rows["producer"], *conductor.rows["consumer"]):
        row["id"] = 0
    found = result(tmp_path, fleet)
    assert (found.sent, found.served, found.matched) == (5, 5, 0)


def test_what_was_delivered_again_counts_where_it_was_read_first(tmp_path):
    fleet, api, conductor = pair()
    fleet.call(api, conductor, "ping", at=MS)
    again = dict(conductor.rows["consumer"][0])
    for name in ("read", "taken", "submit", "start", "endpoint", "endpoint_end", "depart"):
        again[name] += 100 * MS
    conductor.rows["consumer"].insert(0, again)
    method = only(result(tmp_path, fleet), "ping")
    assert (method.served, method.matched, method.closure.negative_stages) == (2, 1, 0)


def two_hosts(ahead_ns, calls):
    fleet, api, _ = pair()
    far = fleet.process("far", host="host-b", boot_id="boot-b", ahead_ns=ahead_ns)
    for number in range(COUNT):
        at = number * 10 * MS
        (fleet.call if calls else fleet.cast)(api, far, "ping", at=at, endpoint_ns=2 * MS)
        fleet.cast(far, api, "back", at=at + 5 * MS)
    return fleet


@pytest.mark.parametrize("ahead_ns", [-900 * recorded.SECOND, 7_000_000_000 * MS])
def test_hosts_whose_calls_tell_are_put_on_one_clock(tmp_path, ahead_ns):
    found = result(tmp_path, two_hosts(ahead_ns, calls=True))
    method, back = only(found, "ping"), only(found, "back")
    assert (method.closure.within_tolerance, method.closure.negative_stages) == (COUNT, 0)
    # Half of what the fastest ways differ: 200 us there, 150 us back.
    assert mean(method, "amqp_request") == 175 * US
    assert mean(back, "amqp_request") == 225 * US
    assert back.closure.within_tolerance == COUNT
    assert any("175 µs" in words for words in found.not_seen)
    assert found.processes[2].executor_pool.most == 1


def test_hosts_without_calls_between_them_have_no_wire(tmp_path):
    found = result(tmp_path, two_hosts(-500 * recorded.SECOND, calls=False))
    method = only(found, "ping")
    assert method.matched == COUNT
    assert "amqp_request" not in {row.name for row in method.stages}
    assert "endpoint" in {row.name for row in method.stages}
    assert any("cast topic ping" in words and "left out" in words for words in found.not_seen)


def test_every_column_is_a_time_or_known_not_to_be():
    other = {
        "id", "json_out", "connect", "reconnect", "socket_wait", "confirm_stamp", "stamp",
        "json_in", "connection", "offset", "lost_json_out", "seq", *recorded.LATER,
    }  # fmt: skip
    every = {name for side in COLUMNS for name in COLUMNS[side] if not name.startswith("cpu_")}
    assert every == {*stamp_table.TIMES, *(other & every)}
    assert not other & stamp_table.TIMES


def test_green_servers_have_no_computing_and_no_stall(tmp_path):
    fleet = Fleet()
    api = fleet.process("api")
    green = fleet.process("green", executor="eventlet")
    for number in range(COUNT):
        fleet.call(api, green, "ping", at=number * 10 * MS)
    for number, row in enumerate(api.rows["producer"]):
        row |= {"cpu_begin": 1, "cpu_depart": 50 * US, "cpu_json_out": 20 * US}
        api.cpu += [(row["call"] - 1, number * MS), (row["return"] + 1, number * MS + 100 * US)]
    method = only(result(tmp_path, fleet), "ping")
    names = {row.name for row in method.stages}
    assert method.computing is None
    assert "publish_stall" in names
    assert "dispatch_stall" not in names


def test_arrivals_are_those_of_the_capture_where_there_is_one(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS)
    capture = {"used": True, "dropped": 3, "why_not": "it ended early"}
    rec = fleet.write(tmp_path, capture=capture)
    fleet.capture(rec, conductor, base=1_000_000, early_ns=45 * US)
    found = account(rec)
    # Its own stamp would say 50 us.
    assert mean(only(found, "ping"), "receive_lag") == 45 * US
    client, server = found.processes
    assert server.arrivals == "by the capture"
    assert client.arrivals.startswith("by the socket's own stamp")
    assert found.not_seen[0].startswith("the capture had no room for 3 segments")
    assert found.not_seen[1].startswith("what was captured is not all: it ended early")


def test_a_sample_tells_nothing_of_what_endpoints_sent_nor_of_pools(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS)
    found = result(tmp_path, fleet, sample=10)
    method = only(found, "ping")
    assert (found.sample, method.endpoint_own, method.endpoint_nested) == (10, None, None)
    assert found.processes[1].executor_pool is None
    assert any("one message in 10" in words for words in found.not_seen)


def test_the_example_of_a_recording_closes(tmp_path):
    found = account(recorded.example(tmp_path))
    closure = found.closure
    assert closure.messages == closure.matched == closure.within_tolerance
    assert closure.negative_stages == 0
    assert sum(method.share for method in found.methods) == pytest.approx(1)
