"""What prefetch holds back in the broker: our own lag, or the way of acknowledgements."""

import numpy
import pytest

from omrig.accounting import prefetch
from tests.unit.accounting import stamped

MS = 1_000_000
EVERY_MS = 0.01


def _simulated(count, credit, way_ms, read_ms, interval_ms=EVERY_MS):
    """Messages sent in even intervals, read one after the other in ``read_ms`` each.

    A message, and an acknowledgement, is ``way_ms`` under way.
    """
    depart = numpy.arange(count) * interval_ms + 1
    arrival, read = numpy.zeros(count), numpy.zeros(count)
    for k in range(count):
        room = read[k - credit] + way_ms if credit and k >= credit else 0
        arrival[k] = max(depart[k], room) + way_ms
        read[k] = max(arrival[k], read[k - 1] if k else 0) + read_ms
    columns = {"arrival": arrival, "read": read, "submit": read, "json_in": numpy.zeros(count)}
    columns = {name: (values * MS).astype(numpy.int64) for name, values in columns.items()}
    return (depart * MS).astype(numpy.int64), stamped.consumer(**columns)


def _summary(depart, table, count):
    return prefetch.waits(prefetch.credit(table, count), depart, table.arrival).summary()


@pytest.mark.parametrize("credit", [1, 10])
def test_a_consumer_that_reads_slowly_holds_its_messages_back_itself(credit):
    found = _summary(*_simulated(500, credit, way_ms=0.05, read_ms=2), credit)
    assert found.waited_share > 0.95
    assert found.own_share > 0.9
    assert found.own_share <= found.own_most_share <= 1


def test_a_long_way_is_not_our_own():
    found = _summary(*_simulated(500, 1, way_ms=20, read_ms=0.5), 1)
    assert found.waited_share > 0.9
    assert found.own_share == pytest.approx(0.5 / 40.5, abs=0.01)
    # An acknowledgement and the next message.
    assert found.way_ns == pytest.approx(40 * MS, rel=0.01)


def test_a_larger_prefetch_hides_the_way_behind_the_work_at_hand():
    small, large = (
        _summary(*_simulated(500, credit, way_ms=1, read_ms=1), credit) for credit in (1, 10)
    )
    assert small.own_share < 0.4
    assert large.own_share > 0.9


def test_a_slow_broker_is_not_held_back():
    # One message at a time is under way, whatever was allowed.
    found = _summary(*_simulated(500, 10, way_ms=3, read_ms=0.5, interval_ms=10), 10)
    assert found.waited_share == found.own_share == 0
    assert found.way_ns is None


def test_what_comes_although_nothing_was_acknowledged_was_not_held_back():
    depart, table = _simulated(500, 0, way_ms=0.05, read_ms=2)
    assert _summary(depart, table, 1).waited_share < 0.01
