"""Faults of known size: messages that are not answered, pools that are full, rows that are lost."""

import itertools

import numpy
import pytest

from omrig.accounting.services import pools
from omrig.accounting.services.pools import Asked
from omrig.accounting.services.result import account
from tests import recorded
from tests.recorded import MS, SECOND, US, Fleet

COUNT = 60


def only(found, name):
    (method,) = found.called(name)
    return method


def pair(**server):
    fleet = Fleet()
    return fleet, fleet.process("ironic-api"), fleet.process("ironic-conductor", **server)


@pytest.mark.parametrize(
    ("last", "place"),
    [
        ("read", "received"),
        ("submit", "received"),
        ("start", "started"),
        ("endpoint", "endpoint"),
        ("endpoint_end", "replying"),
        ("depart", "replied"),
    ],
)
def test_a_call_that_times_out_is_where_its_server_last_had_it(tmp_path, last, place):
    fleet, api, conductor = pair()
    for number in range(3):
        fleet.call(
            api, conductor, "stuck", at=number * MS, last=last, outcome="MessagingTimeout",
            returns=2 * SECOND, request=0x123456789ABCDEF,
        )  # fmt: skip
    method = only(account(fleet.write(tmp_path)), "stuck")
    (missed,) = method.unanswered
    assert (missed.last_seen, missed.count, missed.outcome) == (place, 3, "MessagingTimeout")
    assert missed.requests == ("req-12345678-9abc-def",)
    assert (method.timed_out, method.raised) == (3, {})
    assert (method.latency, method.total_ns) == (None, 0)


def test_what_a_server_does_after_its_caller_gave_up_does_not_count(tmp_path):
    fleet, api, conductor = pair()
    fleet.call(
        api, conductor, "slow", at=0, endpoint_ns=5 * SECOND, outcome="MessagingTimeout",
        returns=SECOND,
    )  # fmt: skip
    (missed,) = only(account(fleet.write(tmp_path)), "slow").unanswered
    assert missed.last_seen == "endpoint"


def test_calls_that_nobody_saw_and_those_that_were_not_sent(tmp_path):
    fleet, api, _ = pair()
    fleet.call(api, None, "lost", at=0, outcome="MessagingTimeout", returns=SECOND)
    fleet.call(api, None, "lost", at=0, in_flight=True)
    fleet.call(api, None, "lost", at=0, outcome="MessageDeliveryFailure", returns=SECOND)
    del api.rows["producer"][-1]["depart"]
    found = account(fleet.write(tmp_path))
    method = only(found, "lost")
    assert {(each.last_seen, each.outcome) for each in method.unanswered} == {
        ("sent", "MessagingTimeout"), ("sent", ""), ("not_sent", "MessageDeliveryFailure"),
    }  # fmt: skip
    assert (method.timed_out, method.raised) == (1, {"MessageDeliveryFailure": 1})


def test_calls_that_wait_longer_than_others_took_are_unanswered(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS, endpoint_ns=500 * MS)
    fleet.call(api, None, "ping", at=8 * SECOND, in_flight=True, request=1)
    fleet.call(api, None, "ping", at=9_900 * MS, in_flight=True)
    found = account(fleet.write(tmp_path))
    method = only(found, "ping")
    (missed,) = method.unanswered
    assert (missed.count, missed.last_seen, missed.outcome) == (1, "sent", "")
    assert missed.requests == ("req-00000000-0000-001",)
    assert (method.closure.messages, method.closure.matched) == (COUNT, COUNT)
    assert any(words.startswith("1 message under way when") for words in found.not_seen)


def test_an_error_is_an_answer(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        outcome = "NodeLocked" if number < 7 else "ok"
        fleet.call(api, conductor, "lock", at=number * 10 * MS, outcome=outcome, raised=outcome)
        fleet.cast(api, conductor, "told", at=number * 10 * MS, raised=outcome)
    found = account(fleet.write(tmp_path))
    method = only(found, "lock")
    (missed,) = method.unanswered
    assert (missed.last_seen, missed.outcome, missed.count) == ("answered", "NodeLocked", 7)
    assert method.raised == {"NodeLocked": 7}
    assert (method.latency.count, method.closure.matched) == (COUNT, COUNT)
    # A cast's sender does not hear of it.
    told = only(found, "told")
    assert (told.raised, told.unanswered) == ({"NodeLocked": 7}, ())


def test_an_executor_of_one_thread_is_named_as_what_messages_wait_for(tmp_path):
    fleet, api, conductor = pair(executor_threads=1)
    busy, thread_free = 100 * MS, 0
    for number in range(COUNT):
        # Eight callers, each with the next call as soon as the last one is answered.
        at = number * busy if number >= 8 else number * MS
        ready = at + 430 * US
        queue = max(0, thread_free - ready)
        sent = fleet.call(
            api, conductor, "change", at=max(0, at - 7 * busy) if number >= 8 else at,
            endpoint_ns=busy, queue_ns=queue + (7 * busy if number >= 8 else 0) + 50 * US,
        )  # fmt: skip
        thread_free = sent.endpoint_end - recorded.BEGAN + 80 * US
    served = conductor.rows["consumer"]
    assert all(row["start"] >= before["end"] for before, row in itertools.pairwise(served))
    found = account(fleet.write(tmp_path, seconds=COUNT * 0.1))
    method = only(found, "change")
    verdict = method.verdict
    assert (verdict.owner, verdict.stage) == ("process", "executor_queue")
    assert "ironic-conductor's own process" in verdict.head
    assert "ironic-conductor's executor (1 thread, executor_thread_pool_size)" in verdict.why
    pool = found.processes[1].executor_pool
    assert (pool.size, pool.most) == (1, 1)
    assert pool.at_most_share > 0.9
    assert pool.advice.startswith("raise executor_thread_pool_size (1) or make endpoints faster: ")
    assert any(line.kind == "pools" and pool.advice in line.text for line in verdict.evidence)


def test_an_executor_with_free_threads_is_not_too_small(tmp_path):
    fleet, api, conductor = pair(executor_threads=8)
    for number in range(COUNT):
        queue_ns = 10 * MS + number * 777 * US
        fleet.call(api, conductor, "ping", at=number * 100 * MS, endpoint_ns=MS, queue_ns=queue_ns)
    verdict = only(account(fleet.write(tmp_path)), "ping").verdict
    assert verdict.stage == "executor_queue"
    assert "(8 threads, executor_thread_pool_size) has a free thread all the time" in verdict.why
    assert "too small" not in verdict.why


def asked(size, **others):
    values = {"waited_ns": 107e6, "cpu_share": 0.2, "remedy": "make endpoints faster", **others}
    return Asked(size=size, option="executor_thread_pool_size", noun="thread", **values)


def spans(*pairs):
    return numpy.array([begin for begin, _ in pairs]), numpy.array([end for _, end in pairs])


def test_a_pool_over_time():
    pool = pools.of_spans(spans((0, 40), (10, 60), (40, 50), (90, 200)), (0, 100), asked(2))
    assert (pool.mean, pool.most) == ((40 + 50 + 10 + 10) / 100, 2)
    # What ends makes room for what begins.
    assert pool.at_most_share == pytest.approx(0.4)
    assert pool.advice == (
        "raise executor_thread_pool_size (2) or make endpoints faster: all threads were busy 40 %"
        " of the time and messages waited 107 ms"
    )


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"size": 3}, None),
        ({"size": None}, None),
        ({"size": 2, "waited_ns": 50e3}, None),
        ({"size": 2, "cpu_share": 0.97}, "start more processes: all threads were busy 40 %"),
    ],
)
def test_advice_is_given_where_it_would_help(others, words):
    made = pools.of_spans(spans((0, 40), (10, 60), (40, 50)), (0, 100), asked(**others))
    assert (made.advice or "").startswith(words or "") and bool(made.advice) == bool(words)


def test_a_pool_that_nobody_used_is_none():
    assert pools.of_spans(spans(), (0, 100), asked(2)) is None


def test_connections_are_in_use_until_the_broker_confirms(tmp_path):
    fleet, api, conductor = pair()
    fleet.cast(api, conductor, "told", at=SECOND)
    found = account(fleet.write(tmp_path, seconds=10))
    pool = found.processes[0].send_pool
    assert (pool.size, pool.most) == (30, 1)
    # Held, 50 us until the last send, 180 us until the confirm.
    assert pool.mean == pytest.approx(230 * US / (10 * SECOND))


def test_green_threads_are_called_so(tmp_path):
    fleet, api, conductor = pair(executor="eventlet", executor_threads=1)
    for number in range(COUNT):
        fleet.call(
            api, conductor, "ping", at=number * 100 * MS, endpoint_ns=98 * MS, queue_ns=5 * MS
        )
    found = account(fleet.write(tmp_path, seconds=6))
    assert "its only greenthread was busy" in found.processes[1].executor_pool.advice


def test_reasons_speak_of_each_sides_own_executor(tmp_path):
    fleet, api, conductor = pair(executor="eventlet")
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 20 * MS, endpoint_ns=100 * US)
    for row in conductor.rows["consumer"]:
        for name in ("read", "taken", "submit", "start", "endpoint", "endpoint_end", "reply",
                     "pool_begin", "pool_end", "depart", "confirm", "end"):  # fmt: skip
            row[name] += 10 * MS
        row["confirm_stamp"] += 10 * MS
    for row in api.rows["producer"]:
        for name in ("read", "put", "woke", "return", "stamp"):
            row[name] += 10 * MS
    verdict = only(account(fleet.write(tmp_path)), "ping").verdict
    assert verdict.stage == "receive_lag"
    assert "before the hub reads them" in verdict.why


def test_rows_that_were_overwritten_are_counted_and_said(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=(number + 300) * 10 * MS)
    conductor.skipped["consumer"] = 2
    found = account(fleet.write(tmp_path))
    server = found.processes[1]
    assert server.overwritten > 0
    assert any("ironic-conductor had no room for" in words for words in found.not_seen)
    # Since the first row that is left.
    assert server.recorded_ns == pytest.approx(7 * SECOND, rel=0.01)


def test_unmatched_messages_of_overwritten_rows_are_of_nobody_else(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=(number + 300) * 10 * MS)
    del conductor.rows["consumer"][:20]
    conductor.skipped["consumer"] = 1
    method = only(account(fleet.write(tmp_path)), "ping")
    assert (method.matched, method.closure.messages, method.servers) == (
        COUNT - 20, COUNT, ("ironic-conductor",),
    )  # fmt: skip
    assert method.verdict.objection == "not matched"


@pytest.mark.parametrize(
    ("instrument", "words"),
    [
        ({"ended_ns": None, "cpu_ns_end": None, "complete": False}, "it ended, or was killed"),
        ({"ended_ns": recorded.BEGAN + 4 * SECOND}, "it ended, or turned its instrument off, 6.00"),
        ({"failures": ["TypeError in send"], "complete": False}, "turned itself off: TypeError"),
    ],
)
def test_processes_that_ended_before_the_others_say_why(tmp_path, instrument, words):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS)
    conductor.instrument = instrument
    found = account(fleet.write(tmp_path))
    assert found.processes[0].ended is None
    assert words in found.processes[1].ended
    assert any(words in each for each in found.not_seen)
    assert only(found, "ping").matched == COUNT


def test_what_the_recorder_says_of_the_end_of_a_process_comes_first(tmp_path):
    fleet, api, conductor = pair()
    fleet.call(api, conductor, "ping", at=0)
    conductor.instrument = {"ended_ns": None}
    found = account(fleet.write(tmp_path, ended={conductor.folder: "the process ended"}))
    assert [process.ended for process in found.processes] == [None, "the process ended"]


def test_a_process_without_a_word_on_its_instrument_has_its_rows(tmp_path):
    fleet, api, conductor = pair()
    for number in range(COUNT):
        fleet.call(api, conductor, "ping", at=number * 10 * MS)
    rec = fleet.write(tmp_path)
    (rec / conductor.folder / "instrument.json").unlink()
    found = account(rec)
    assert found.processes[1].ended is not None
    method = only(found, "ping")
    assert (method.matched, method.closure.flagged_arrivals) == (COUNT, COUNT)
    assert f"{COUNT} of {COUNT} by when they were read" in found.processes[1].arrivals


def test_what_processes_lack_is_said(tmp_path):
    fleet, api, conductor = pair()
    fleet.call(api, conductor, "ping", at=0)
    conductor.about = {
        "missing": ["no stamps of arrivals"], "lost_stages": ["deserialize"], "others": ["ddtrace"],
    }  # fmt: skip
    found = account(fleet.write(tmp_path, not_seen=["the broker was not asked"]))
    assert found.not_seen[0] == "the broker was not asked"
    assert "ironic-conductor: no stamps of arrivals" in found.not_seen
    assert any("ddtrace wraps the same functions" in words for words in found.not_seen)
    assert "deserialize" not in {row.name for row in only(found, "ping").stages}


def test_a_recording_of_nothing_is_empty(tmp_path):
    found = account(Fleet().write(tmp_path))
    assert (found.sent, found.methods, found.processes) == (0, (), ())


def test_verdicts_name_the_processes_or_how_many_there_are(tmp_path):
    heads = []
    for count in (1, 2, 3):
        fleet = Fleet()
        api = fleet.process("api")
        servers = [fleet.process(f"server-{number}") for number in range(count)]
        for number in range(COUNT):
            fleet.call(
                api, servers[number % count], "ping", at=number * 10 * MS, queue_ns=50 * MS,
                endpoint_ns=MS,
            )  # fmt: skip
        heads.append(only(account(fleet.write(tmp_path, f"rec-{count}")), "ping").verdict.head)
    assert [head.partition(" of a call is ")[2].partition(",")[0] for head in heads] == [
        "server-0's own process",
        "server-0's and server-1's own processes",
        "its 3 servers' own processes",
    ]
