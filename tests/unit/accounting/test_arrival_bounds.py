"""Which of the three arrival clocks is believed."""

import numpy
import pytest

from omrig.accounting import arrival as arrivals
from omrig.watcher import client

REALTIME = 1_700_000_000_000_000_000
OFFSETS = [(0, REALTIME), (10**10, REALTIME)]
MS = 1_000_000


def arrival(read, watched, kernel, absent=90 * MS):
    columns = {
        "read": numpy.array([read]),
        "stamp": numpy.array([kernel + REALTIME if kernel else 0]),
        "connection": numpy.array([1]),
    }
    watched = numpy.array([watched])
    found, flagged = arrivals.arrivals(
        columns, watched, OFFSETS, watching=True, absent=numpy.array([absent])
    )
    assert not flagged[0]
    return int(found[0])


@pytest.mark.parametrize(
    ("read", "watched", "kernel", "expected"),
    [
        (900 * MS, 100 * MS, 99 * MS + MS // 2, 99 * MS + MS // 2),  # the watcher woke a bit late
        (900 * MS, 100 * MS, 700 * MS, 100 * MS),  # merged: the stamp of a later segment
        (900 * MS, 100 * MS, 60 * MS, 100 * MS),  # compacted: the stamp of an earlier segment
        (900 * MS, 0, 899 * MS, 899 * MS),  # read before the watcher woke
        (900 * MS, 100 * MS, 0, 100 * MS),  # TLS: no stamp
        (900 * MS, 0, 0, 900 * MS),  # read at once
    ],
)
def test_the_earliest_credible_clock_counts(read, watched, kernel, expected):
    assert arrival(read, watched, kernel) == expected


def test_the_log_says_when_a_message_had_not_arrived_yet():
    log = {1: (numpy.array([10, 20, 30]), numpy.array([100, 100, 300]))}
    offsets = numpy.array([50, 100, 200, 301])
    absent, found = client.arrival_brackets(log, numpy.ones(4, numpy.int64), offsets)
    assert found.tolist() == [10, 10, 30, 0]
    assert absent.tolist() == [0, 0, 20, 30]
    unknown = client.arrival_brackets(log, numpy.array([2]), numpy.array([5]))
    assert [column.tolist() for column in unknown] == [[0], [0]]


def test_nothing_arrives_before_it_is_sent():
    arrived, latest = numpy.array([5, 15]), numpy.array([12, 20])
    corrected = arrivals.not_before(arrived, latest, numpy.array([10, 10]))
    assert corrected.tolist() == [12, 15]
