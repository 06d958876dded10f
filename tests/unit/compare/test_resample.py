"""Intervals and p values: how often they err, and against known figures."""

import numpy
import pytest

from omrig.compare import resample

REPEATS = 500


def noise(rng, *shape):
    """Logarithms as runs have them: spread, and one in ten slowed down by something else."""
    values = rng.normal(0, 0.05, shape)
    return values + (rng.random(shape) < 0.1) * numpy.abs(rng.normal(0, 0.2, shape))


@pytest.mark.parametrize("count", [3, 5, 10, 20])
@pytest.mark.parametrize("estimate", [resample.of_pairs, resample.of_sets])
def test_the_same_is_told_apart_in_one_of_twenty_cases(count, estimate):
    rng = numpy.random.default_rng(count)
    wrong = sum(estimate(noise(rng, count), noise(rng, count)).clear for _ in range(REPEATS))
    assert 0.01 <= wrong / REPEATS <= 0.08


@pytest.mark.parametrize("count", [3, 5, 10, 20])
def test_intervals_cover_a_true_difference(count):
    rng = numpy.random.default_rng(100 + count)
    covered = 0
    for _ in range(REPEATS):
        found = resample.of_sets(noise(rng, count), noise(rng, count) + 0.3)
        covered += found.low <= 0.3 <= found.high
    assert 0.92 <= covered / REPEATS <= 0.99


def test_a_lone_run_is_compared_with_the_spread_of_the_others():
    rng = numpy.random.default_rng(7)
    wrong = sum(
        resample.of_sets(rng.normal(0, 1, 1), rng.normal(0, 1, 6)).clear for _ in range(REPEATS)
    )
    assert 0.02 <= wrong / REPEATS <= 0.08
    assert resample.of_sets([1.0], [2.0]) is None


def test_runs_that_drift_like_their_slices_are_not_told_apart():
    rng = numpy.random.default_rng(11)
    wrong = narrow = 0
    for _ in range(300):
        level = rng.normal(0, 0.1, 2)
        base, new = (rng.normal(each, 0.1, 20) for each in level)
        found = resample.of_slices(base, new, float(new.mean() - base.mean()))
        wrong += found.clear
        narrow += resample.of_sets(base, new).clear
    assert wrong / 300 <= 0.08
    # What slices alone would have said: that is why another run's deviation is added.
    assert narrow / 300 > 0.3


def test_interval_and_p_value_agree_on_slices():
    rng = numpy.random.default_rng(12)
    base, new = rng.normal(0, 0.1, 20), rng.normal(0, 0.1, 20)
    far = resample.of_slices(base, new, 1.0)
    assert far.clear and far.p < 1e-6 and far.value == 1.0
    near = resample.of_slices(base, new, 0.01)
    assert not near.clear and near.p > 0.5


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (1000, 1.962), (3.5, 2.942)],
)
def test_student_as_in_the_tables(freedom, quantile):
    assert resample.student_quantile(freedom) == pytest.approx(quantile, abs=2e-3)
    assert resample.student_p(resample.student_quantile(freedom), freedom) == pytest.approx(0.05)


def test_student_far_out():
    assert resample.student_p(10.0, 9) == pytest.approx(3.58e-6, rel=0.01)
    assert resample.student_p(0.0, 5) == pytest.approx(1.0)
    assert resample.student_p(-4.303, 2) == pytest.approx(0.05, abs=1e-4)


def test_without_any_spread_what_differs_differs():
    same = resample.of_pairs([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    other = resample.of_pairs([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    assert (other.value, other.low, other.high, other.p) == (1, 1, 1, 0)


def test_resampling_is_the_same_every_time():
    rng = numpy.random.default_rng(5)
    base, new = rng.normal(0, 1, 12), rng.normal(0, 1, 12)
    assert resample.of_sets(base, new) == resample.of_sets(base, new)


def test_discoveries():
    assert resample.discoveries([], 0.05) == []
    assert resample.discoveries([0.04, 0.9], 0.05) == [False, False]
    assert resample.discoveries([0.02, 0.9], 0.05) == [True, False]
    # Each passes for all that are smaller: 0.05 is not above 5 % of 3 thirds.
    assert resample.discoveries([0.05, 0.04, 0.03], 0.05) == [True, True, True]
    rng = numpy.random.default_rng(3)
    wrong = sum(any(resample.discoveries(list(rng.random(40)), 0.05)) for _ in range(1000))
    assert 0.03 <= wrong / 1000 <= 0.07
