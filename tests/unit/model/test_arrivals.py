"""The times of an open loop: as many as asked for, when they are due, the same for the same run."""

import numpy
import pytest

from omrig.model import arrivals
from omrig.model.arrivals import Step
from omrig.model.errors import UsageError
from omrig.model.pace import Pace
from omrig.model.units import MS, NS


def _gaps(offsets):
    return numpy.diff(numpy.array(offsets, numpy.int64))


@pytest.mark.parametrize("rate", [0.5, 50, 500, 333.3])
def test_constant_arrivals_have_equal_gaps(rate):
    offsets = Pace(rate=rate).offsets(100, "r")
    assert len(offsets) == 100
    assert offsets[0] == 0
    assert abs(_gaps(offsets) - NS / rate).max() <= 1


def test_poisson_arrivals_are_as_many_as_asked_for_with_gaps_that_are_exponential():
    pace = Pace(rate=1000, arrivals="poisson", duration_s=20)
    offsets = pace.offsets(pace.messages(None, None), "r")
    assert len(offsets) == 20_000
    assert 0 < offsets[0] <= offsets[-1] < 20 * NS
    gaps = _gaps(offsets)
    assert gaps.min() >= 0
    # As long as they vary: of an exponential distribution mean and deviation are the same.
    assert gaps.mean() == pytest.approx(MS, rel=0.01)
    assert gaps.std() == pytest.approx(MS, rel=0.05)
    assert (gaps > 3 * MS).mean() == pytest.approx(numpy.exp(-3), rel=0.15)


def test_the_same_run_has_the_same_times_and_another_has_others():
    pace = Pace(rate=100, arrivals="poisson")
    assert pace.offsets(50, "a") == pace.offsets(50, "a") != pace.offsets(50, "b")


@pytest.mark.parametrize("how", arrivals.ARRIVALS)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_several_producers_together_send_what_one_would_have(how, count):
    pace = Pace(rate=100, arrivals=how)
    parts = [pace.offsets(50, "r", number, count) for number in range(count)]
    assert sorted(offset for part in parts for offset in part) == list(pace.offsets(50, "r"))
    # As the messages are shared out.
    assert [len(part) for part in parts] == [50 // count + (n < 50 % count) for n in range(count)]


def test_a_ramp_is_a_step_a_rate():
    pace = Pace(ramp="10:30:3", duration_s=6)
    assert pace.messages(None, 10_000) == 20 + 40 + 60
    assert pace.steps(120) == (
        Step(10, 0, 20, 0, 2 * NS),
        Step(20, 20, 60, 2 * NS, 4 * NS),
        Step(30, 60, 120, 4 * NS, 6 * NS),
    )
    offsets = pace.offsets(120, "r")
    for step in pace.steps(120):
        mine = offsets[step.first : step.end]
        assert step.begins_ns <= mine[0] <= mine[-1] < step.ends_ns


def test_a_ramp_lasts_so_long_a_step_unless_told():
    assert Pace(ramp="1:2:4").steps(None)[-1].ends_ns == 4 * arrivals.STEP_S * NS


@pytest.mark.parametrize(
    ("pace", "asked", "expected"),
    [
        (Pace(), None, 7),
        (Pace(), 3, 3),
        (Pace(think_time_s=1), None, 7),
        (Pace(duration_s=2), None, None),
        (Pace(duration_s=2), 3, 3),
        (Pace(rate=10), None, 7),
        (Pace(rate=10), 3, 3),
        (Pace(rate=10, duration_s=2), None, 20),
        (Pace(rate=10, duration_s=2), 3, 3),
        (Pace(rate=10, duration_s=2), 30, 20),
    ],
)
def test_how_many_messages_a_load_has(pace, asked, expected):
    assert pace.messages(asked, 7) == expected


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rate": 0.0}, "--rate"),
        ({"rate": 1.0, "ramp": "1:2:3"}, "--rate and --ramp"),
        ({"arrivals": "poisson"}, "--arrivals"),
        ({"rate": 1.0, "arrivals": "random"}, "'random'"),
        ({"duration_s": 0.0}, "--duration"),
        ({"think_time_s": -1.0}, "--think-time"),
        ({"rate": 1.0, "think_time_s": 1.0}, "--think-time"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(values, named):
    with pytest.raises(UsageError, match=named):
        Pace(**values)


@pytest.mark.parametrize("text", ["", "1:2", "1:2:1", "0:2:3", "1:-2:3", "1:2:3.5", "1:2:101", "a"])
def test_what_is_no_ramp_is_refused(text):
    with pytest.raises(UsageError, match="--ramp"):
        _ = Pace(ramp=text).rates


def test_a_load_of_no_message_is_refused():
    with pytest.raises(UsageError, match="less than one message"):
        Pace(rate=0.01, duration_s=2).messages(None, 10)


def test_the_messages_of_a_ramp_are_not_asked_for():
    with pytest.raises(UsageError, match="-m"):
        Pace(ramp="1:2:3").messages(5, 10)
