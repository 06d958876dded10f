"""Arrivals, from the log of a watcher."""

import numpy

from omrig.recordings import arrivals
from omrig.watcher import layout


def test_arrival_is_the_first_event_that_covers_the_offset():
    log = {
        1: (numpy.array([100, 200, 300]), numpy.array([10, 10, 30])),
        2: (numpy.array([150]), numpy.array([5])),
    }
    connections = numpy.array([1, 2, 1, 1, 2, 3, 1])
    offsets = numpy.array([10, 5, 11, 31, 1, 1, 30])
    found = arrivals.times(log, connections, offsets)
    assert found.tolist() == [100, 150, 300, 0, 150, 0, 300]
    assert found.dtype == numpy.int64
    nothing = numpy.array([], dtype=numpy.int64)
    assert arrivals.times({}, nothing, nothing).tolist() == []


def test_the_log_says_when_a_message_had_not_arrived_yet():
    log = {1: (numpy.array([10, 20, 30]), numpy.array([100, 100, 300]))}
    offsets = numpy.array([50, 100, 200, 301])
    absent, found = arrivals.brackets(log, numpy.ones(4, numpy.int64), offsets)
    assert found.tolist() == [10, 10, 30, 0]
    assert absent.tolist() == [0, 0, 20, 30]
    unknown = arrivals.brackets(log, numpy.array([2]), numpy.array([5]))
    assert [column.tolist() for column in unknown] == [[0], [0]]


def test_a_log_is_sorted_and_half_a_row_left_out(tmp_path):
    rows = [(2, 50, 7), (1, 30, 20), (1, 10, 10), (1, 40, 15)]
    words = numpy.array(rows, dtype="<u8").tobytes()
    (tmp_path / layout.ARRIVALS).write_bytes(words + b"half a row")
    log = arrivals.read(tmp_path)
    assert {number: (t.tolist(), b.tolist()) for number, (t, b) in log.items()} == {
        1: ([10, 30, 40], [10, 20, 20]),
        2: ([50], [7]),
    }
