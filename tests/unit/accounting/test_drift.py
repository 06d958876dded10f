"""One clock against another one: lines within what requests and replies leave."""

import numpy
import pytest

from omrig.accounting import drift
from omrig.accounting.drift import Bounds
from omrig.model.units import MS, NS

BEGAN = 10**15
FASTEST_NS = 150_000


class Truth:
    """A clock that is ``ahead`` ns ahead, gains ``ppm`` and is stepped by (when in s, ns) pairs."""

    def __init__(self, ahead=0, ppm=0.0, steps=()):
        self.ahead, self.ppm, self.steps = ahead, ppm, steps

    def at(self, times):
        found = self.ahead + numpy.rint((times - BEGAN) * self.ppm / 1e6).astype(numpy.int64)
        for when_s, by in self.steps:
            found = found + numpy.where(times >= BEGAN + when_s * NS, by, 0)
        return found

    def bounds(self, lasts_s, each_s=200, there_ns=FASTEST_NS, back_ns=FASTEST_NS, seed=1):
        """What messages say of it that take ``there_ns`` and ``back_ns`` at least."""
        random = numpy.random.default_rng(seed)
        count = int(lasts_s * each_s)
        at = BEGAN + numpy.sort((random.random(count) * lasts_s * NS).astype(numpy.int64))
        later = at + 2 * MS
        there, back = random.exponential(200_000, (2, count)).astype(numpy.int64)
        return (
            Bounds(at, self.at(at) + there_ns + there),
            Bounds(later, self.at(later) - back_ns - back),
        )

    def worst(self, fit, most):
        """By how much the lines are wrong anywhere, but right at a step."""
        wrong = 0
        for line in fit.lines:
            at = most.at[(most.at >= line.since) & (most.at <= line.until)]
            found = line.offset_ns + numpy.rint((at - line.since) * line.drift).astype(numpy.int64)
            wrong = max(wrong, int(numpy.abs(found - self.at(at)).max()))
        return wrong


@pytest.mark.parametrize("ahead", [0, 500 * MS, -7 * 10**14])
@pytest.mark.parametrize("ppm", [50.0, -50.0, 200.0])
def test_an_offset_and_a_drift_are_found_within_their_errors(ahead, ppm):
    truth = Truth(ahead, ppm)
    most, least = truth.bounds(20)
    fit = drift.fit(most, least)
    (line,) = fit.lines
    assert fit.windows == 3
    assert line.told and abs(line.drift * 1e6 - ppm) <= line.drift_error * 1e6
    assert truth.worst(fit, most) <= fit.error_ns
    # Half of the band, which the fastest leave.
    assert FASTEST_NS <= fit.error_ns < 1.3 * FASTEST_NS


def test_drift_that_cannot_be_told_from_none_is_not_claimed():
    truth = Truth(ppm=10)
    most, least = truth.bounds(12)
    fit = drift.fit(most, least)
    (line,) = fit.lines
    assert not line.told and line.drift == 0
    # It may be there, and the error has it.
    assert line.drift_error * 1e6 >= 10
    assert truth.worst(fit, most) <= fit.error_ns
    longer = drift.fit(*truth.bounds(120))
    assert longer.lines[0].told and longer.error_ns < fit.error_ns


def test_a_short_run_has_an_offset():
    truth = Truth(3 * MS, ppm=50)
    most, least = truth.bounds(2)
    fit = drift.fit(most, least)
    assert fit.windows == 1 and [line.told for line in fit.lines] == [False]
    assert truth.worst(fit, most) <= fit.error_ns


def test_one_exchange_is_enough_for_an_offset():
    at = numpy.array([BEGAN])
    fit = drift.fit(Bounds(at, numpy.array([1300])), Bounds(at + 2000, numpy.array([700])))
    (line,) = fit.lines
    assert (line.offset_ns, line.drift) == (1000, 0)
    assert fit.error_ns == pytest.approx(300, abs=5)


@pytest.mark.parametrize(("there", "back"), [(4, 1), (1, 12)])
def test_a_way_that_is_longer_than_the_way_back_is_within_the_error(there, back):
    truth = Truth(500 * MS, 50)
    most, least = truth.bounds(90, there_ns=there * FASTEST_NS, back_ns=back * FASTEST_NS)
    fit = drift.fit(most, least)
    worst = truth.worst(fit, most)
    assert worst == pytest.approx(abs(there - back) * FASTEST_NS / 2, rel=0.1)
    assert worst <= fit.error_ns


@pytest.mark.parametrize("step", [5 * MS, -3 * MS, 700 * MS])
def test_a_step_of_the_clock_is_seen_and_each_part_has_its_line(step):
    truth = Truth(500 * MS, 50, steps=[(12, step)])
    most, least = truth.bounds(20)
    fit = drift.fit(most, least)
    before, after = fit.lines
    assert before.until - BEGAN == pytest.approx(12 * NS, abs=0.2 * NS)
    expected = before.offset_ns + (after.since - before.since) * before.drift
    assert after.offset_ns - expected == pytest.approx(step, abs=2 * fit.error_ns)
    assert truth.worst(fit, most) <= fit.error_ns


def test_a_clock_that_keeps_to_no_line_is_not_one():
    truth = Truth(steps=[(second, 9 * MS) for second in range(2, 20, 2)])
    assert drift.fit(*truth.bounds(20)) is None


def test_requests_alone_tell_nothing():
    most, least = Truth().bounds(1)
    assert drift.fit(most, least.between(0, 1)) is None


def test_what_comes_to_an_end_before_the_load_does_still_counts():
    truth = Truth(500 * MS, 50)
    most, least = truth.bounds(20)
    fit = drift.fit(most, least.between(0, BEGAN + 14 * NS))
    assert truth.worst(fit, most) <= fit.error_ns


def test_all_is_exact_whatever_the_hosts_count_from():
    near, far = (drift.fit(*Truth(ahead, 50).bounds(20)) for ahead in (0, 86_400 * NS * 400))
    assert far.lines[0].offset_ns - near.lines[0].offset_ns == 86_400 * NS * 400
    assert far.error_ns == near.error_ns
