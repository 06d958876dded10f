"""The comb: every known period is found under jitter, and no smooth distribution has one."""

import numpy
import pytest

from omrig.accounting.quantised import (
    KINDS,
    MIN_MESSAGES,
    TCP_PERIODS,
    find_comb,
)
from omrig.model.facts import Comb
from omrig.model.units import MS

SEEDS = range(8)
SCALES_NS = [int(scale * MS) for scale in (0.05, 1, 1.3, 7, 50, 100, 250, 500, 1000, 5000)]


def _on_teeth(rng, period, count, teeth):
    late = min(0.1 * period, 2 * MS)
    return rng.integers(1, teeth + 1, count) * period + rng.gamma(2.0, late / 8, count)


def _period(durations):
    comb = find_comb(durations)
    return comb and comb.period_ns


@pytest.mark.parametrize("period", KINDS)
@pytest.mark.parametrize("count", [30, 1000])
def test_each_period_is_found_under_jitter(period, count):
    for seed in range(8):
        rng = numpy.random.default_rng(seed)
        assert _period(_on_teeth(rng, period, count, teeth=4)) == period


@pytest.mark.parametrize("period", [period for period in KINDS if period > MS])
def test_a_single_tooth_is_a_comb_when_the_period_is_long(period):
    durations = _on_teeth(numpy.random.default_rng(1), period, 500, teeth=1)
    assert find_comb(durations) == Comb(period, pytest.approx(1, abs=0.02), KINDS[period])


@pytest.mark.parametrize("period", KINDS)
def test_a_quarter_of_the_messages_may_lie_elsewhere(period):
    rng = numpy.random.default_rng(2)
    elsewhere = rng.uniform(0, 4 * period, 250)
    comb = find_comb(numpy.concatenate([_on_teeth(rng, period, 750, teeth=4), elsewhere]))
    assert comb.period_ns == period
    assert 0.7 <= comb.share <= 0.85


def test_half_on_teeth_is_no_comb():
    rng = numpy.random.default_rng(3)
    elsewhere = rng.uniform(0, 2000 * MS, 500)
    assert not find_comb(numpy.concatenate([_on_teeth(rng, 500 * MS, 500, teeth=4), elsewhere]))


def test_a_wait_that_begins_after_its_sleep_is_still_found():
    began_late = numpy.random.default_rng(4).normal(498.6, 0.4, 300) * MS
    assert _period(began_late) == 500 * MS


def test_mostly_second_teeth_do_not_make_the_period_twice_as_long():
    rng = numpy.random.default_rng(5)
    multiples = rng.choice([1, 2], 1000, p=[0.3, 0.7])
    assert _period(multiples * 500e6 + rng.uniform(0, 2e6, 1000)) == 500 * MS


def test_only_second_teeth_do():
    assert _period(numpy.random.default_rng(6).uniform(1000e6, 1004e6, 100)) == 1000 * MS


def test_too_few_messages_have_no_comb():
    durations = numpy.full(MIN_MESSAGES, 501 * MS)
    assert find_comb(durations)
    assert not find_comb(durations[1:])
    assert not find_comb(numpy.array([], dtype=numpy.int64))


@pytest.mark.parametrize("count", [20, 100, 1000])
@pytest.mark.parametrize("scale", SCALES_NS)
def test_smooth_distributions_have_no_comb(scale, count):
    found = []
    for seed in SEEDS:
        rng = numpy.random.default_rng(seed)
        smooth = {
            "uniform": rng.uniform(0, 2 * scale, count),
            "exponential": rng.exponential(scale, count),
            **{
                f"log-normal {sigma}": rng.lognormal(numpy.log(scale), sigma, count)
                for sigma in (0.05, 0.1, 0.3, 1.0)
            },
        }
        found += [(name, seed) for name, durations in smooth.items() if find_comb(durations)]
    assert len(found) <= 1, found


@pytest.mark.parametrize(("centre", "spread"), [(1.3, 0.5), (1.0, 0.3), (3.1, 0.4), (500, 7)])
def test_a_narrow_bell_around_a_multiple_is_no_comb(centre, spread):
    for seed in SEEDS:
        rng = numpy.random.default_rng(seed)
        assert not find_comb(rng.normal(centre, spread, 500) * MS)


ANY = [3, 7, 20, 37, 40, 50, 75, 125, 200, 230, 300, 500, 750, 1500, 3000]


def _late(rng, kind, period_ms, count):
    """How late sleeps end, in ms, within a tooth."""
    tooth = min(max(2, 0.02 * period_ms), 0.15 * period_ms)
    if kind == "gamma":
        return rng.gamma(2, tooth / 8, count)
    if kind == "exponential":
        return rng.exponential(tooth / 6, count)
    return rng.uniform(0, 0.8 * tooth, count)


@pytest.mark.parametrize("period_ms", ANY)
@pytest.mark.parametrize("kind", ["gamma", "exponential", "uniform"])
def test_any_period_is_found_and_no_harmonic_of_it(period_ms, kind):
    for seed, (count, elsewhere) in enumerate(((60, 0), (200, 0.25), (1000, 0.4))):
        rng = numpy.random.default_rng(seed)
        stray = int(elsewhere * count)
        teeth = rng.choice([1, 2, 3, 4, 5], count - stray, p=[0.4, 0.25, 0.15, 0.12, 0.08])
        stepped = teeth * period_ms + _late(rng, kind, period_ms, count - stray)
        smooth = rng.uniform(0, 5 * period_ms, stray)
        assert _period(numpy.concatenate([stepped, smooth]) * MS) == (period_ms * MS)


@pytest.mark.parametrize("scale", [7, 23, 111, 170, 700])
def test_two_clusters_are_no_comb(scale):
    for seed in SEEDS:
        rng = numpy.random.default_rng(seed)
        for ratio in (1.6, 2, 2.9, 3.3):
            few = rng.normal(scale, 0.03 * scale, 200)
            many = rng.normal(ratio * scale, 0.05 * scale, 300)
            assert not find_comb(numpy.concatenate([few, many]) * MS)


def test_a_constant_way_is_no_comb_on_a_wire_but_a_delayed_acknowledgement_is():
    rng = numpy.random.default_rng(7)
    assert not find_comb((50 + rng.gamma(2, 0.2, 500)) * MS, TCP_PERIODS)
    comb = find_comb((40 + rng.gamma(2, 0.2, 500)) * MS, TCP_PERIODS)
    assert (comb.period_ns, comb.kind) == (40 * MS, "delayed acknowledgement")
