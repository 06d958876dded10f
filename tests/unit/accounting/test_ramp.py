"""The knee of a ramp, on curves of which it is known."""

import numpy
import pytest

from omrig.accounting.ramp import knee
from omrig.model.pacing import RampRow


def _rows(rates, capacity, noise=0.0, collapse=1.0, seed=1):
    """What a system with this capacity comes to; beyond it throughput may collapse."""
    chance = numpy.random.default_rng(seed)
    rows = []
    for rate in rates:
        done = rate if rate <= capacity else capacity * collapse ** ((rate - capacity) / capacity)
        done *= 1 + (noise * chance.standard_normal() if rate > capacity else 0)
        rows.append(
            RampRow(
                asked_per_second=rate,
                sent_per_second=done,
                messages_per_second=done,
                scheduled=int(rate),
                sent=int(done),
                late=0,
                dropped=max(0, int(rate - done)),
                failed=0,
                p50_ns=int(1e6),
                p99_ns=int(1e6 * rate),
            )
        )
    return rows


@pytest.mark.parametrize("capacity", [230, 505, 770, 860])
@pytest.mark.parametrize("seed", range(5))
def test_the_knee_is_where_throughput_stops_to_follow(capacity, seed):
    found = knee(_rows(numpy.linspace(100, 1000, 10).tolist(), capacity, noise=0.03, seed=seed))
    assert found.messages_per_second == pytest.approx(capacity, rel=0.1)
    assert found.followed_per_second <= capacity * 1.05
    assert found.broken_per_second > capacity
    assert found.p99_ns == int(1e6 * found.followed_per_second)


def test_a_throughput_that_collapses_has_its_knee_where_it_still_followed():
    found = knee(_rows(numpy.linspace(100, 1000, 10).tolist(), 450, collapse=0.3))
    assert found.messages_per_second >= 400
    assert (found.followed_per_second, found.broken_per_second) == (400, 500)


def test_without_a_rate_that_is_not_followed_there_is_no_knee():
    assert knee(_rows([10, 20, 30], 1000)) is None


def test_a_step_that_was_disturbed_is_no_knee():
    rows = _rows([100, 200, 300, 400, 500], 450)
    rows[1] = _rows([200], 120)[0]
    found = knee(rows)
    assert (found.followed_per_second, found.messages_per_second) == (400, 450)


def test_a_ramp_beyond_the_knee_from_the_beginning_knows_its_throughput():
    found = knee(_rows([500, 600, 700], 200))
    assert found.followed_per_second is None
    assert found.p99_ns is None
    assert found.messages_per_second == 200
    assert found.broken_per_second == 500


def test_a_ramp_down_has_the_knee_of_the_ramp_up():
    rows = _rows([100, 200, 300, 400], 250)
    assert knee(rows) == knee(rows[::-1])
