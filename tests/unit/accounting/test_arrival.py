"""When a message was in the kernel, and when its confirm was."""

import numpy
import pytest

from omrig.accounting import arrival as arrivals
from omrig.accounting import interpreter
from tests.unit.accounting import stamped

# Arrivals

REALTIME = 1_700_000_000_000_000_000
STEADY = [(0, REALTIME), (10_000_000_000, REALTIME + 50_000)]


def _arrival(read, watched=0, stamp=0, offsets=STEADY, watching=True, connection=1):
    columns = stamped.producer(read=read, stamp=stamp, connection=connection)
    arrival, flagged = arrivals.arrivals(columns, numpy.array([watched]), offsets, watching)
    return int(arrival[0]), bool(flagged[0])


@pytest.mark.parametrize(
    ("read", "watched", "stamp", "arrival"),
    [
        (1000, 0, 0, 1000),
        (1000, 900, 0, 900),
        (1000, 0, REALTIME + 950, 950),
        (1000, 900, REALTIME + 950, 900),
        (1000, 960, REALTIME + 950, 950),
        # The watcher woke up late, the kernel kept the stamp of a later segment.
        (1000, 1100, REALTIME + 1050, 1000),
    ],
)
def test_the_smallest_of_the_bounds_is_the_arrival(read, watched, stamp, arrival):
    assert _arrival(read, watched, stamp) == (arrival, False)


def test_the_kernel_s_clock_is_followed_while_it_is_slewed():
    middle = 5_000_000_000
    arrival, _ = _arrival(middle, stamp=REALTIME + 25_000 + middle - 300)
    assert arrival == middle - 300


def test_kernel_stamps_are_not_used_when_the_clock_was_set():
    stepped = [(0, REALTIME), (10_000_000_000, REALTIME + 10_000_000)]
    assert _arrival(1000, 0, REALTIME + 500, stepped) == (1000, False)
    assert _arrival(1000, 900, REALTIME + 500, stepped) == (900, False)


@pytest.mark.parametrize(
    ("known", "flagged"),
    [
        ({}, True),
        ({"watched": 900}, False),
        ({"stamp": REALTIME + 950}, False),
        ({"connection": 0}, False),
        ({"watching": True}, False),
    ],
)
def test_a_message_is_flagged_when_nobody_saw_it_arrive(known, flagged):
    assert _arrival(1000, **{"watching": False, **known})[1] is flagged


@pytest.mark.parametrize(
    ("stamp", "offsets", "arrival"),
    [
        (REALTIME + 1200, STEADY, 1200),
        (0, STEADY, 1300),
        # Not before the message was sent, nor after the confirm was read.
        (REALTIME + 1000, STEADY, 1100),
        (REALTIME + 2000, STEADY, 1300),
        (REALTIME + 1200, [(0, REALTIME), (10, REALTIME + 10**9)], 1300),
    ],
)
def test_the_confirm_s_arrival(stamp, offsets, arrival):
    columns = stamped.producer(depart=1100, confirm=1300, confirm_stamp=stamp)
    assert arrivals.confirm_arrival(columns, offsets).tolist() == [arrival]


def test_the_readings_around_a_time():
    times, values = numpy.array([100, 200, 300]), numpy.array([1, 2, 3])
    when = numpy.array([50, 100, 150, 300, 400])
    assert interpreter.known_before(when, times, values).tolist() == [1, 1, 1, 3, 3]
    assert interpreter.known_after(when, times, values).tolist() == [1, 1, 2, 3, 3]
    nothing = numpy.zeros(0, numpy.int64)
    assert interpreter.known_before(when, nothing, nothing).tolist() == [0] * 5
    assert interpreter.known_after(when, nothing, nothing).tolist() == [0] * 5
