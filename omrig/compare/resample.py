"""How sure a difference is: 95 % intervals and p values from a few noisy values.

Values are taken as they come to be added: pass logarithms to compare ratios. doc/compare.rst says
why each method is used where it is, and how often it errs.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy
from numpy.typing import ArrayLike

from omrig.model.columns import Floats, Integers

CONFIDENCE = 0.95
"""Of every interval."""

MIN_BOOTSTRAP = 8
"""Values from which resampling them says more than Student's distribution.

Of fewer there are too few different resamples: intervals of 5 cover 98 %, of 3 they are endless.
"""

RESAMPLES = 2000
"""Their 95 % quantile is then within two percent of the one of infinitely many."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A difference, its 95 % interval and the two-sided p value of there being none."""

    value: float
    low: float
    high: float
    p: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes that there is no difference."""
        return self.low > 0 or self.high < 0


def of_pairs(base: ArrayLike, new: ArrayLike) -> Estimate | None:
    """The mean of ``new`` - ``base``, pair by pair; None of fewer than two pairs."""
    return of_mean(_floats(new) - _floats(base))


def of_mean(values: ArrayLike) -> Estimate | None:
    """The mean of ``values`` as a difference from 0; None of fewer than two."""
    values = _floats(values)
    count = len(values)
    if count < 2:
        return None
    mean, error = float(values.mean()), _error(values)
    quantile = student_quantile(count - 1)
    if count >= MIN_BOOTSTRAP:
        means, variances = _resampled(values, 0)
        quantile = _bootstrap_quantile(means, variances)
    return _estimate(mean, error, quantile, count - 1)


def of_sets(base: ArrayLike, new: ArrayLike) -> Estimate | None:
    """The difference of two means; None where neither set has two values.

    Welch's test. A set of one value is taken to be spread like the other.
    """
    base, new = _floats(base), _floats(new)
    if max(len(base), len(new)) < 2:
        return None
    difference = float(new.mean() - base.mean())
    if min(len(base), len(new)) < 2:
        larger = max((base, new), key=len)
        error = float(larger.std(ddof=1)) * math.sqrt(1 / len(base) + 1 / len(new))
        freedom = float(len(larger) - 1)
        return _estimate(difference, error, student_quantile(freedom), freedom)
    error = math.hypot(_error(base), _error(new))
    freedom = _welch(base, new)
    # Hundreds of rows have much the same freedom, and each quantile takes a search.
    quantile = student_quantile(round(freedom, 2))
    if min(len(base), len(new)) >= MIN_BOOTSTRAP:
        base_means, base_variances = _resampled(base, 0)
        new_means, new_variances = _resampled(new, 1)
        quantile = _bootstrap_quantile(new_means - base_means, base_variances + new_variances)
    return _estimate(difference, error, quantile, freedom)


def of_slices(base: ArrayLike, new: ArrayLike, difference: float) -> Estimate | None:
    """A ``difference`` of two runs of which only slices are known; None of fewer than two.

    Each draw of a side is the mean of its resampled slices and the deviation of one slice more:
    another run of the same is taken to differ from this one as much as one of its slices does.
    """
    base, new = _floats(base), _floats(new)
    if min(len(base), len(new)) < 2:
        return None
    draws = _another_run(new, 1) - _another_run(base, 0)
    reach = _high(numpy.abs(draws))
    widened = [math.sqrt(len(each) + 1) * _error(each) for each in (base, new)]
    error = math.hypot(*widened)
    p = student_p(difference / error, _welch(base, new)) if error else float(not difference)
    return Estimate(difference, difference - reach, difference + reach, p)


def of_one_in_slices(slices: ArrayLike, value: float) -> Estimate | None:
    """A run's ``value`` as a difference from 0 where only its slices are known."""
    slices = _floats(slices)
    return of_slices([0.0] * len(slices), slices, value)


def discoveries(p_values: Sequence[float], level: float) -> list[bool]:
    """Which of a family of tests to believe, by Benjamini and Hochberg.

    Of those believed at most ``level`` are wrong on average; where nothing differs, anything at
    all is believed with a probability of ``level``.
    """
    order = numpy.argsort(p_values, kind="stable")
    ranked = numpy.asarray(p_values, numpy.float64)[order]
    steps = level * numpy.arange(1, len(ranked) + 1) / max(1, len(ranked))
    passing = numpy.flatnonzero(ranked <= steps)
    believed = numpy.zeros(len(ranked), numpy.bool_)
    if len(passing):
        believed[order[: passing[-1] + 1]] = True
    return [bool(each) for each in believed]


_NODES, _WEIGHTS = numpy.polynomial.legendre.leggauss(64)


def student_p(t: float, freedom: float) -> float:
    """The two-sided p value of Student's ``t`` with ``freedom`` (above 0) degrees of freedom.

    With t = sqrt(freedom) tan(a) the density becomes cos(a)^(freedom - 1), which is integrated
    from there to a right angle.
    """
    begin = math.atan2(abs(t), math.sqrt(freedom))
    half = (math.pi / 2 - begin) / 2
    tail = half * float(_WEIGHTS @ numpy.cos(begin + half * (_NODES + 1)) ** (freedom - 1))
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    return min(1.0, tail * math.exp(scale) * 2 / math.sqrt(math.pi))


@functools.lru_cache(maxsize=1024)
def student_quantile(freedom: float, level: float = 1 - CONFIDENCE) -> float:
    """The |t| that Student's distribution exceeds with a probability of ``level`` (below 0.3)."""
    low, high = 1.0, 2.0
    while student_p(high, freedom) > level:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > level else (low, middle)
    return high


def _estimate(value: float, error: float, quantile: float, freedom: float) -> Estimate:
    p = student_p(value / error, freedom) if error else float(not value)
    return Estimate(value, value - quantile * error, value + quantile * error, p)


def _floats(values: ArrayLike) -> Floats:
    return numpy.asarray(values, numpy.float64)


def _error(values: Floats) -> float:
    """The standard error of their mean."""
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _welch(base: Floats, new: Floats) -> float:
    """The degrees of freedom of the difference of two means, by Welch and Satterthwaite."""
    ours, theirs = _error(base) ** 2, _error(new) ** 2
    if not ours + theirs:
        return float(len(base) + len(new) - 2)
    return (ours + theirs) ** 2 / (ours**2 / (len(base) - 1) + theirs**2 / (len(new) - 1))


@functools.lru_cache(maxsize=64)
def _counts(count: int, which: int) -> Floats:
    """How often each of ``count`` values is in each resample; the same in every comparison."""
    generator = numpy.random.default_rng((count, which))
    drawn = generator.multinomial(count, numpy.full(count, 1 / count), RESAMPLES)
    return drawn.astype(numpy.float64)


def _resampled(values: Floats, which: int) -> tuple[Floats, Floats]:
    """Of each resample the mean, less that of all, and the squared standard error of it."""
    count = len(values)
    counts, deviations = _counts(count, which), values - values.mean()
    means = counts @ deviations / count
    spread = numpy.maximum(counts @ deviations**2 / count - means**2, 0)
    return means, spread / (count - 1)


def _bootstrap_quantile(means: Floats, variances: Floats) -> float:
    """The 95 % quantile of |t| over resamples: the symmetric studentised bootstrap."""
    errors = numpy.sqrt(variances)
    # A resample of one value alone has no spread: as far out as can be, unless it is the middle.
    t = numpy.full(len(means), numpy.inf)
    t[means == 0] = 0.0
    numpy.divide(numpy.abs(means), errors, out=t, where=errors > 0)
    return _high(t)


def _high(values: Floats) -> float:
    """The 95 % quantile of resamples; an element of them, as some may be infinite."""
    rank = math.ceil(CONFIDENCE * len(values)) - 1
    return float(numpy.partition(values, rank)[rank])


def _another_run(slices: Floats, which: int) -> Floats:
    deviations = slices - slices.mean()
    means = _counts(len(slices), which) @ deviations / len(slices)
    another: Floats = means + deviations[_one_more(len(slices), which)]
    return another


@functools.lru_cache(maxsize=64)
def _one_more(count: int, which: int) -> Integers:
    """Which of ``count`` slices deviates in each draw, the same in every comparison."""
    return numpy.random.default_rng((count, which, RESAMPLES)).integers(0, count, RESAMPLES)
