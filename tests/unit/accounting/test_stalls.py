"""Stalls: when nothing moved, and the few messages that hold much of all time."""

import numpy
import pytest

from omrig.accounting import stalls
from omrig.accounting.verdict import incidents
from omrig.model.stalls import Stalls
from tests.unit.accounting import stamped
from tools import synthetic_values

SECOND = 1_000_000_000
TIMEOUT_NS = 60 * SECOND


def _closed_loop(rng, workers, messages, latency_s, stopped=()):
    """Starts and ends of a closed loop whose messages make no way while it is stopped."""
    free, starts, ends = numpy.zeros(workers), [], []
    for _ in range(messages):
        worker = int(free.argmin())
        begin = free[worker]
        end = begin + latency_s * rng.lognormal(0, 0.3)
        for at, length in stopped:
            if begin < at + length and end > at:
                end += at + length - max(begin, at)
        starts.append(begin)
        ends.append(end)
        free[worker] = end
    return tuple((1 + numpy.array(each)) * SECOND for each in (starts, ends))


def _find(starts, ends, took_ns=TIMEOUT_NS):
    starts, ends = starts.astype(numpy.int64), ends.astype(numpy.int64)
    return stalls.find(starts, ends, starts + int(took_ns))


@pytest.mark.parametrize(("workers", "latency_s"), [(1, 0.002), (100, 0.1)])
@pytest.mark.parametrize("seed", range(5))
def test_one_stall_is_found_with_those_it_held(workers, latency_s, seed):
    rng = numpy.random.default_rng(seed)
    found = _find(*_closed_loop(rng, workers, 1500, latency_s, [(0.5, 6.0)]))
    (stall,) = found.stalls
    assert stall.ends_ns - stall.begins_ns == pytest.approx(6 * SECOND, rel=0.05)
    assert stall.begins_ns == pytest.approx(0.5 * SECOND, rel=0.05)
    assert stall.messages == len(found.held) == workers
    assert found.few
    assert found.share > 0.5


@pytest.mark.parametrize("workers", [1, 3, 30, 100])
@pytest.mark.parametrize("seed", range(5))
def test_an_even_load_has_none(workers, seed):
    assert not _find(*_closed_loop(numpy.random.default_rng(seed), workers, 1500, 0.05))


def test_bursts_are_no_stalls():
    # A hundred at a time: sent together, ended together.
    begins = numpy.repeat(numpy.arange(15) * 0.4, 100)
    ends = begins + 0.4 - numpy.linspace(0.01, 0, 1500) % 0.01
    assert not _find((1 + begins) * SECOND, (1 + ends) * SECOND)


def test_messages_that_take_long_while_others_go_on():
    starts, ends = _closed_loop(numpy.random.default_rng(1), 10, 1500, 0.01)
    few = [100, 110, 120, 130]
    ends[few] = starts[few] + SECOND
    found = _find(starts, ends)
    assert found.stalls == ()
    assert found.held.tolist() == few
    assert found.longest_ns == SECOND


def test_between_slices_nothing_is_under_way():
    starts, ends = _closed_loop(numpy.random.default_rng(1), 1, 1500, 0.002)
    later = numpy.arange(1500) >= 700
    assert not _find(starts + later * 6 * SECOND, ends + later * 6 * SECOND)


def test_what_failed_was_under_way_until_its_timeout():
    starts, ends = _closed_loop(numpy.random.default_rng(1), 10, 1500, 0.01, [(0.5, 20.0)])
    # All that were under way have failed; those behind them in the queue were sent meanwhile.
    held = (starts < 2 * SECOND) & (ends > 3 * SECOND)
    held[numpy.flatnonzero(held)[-1]] = False
    found = _find(starts, numpy.where(held, 0, ends))
    (stall,) = found.stalls
    assert stall.ends_ns - stall.begins_ns == pytest.approx(20 * SECOND, rel=0.05)


def test_what_failed_at_once_was_not_under_way_afterwards():
    starts, ends = _closed_loop(numpy.random.default_rng(1), 1, 1500, 0.002)
    later = numpy.arange(1500) >= 700
    starts, ends = starts + later * 6 * SECOND, ends + later * 6 * SECOND
    before = ends[698]
    ends[699] = 0
    starts[700] = before + 2 * SECOND
    for took_ns, waited_s in ((SECOND // 1000, 4), (TIMEOUT_NS, 6)):
        (stall,) = _find(starts, ends, took_ns).stalls
        assert stall.ends_ns - stall.begins_ns == pytest.approx(waited_s * SECOND, rel=0.01)


def test_many_are_not_few():
    found = _find(*_closed_loop(numpy.random.default_rng(1), 100, 250, 0.1, [(0.1, 6.0)]))
    assert not found.few


@pytest.mark.parametrize(("stage", "owner"), [("pool_wait", None), ("amqp_request", "amqp")])
def test_time_in_queues_alone_is_nobody_s(monkeypatch, stage, owner):
    row = synthetic_values.row(stage, share=1.0)
    monkeypatch.setattr(stalls, "judged", lambda _: stalls.Judged((row,), {}, {}))
    few = Stalls(messages=3, of=1000, share=0.4, longest_ns=SECOND, stalled_ns=0)
    held = stamped.timeline(stamped.producer(id=[1, 2, 3]), {})
    told = stalls._owned(few, held)
    assert told.owner == owner
    assert told.owner_share == (owner and 1.0)
    assert told.queue_share == (0.0 if owner else 1.0)
    said = incidents.Told(synthetic_values.result(stalls=told), left_out=False).around("v")
    assert ("of their time" in said) == bool(owner)
