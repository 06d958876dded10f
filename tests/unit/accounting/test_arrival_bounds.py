"""Which of the three arrival clocks is believed."""

import numpy
import pytest

from omrig.accounting import arrival as arrivals

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


def test_nothing_arrives_before_it_is_sent():
    arrived, latest = numpy.array([5, 15]), numpy.array([12, 20])
    corrected = arrivals.not_before(arrived, latest, numpy.array([10, 10]))
    assert corrected.tolist() == [12, 15]
