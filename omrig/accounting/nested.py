"""The calls that endpoints made before they answered: accounted as a run of their own.

They are part of the endpoint of the messages for which they were made, and in no other figure.
"""

from collections.abc import Mapping

import numpy

from omrig.accounting import closure, latency, stamp_table, statistics, timeline
from omrig.accounting.stamp_table import StampTable
from omrig.model.patterns import CALL
from omrig.model.result import Counts, Nested, StageRow
from omrig.recordings.recording import Sides


def tables(calls: Sides) -> dict[str, StampTable]:
    """The stamps of the nested calls; of the consumers' also those of other messages."""
    found = ((name, stamp_table.read(side)) for name, side in calls.items())
    return {name: table for name, table in found if table}


def without(table: StampTable, calls: StampTable | None) -> StampTable:
    """The stamps of a consumer without those of the nested ``calls`` that it served itself."""
    return table if calls is None else table.take(~numpy.isin(table["id"], calls["id"]))


def account(
    calls: Sides, stamped: Mapping[str, StampTable], served: int, endpoint: StageRow | None
) -> Nested:
    """What the nested calls came to.

    ``served`` is how many messages they were made for, ``endpoint`` the stage that they are part
    of, None where that was not measured, or not of all of them.
    """
    producer, consumer = calls["producer"].about, calls["consumer"].about
    took = latency.of_ended(calls["producer"])
    found = timeline.of_sides(calls, stamped, CALL) if stamped else None
    in_calls = int(took.sum()) // served if served else 0
    return Nested(
        messages=Counts(
            sent=producer.sent,
            received=consumer.received,
            replied=producer.done,
            lost=max(0, producer.sent - consumer.received),
            errors=producer.errors,
        ),
        latency=statistics.summary(took),
        stages=statistics.table(found.durations) if found else None,
        closure=closure.check(calls, found) if found else None,
        calls_ns=in_calls,
        own_ns=endpoint.mean_ns - in_calls if endpoint else None,
    )
