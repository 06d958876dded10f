"""A run by the patterns of its mix and the sizes of its payloads: counted and closed apart."""

from pathlib import Path

import numpy
import pytest

from omrig.accounting import classes, closure, result, statistics, timeline
from omrig.model import failures
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result
from omrig.recordings import recording
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from omrig.recordings.stamping import Stamping
from tests.unit.accounting import stamped
from tests.unit.accounting.test_legs import REPLIED, SENT, SERVED

MS = 1_000_000
MIX = {"call": 4, "cast": 2, "fanout": 2}
PLACES = numpy.array([0, 1, 0, 2, 0, 1, 2, 0])
SIZES = numpy.array([100, 1024, 2047, 2048, 100, 1023, 0, 2048])


def run(mix=None, **plan):
    mixed = {"pattern": "mix", "mix": mix} if mix else {}
    return stamped.run({"messages": 8, **mixed, **plan})


def sides(about, places=PLACES, sizes=None, failed=(), received=8, name="", producer="p"):
    """Message n begins at n ms and takes n + 1 ms; it arrives half a ms after it began."""
    count = len(places)
    start = (1 + numpy.arange(count)) * MS
    columns = {"start_ns": start, "end_ns": start + start, "pattern": places}
    if sizes is not None:
        columns["size_bytes"] = sizes
    numbers = numpy.array([seq for seq, _ in failed], numpy.int64)
    columns["end_ns"][numbers] = 0
    columns |= {"failed_seq": numbers, "failed_ns": start[numbers] + 5}
    columns["failed_kind"] = numpy.array([failures.kind(why) for _, why in failed], numpy.int64)
    errors = {}
    for _, why in failed:
        errors[why] = errors.get(why, 0) + 1
    came = numpy.where(numpy.arange(count) < received, start + MS // 2, 0)
    who = {"boot_id": "b"}
    sent = About(producer_id=producer, sent=count, done=count - len(failed), errors=errors, **who)
    got = About(producers={producer: {}}, received=int((came > 0).sum()), **who)
    stamping = Stamping(realtime_offsets=[(0, 0)])
    return {
        "producer": Recording(
            "producer", Path(), about, sent, Messages(columns), None, stamping, name
        ),
        "consumer": Recording(
            "consumer", Path(), about, got, Messages({f"received_ns.{producer}": came})
        ),
    }


def test_each_pattern_has_its_own_counts_and_latencies():
    found = result.of_sides(about := run(MIX), sides(about)).result
    counted = {name: part.messages for name, part in found.patterns.items()}
    assert {name: each.sent for name, each in counted.items()} == MIX
    assert {name: each.received for name, each in counted.items()} == MIX
    assert [each.replied for each in counted.values()] == [4, None, None]
    assert (found.messages.sent, found.messages.received, found.messages.replied) == (8, 8, 4)
    assert found.complete
    # Message n takes n + 1 ms: the calls are 0, 2, 4 and 7.
    assert found.patterns["call"].latency.mean == (1 + 3 + 5 + 8) * MS // 4
    assert found.patterns["cast"].latency.max == 6 * MS


def test_no_percentile_is_of_two_patterns():
    found = result.of_sides(about := run(MIX), sides(about)).result
    assert found.latency is found.waterfall is found.verdict is None


def test_the_throughput_of_patterns_adds_up():
    found = result.of_sides(about := run(MIX), sides(about)).result
    # Calls end with their reply at up to 16 ms, the others when they are received.
    assert found.throughput.duration_seconds == pytest.approx(0.015)
    assert found.throughput.messages_per_second == pytest.approx(8 / 0.015)
    rates = [part.throughput.messages_per_second for part in found.patterns.values()]
    assert sum(rates) == pytest.approx(8 / 0.015, abs=0.01)


def test_a_failure_is_one_of_its_pattern():
    failed = [(2, "MessagingTimeout"), (5, "MessageDeliveryFailure"), (7, "MessagingTimeout")]
    found = result.of_sides(about := run(MIX), sides(about, failed=failed)).result
    errors = {name: dict(part.messages.errors) for name, part in found.patterns.items()}
    assert errors == {
        "call": {"MessagingTimeout": 2},
        "cast": {"MessageDeliveryFailure": 1},
        "fanout": {},
    }
    assert found.patterns["call"].latency_of_failures.count == 2


def test_what_is_lost_is_lost_of_its_pattern():
    found = result.of_sides(about := run(MIX), sides(about, received=6)).result
    assert {name: part.messages.lost for name, part in found.patterns.items()} == {
        "call": 1,
        "cast": 0,
        "fanout": 1,
    }
    assert found.messages.lost == 2
    assert not found.complete


def test_the_proportions_are_over_all_members():
    about = run(MIX, producers=2, consumers=1, messages=16)
    members = [
        each
        for number in (1, 2)
        for each in sides(about, name=f"producer-{number}", producer=f"p{number}").values()
    ]
    producers, consumers = members[::2], members[1::2]
    columns = {**consumers[0].messages.columns, **consumers[1].messages.columns}
    got = About(producers={"p1": {}, "p2": {}}, received=16, boot_id="b")
    consumer = Recording("consumer", Path(), about, got, Messages(columns))
    found = result.of_sides(about, recording.held(recording.join([*producers, consumer]))).result
    assert {name: part.messages.received for name, part in found.patterns.items()} == {
        "call": 8,
        "cast": 4,
        "fanout": 4,
    }
    assert found.messages.duplicated == found.messages.lost == 0


def test_every_server_has_a_copy_of_what_is_fanned_out_and_of_nothing_else():
    about = run(MIX, consumers=2)
    both = sides(about)
    places, start = PLACES, both["producer"].messages.start_ns
    first = numpy.where((places == 2) | (numpy.arange(8) % 2 == 0), start + 1, 0)
    second = numpy.where((places == 2) | (numpy.arange(8) % 2 == 1), start + 2, 0)
    consumers = [
        Recording(
            "consumer",
            Path(),
            about,
            About(producers={"p": {}}, received=int((came > 0).sum()), boot_id="b"),
            Messages({"received_ns.p": came}),
            name=f"consumer-{number}",
        )
        for number, came in ((1, first), (2, second))
    ]
    joined = recording.held(recording.join([both["producer"], *consumers]))
    found = result.of_sides(about, joined).result
    received = {name: part.messages.received for name, part in found.patterns.items()}
    assert received == {"call": 4, "cast": 2, "fanout": 4}
    assert found.patterns["fanout"].messages.expected == 4
    assert (found.messages.sent, found.messages.received, found.messages.expected) == (8, 10, 10)
    assert found.messages.lost == found.messages.duplicated == found.messages.of_other_producers
    assert found.messages.lost == 0


def test_sizes_are_in_classes_of_powers_of_two():
    about = run()
    found = result.of_sides(about, sides(about, places=PLACES * 0, sizes=SIZES)).result
    counted = {name: part.messages.sent for name, part in found.sizes.items()}
    assert counted == {"0-1": 1, "64-127": 2, "512-1023": 1, "1024-2047": 2, "2048-4095": 2}
    assert [part.latency.count for part in found.sizes.values()] == [1, 2, 1, 2, 2]
    assert found.sizes["64-127"].latency.mean == (1 + 5) * MS // 2
    assert found.latency.count == 8
    mean = found.throughput.bytes_per_second / found.throughput.messages_per_second
    assert mean == pytest.approx(SIZES.mean(), rel=1e-3)


def test_the_sizes_of_a_mix_are_by_pattern():
    found = result.of_sides(about := run(MIX), sides(about, sizes=SIZES)).result
    assert found.sizes is None
    counted = {
        name: {size: each.messages.requested for size, each in part.sizes.items()}
        for name, part in found.patterns.items()
    }
    assert counted == {
        "call": {"64-127": 2, "1024-2047": 1, "2048-4095": 1},
        "cast": {"512-1023": 1, "1024-2047": 1},
        "fanout": {"0-1": 1, "2048-4095": 1},
    }


def test_a_result_of_parts_is_read_back_as_it_was():
    found = result.of_sides(about := run(MIX), sides(about, sizes=SIZES)).result
    assert Result.from_json(found.to_json()) == found


def test_a_mix_whose_producer_left_nothing_has_no_parts():
    about = run(MIX)
    found = result.of_sides(about, {"consumer": sides(about)["consumer"]}).result
    assert found.patterns == {}
    assert not found.complete


def tables():
    """Calls are 0 and 2, casts 1 and 3, with the stamps of each."""
    is_call = numpy.array([True, False, True, False])
    stamps = {**SENT, **REPLIED, "json_in": 4, "confirm": 1160, "confirm_arrival": 1150}
    given = {name: numpy.full(4, each) for name, each in stamps.items()}
    given["return"] = numpy.where(is_call, REPLIED["return"], 1190)
    for name in ("put", "woke"):
        given[name] = numpy.where(is_call, REPLIED[name], 0)
    served = {name: numpy.full(4, each) for name, each in SERVED.items()}
    served["depart"] = numpy.where(is_call, SERVED["depart"], 0)
    ids = numpy.arange(4) + 70
    return {
        "producer": stamped.producer(id=ids, seq=numpy.arange(4), **given),
        "consumer": stamped.consumer(id=ids[::-1], **{n: v[::-1] for n, v in served.items()}),
    }


def test_the_books_of_each_pattern_close_and_so_do_all():
    about = run({"call": 1, "cast": 1}, messages=4)
    both = sides(about, places=numpy.array([0, 1, 0, 1]))
    times = both["producer"].messages.columns
    times["start_ns"] = numpy.full(4, 1000)
    times["end_ns"] = numpy.array([1410, 1190, 1410, 1190])
    both["consumer"].messages.columns["received_ns.p"] = numpy.full(4, 1208)
    shown = []
    for name, each in classes.by_pattern(about, both).items():
        found = timeline.of_sides(each.sides, tables(), PATTERNS[name])
        books = closure.check(each.sides, found)
        assert (books.messages, books.matched, books.within_tolerance) == (2, 2, 2)
        assert books.unexplained_share == 0
        shown.append((each.sides, found))
    assert ["amqp_reply" in found.durations for _, found in shown] == [True, False]
    whole = closure.of_all(shown)
    assert (whole.messages, whole.matched, whole.within_tolerance) == (4, 4, 4)
    assert whole.unexplained_share == 0
    rows = {row.name: row for row in statistics.table(*(found.durations for _, found in shown))}
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    # A row is of the messages that have the stage.
    assert (rows["amqp_request"].count, rows["amqp_reply"].count) == (4, 2)
    every = statistics.joined([found.durations for _, found in shown])
    assert every["amqp_reply"].tolist()[2:] == [0, 0]
