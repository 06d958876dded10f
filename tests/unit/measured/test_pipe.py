"""What a measured process says on its pipe: whole, in one piece, and to nobody if need be."""

import os
import select
import threading

import pytest

from omrig.measured import pipe, progress
from omrig.measured.executors import base
from omrig.measured.measurement import Measurement
from omrig.model import events
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS

LATER_NS = 10**15
"""A reading of the clock a week and a half after the machine started."""

COLUMNS = max(len(PRODUCER_COLUMNS), len(CONSUMER_COLUMNS))


class Side:
    """Has ended as many messages as are told at once, and asks for the end."""

    name = "producer"

    def __init__(self, over):
        self._over = over

    def progress(self):
        self._over.set()
        return {"sent": 10**9, "done": 10**9, "errors": 0}

    def recent_ns(self):
        return [3_600 * 10**9] * 400


class Stamps:
    """A profiler that has rows to show."""

    name = "stages"

    def recent(self):
        return {"producer": [[2**63, *[LATER_NS] * (COLUMNS - 1)]] * 20}


def test_how_far_a_side_is_comes_in_pieces_that_a_pipe_takes_at_once():
    said, over, told = [], threading.Event(), threading.Event()

    def emit(event):
        said.append(event)
        if sum(len(each.rows) for each in said if isinstance(each, events.Rows)) == 20:
            told.set()

    side = Side(over)
    progress.report(base.load("threading"), emit, side, Measurement([Stamps()]), over)
    assert told.wait(10)
    assert said[0] == events.Progress("producer", {"sent": 10**9, "done": 10**9, "errors": 0})
    latencies = [each for each in said if isinstance(each, events.Latencies)]
    assert sum(len(each.latencies_ns) for each in latencies) == 400
    assert max(len(events.encode(each)) for each in said) <= select.PIPE_BUF


@pytest.mark.parametrize("length", [10, 1_000_000])
def test_what_is_said_arrives_whole(length):
    read, write = os.pipe()
    event = events.Note("x" * length)
    threading.Thread(target=pipe.emitter(write), args=(event,), daemon=True).start()
    with os.fdopen(read) as file:
        assert events.decode(file.readline()) == event
    os.close(write)


def test_a_parent_that_is_gone_hears_nothing():
    read, write = os.pipe()
    os.close(read)
    pipe.emitter(write)(events.Loaded())
    os.close(write)
