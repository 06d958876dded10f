"""How well an open loop kept to its times, and what is said to have kept it from them."""

import dataclasses

import numpy
import pytest

from omrig.accounting import latency, littles_law, pacing
from omrig.model.facts import Machine
from omrig.model.resources import Resources
from omrig.model.run import Environment, RecordedPlan, RecordedTransport, Run
from omrig.model.units import MS, NS
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Paced, Recording

BEGAN = 1000 * NS


def _run(rate, messages, duration_s=None, workers=4, pattern="call"):
    return Run(
        omrig="0",
        plan=RecordedPlan(
            pattern=pattern,
            executor="threading",
            profile=("none",),
            messages=messages,
            workers=workers,
            rate=rate,
            duration_s=duration_s,
        ),
        sides=("producer",),
        started_at="",
        started_epoch_seconds=0.0,
        environment=Environment(host="h", kernel="k", cpu_count=2, python="3"),
        transport=RecordedTransport(url="", source="", driver="rabbit", in_memory=False),
    )


def _producer(run, lag_ns, took_ns, tmp_path, held_ns=0, failed=()):
    """Messages that are sent so long after they were due, 0 for a lag of None."""
    count = len(lag_ns)
    intended = BEGAN + numpy.arange(count) * int(NS / run.plan.rate)
    sent = numpy.array([lag is not None for lag in lag_ns])
    start = numpy.where(sent, intended + numpy.array([lag or 0 for lag in lag_ns]), 0)
    end = numpy.where(sent, start + took_ns, 0)
    number = numpy.array(failed, numpy.int64)
    failed_ns = end[number].copy()
    end[number] = 0
    columns = {
        "start_ns": start,
        "end_ns": end,
        "intended_ns": intended,
        "failed_seq": number,
        "failed_ns": failed_ns,
    }
    about = About(sent=int(sent.sum()), pacing=Paced(began_ns=BEGAN, held_ns=held_ns))
    return Recording("producer", tmp_path, run, about, messages=Messages(columns))


def _used(**cpu):
    return {
        name: Resources(
            wall_seconds=1, cpu_user_seconds=share, cpu_system_seconds=0, peak_rss_bytes=0
        )
        for name, share in cpu.items()
    }


def _machine(busy):
    return Machine(host="h", sides=("producer",), cores=2, busy_share=busy)


def test_what_is_sent_in_time_was_limited_by_nothing(tmp_path):
    producer = _producer(_run(100, 200), [MS] * 200, 2 * MS, tmp_path)
    found = pacing.of_run({"producer": producer}, _used(producer=0.2), ())
    assert (found.asked_per_second, found.sent_per_second) == (100, 100)
    assert (found.sent, found.late, found.dropped, found.scheduled) == (200, 0, 0, 200)
    assert found.lag_p50_ns == found.lag_max_ns == MS
    assert found.gap_error_p99_ns == 0
    assert not found.fell_behind
    assert found.limited_by is None


def test_a_closed_loop_has_no_pace(tmp_path):
    producer = _producer(_run(100, 10), [0] * 10, MS, tmp_path)
    closed = dataclasses.replace(producer, about=About(sent=10))
    assert pacing.of_run({"producer": closed}, {}, ()) is None
    assert pacing.of_run({}, {}, ()) is None


def test_latency_is_from_when_a_message_was_due_also_of_those_that_failed(tmp_path):
    producer = _producer(_run(10, 3), [0, 50 * MS, 70 * MS], 5 * MS, tmp_path, failed=(2,))
    assert latency.of_ended(producer).tolist() == [5 * MS, 55 * MS]
    assert latency.of_service(producer).tolist() == [5 * MS, 5 * MS]
    assert latency.of_failed(producer).tolist() == [75 * MS]


def test_a_message_that_was_never_sent_has_no_latency(tmp_path):
    producer = _producer(_run(10, 3, duration_s=0.3), [0, None, 10 * MS], 5 * MS, tmp_path)
    assert latency.of_ended(producer).tolist() == [5 * MS, 15 * MS]
    assert producer.messages.due_ns.tolist() == [BEGAN, 0, BEGAN + 200 * MS]
    found = pacing.of_run({"producer": producer}, {}, ())
    assert (found.sent, found.dropped) == (2, 1)
    # Nothing is known of a gap of which one end was not sent.
    assert found.gap_error_p99_ns == 0


def _behind(tmp_path, took_ns=40 * MS, **more):
    """Four workers at 200 a second that come to 100: 40 ms each."""
    run = _run(200, 200, duration_s=1, **more.pop("run", {}))
    lags = [5 * MS * number for number in range(100)] + [None] * 100
    return _producer(run, lags, took_ns, tmp_path, **more)


@pytest.mark.parametrize(
    ("used", "busy", "what", "words"),
    [
        ({"producer": 0.97, "consumer": 0.95}, 1.0, "producer", "producer's core was full (CPU 0"),
        ({"producer": 0.5, "consumer": 0.95}, 1.0, "consumer", "the consumer's core was full"),
        ({"producer": 0.5, "consumer": 0.5}, 1.0, "machine", "all 2 cores of h were busy"),
        ({"producer": 0.5, "consumer": 0.5}, 0.5, "workers", "all 4 workers waited for replies"),
    ],
)
def test_falling_behind_is_said_with_what_limited_it(tmp_path, used, busy, what, words):
    producer = _behind(tmp_path)
    found = pacing.of_run({"producer": producer}, _used(**used), (_machine(busy),))
    assert found.fell_behind
    assert (found.sent_per_second, found.dropped) == (100, 100)
    assert found.limited_by.what == what
    assert words in found.limited_by.text


def test_workers_that_all_wait_are_told_how_many_would_do(tmp_path):
    found = pacing.of_run({"producer": _behind(tmp_path)}, {}, ())
    # 200 a second of 40 ms each are 8 at once, and twice that has room.
    assert found.limited_by.text.endswith("40.0 ms each: give -w 16 or more")


def test_casts_that_the_consumer_had_to_catch_up_with_are_named(tmp_path):
    producer = _behind(tmp_path, took_ns=MS, held_ns=int(3.8 * NS), run={"pattern": "cast"})
    found = pacing.of_run({"producer": producer}, _used(producer=0.4, consumer=0.5), ())
    assert found.limited_by.what == "catching up"
    assert "to catch up" in found.limited_by.text


def test_late_messages_though_workers_were_free_are_the_machines_or_nobodys(tmp_path):
    producer = _producer(_run(100, 100), [30 * MS] * 100, MS, tmp_path)
    found = pacing.of_run({"producer": producer}, _used(producer=0.2), (_machine(0.99),))
    assert found.late == 100
    assert found.limited_by.what == "machine"
    found = pacing.of_run({"producer": producer}, _used(producer=0.2), (_machine(0.3),))
    assert found.limited_by.what == "unknown"
    assert "nothing that was measured says why" in found.limited_by.text


def test_littles_law_says_nothing_of_an_open_loop(tmp_path):
    from omrig.model.latency import Latency
    from omrig.model.result import Throughput

    took = Latency(count=10, mean=MS, p50=MS, p90=MS, p99=MS, p999=MS, max=MS)
    done = Throughput(messages_per_second=100)
    plan = _run(100, 10).plan
    assert littles_law.check(plan, done, took, None) is None
    closed = dataclasses.replace(plan, rate=None)
    assert littles_law.check(closed, done, took, None) is not None
    # Four workers at 20 a second have 200 ms a message, of which they think 150.
    thinking = dataclasses.replace(closed, think_time_s=0.15)
    slow = dataclasses.replace(took, mean=50 * MS)
    found = littles_law.check(thinking, Throughput(messages_per_second=20), slow, None)
    assert found.ratio == pytest.approx(1)
    assert found.explanation is None
