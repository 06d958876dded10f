"""Messages of two sides are matched, and the clock of one is put on that of the other."""

import numpy
import pytest

from omrig.accounting import clocks
from omrig.model.result import Clock
from tests.unit.accounting import stamped

RANDOM = numpy.random.default_rng(20)

# Matching


@pytest.mark.parametrize(
    ("producer", "consumer", "here", "there"),
    [
        ([1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 2]),
        ([3, 1, 2], [2, 3, 1], [0, 1, 2], [1, 2, 0]),
        ([1, 2, 3, 4], [4, 2], [1, 3], [1, 0]),
        ([2], [9, 2, 1, 5], [0], [1]),
        # Delivered twice: the first that was served counts.
        ([7], [5, 7, 7], [0], [1]),
        ([1, 2], [3, 4], [], []),
        ([1, 2], [], [], []),
        ([], [1, 2], [], []),
    ],
)
def test_matching(producer, consumer, here, there):
    found = clocks.match(numpy.array(producer, numpy.int64), numpy.array(consumer, numpy.int64))
    assert [each.tolist() for each in found] == [here, there]


# Clocks


def _exchange(offset, trips):
    """Both sides' stamps of messages whose ways took ``trips`` (there, back), in ns."""
    there, back = numpy.array(trips).T
    depart = 10**15 + numpy.arange(len(trips)) * 1_000_000
    arrival = depart + there
    replied = arrival + 50_000
    producer = stamped.producer(depart=depart, arrival=replied + back, put=replied + back + 1)
    consumer = stamped.consumer(arrival=arrival + offset, depart=replied + offset)
    return producer, consumer


@pytest.mark.parametrize("offset", [0, 1, -1_000_000_000, 86_400_000_000_000])
def test_the_offset_of_two_hosts_is_found_within_its_error(offset):
    trips = RANDOM.integers(80_000, 5_000_000, (500, 2))
    clock = clocks.synchronise(*_exchange(offset, trips), same_host=False)
    assert not clock.same_host
    assert abs(clock.offset_ns - offset) <= clock.error_ns
    # Half of the fastest ways there and back.
    assert clock.error_ns == pytest.approx(trips.min(axis=0).sum() / 2, abs=1)


def test_one_way_that_is_slower_is_within_the_error():
    clock = clocks.synchronise(*_exchange(7_000, [(400_000, 20_000)]), same_host=False)
    assert abs(clock.offset_ns - 7_000) <= clock.error_ns + 1
    assert clock.error_ns == 210_000


def test_on_one_host_there_is_nothing_to_find():
    clock = clocks.synchronise(*_exchange(5000, [(10, 10)]), same_host=True)
    assert clock == Clock(same_host=True, offset_ns=0, error_ns=0)


def test_without_a_reply_clocks_cannot_be_compared():
    producer, consumer = _exchange(0, [(10, 10)])
    producer = producer.stamped(put=numpy.zeros(1, numpy.int64))
    assert clocks.synchronise(producer, consumer, same_host=False) is None


@pytest.mark.parametrize(
    ("producer", "consumer", "here", "there"),
    [
        ([1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 2]),
        # Of two servers, each with its rows in its own order.
        ([1, 2], [2, 1, 1, 2], [0, 0, 1, 1], [1, 2, 0, 3]),
        ([1, 2, 3], [3, 9, 3], [2, 2], [0, 2]),
        ([1, 2], [], [], []),
        ([], [1, 2], [], []),
    ],
)
def test_a_copy_for_each_server_is_matched_with_what_was_sent_once(producer, consumer, here, there):
    columns = (numpy.array(each, numpy.int64) for each in (producer, consumer))
    found = clocks.match(*columns, copies=True)
    assert [each.tolist() for each in found] == [here, there]


def test_what_was_sent_twice_says_nothing_of_the_other_host_s_clock():
    producer = stamped.producer(
        depart=[1000, 900_000], lost_depart=[0, 2000], arrival=[1600, 3000], put=[1700, 3100]
    )
    consumer = stamped.consumer(depart=[501_400, 502_900], arrival=[501_200, 502_200])
    clock = clocks.synchronise(producer, consumer, same_host=False)
    assert clock == Clock(same_host=False, offset_ns=500_000, error_ns=200)
