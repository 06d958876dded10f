"""Hand-made stamps and runs for the accounting."""

from pathlib import Path

import numpy

from omrig.accounting.stamp_table import Busy, StampTable
from omrig.accounting.timeline import Timeline
from omrig.model.patterns import PATTERNS
from omrig.model.run import Run
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS

GONE = Path("/gone")
"""The folder of what was made here and lies nowhere."""

_BESIDE = ("arrival", "latest", "confirm_arrival", "reconnect_later")


def table(side, names, before=None, after=None, member=None, **stamps):
    """A table of one side; what is not given is 0. ``before`` and ``after`` are CPU readings."""
    given = {name: column(each) for name, each in stamps.items()}
    rows = max(len(each) for each in given.values())
    empty = numpy.zeros(rows, numpy.int64)
    busy = (
        {name: column(each) for name, each in (known or {}).items()} for known in (before, after)
    )
    return StampTable(
        side=side,
        columns={name: given.get(name, empty) for name in (*names, *given) if name not in _BESIDE},
        flagged=numpy.zeros(rows, numpy.bool_),
        member=empty if member is None else column(member),
        busy=Busy(*busy),
        **{name: given.get(name, empty) for name in _BESIDE},
    )


def column(values):
    return numpy.atleast_1d(numpy.array(values, numpy.int64))


def producer(**stamps):
    return table("producer", PRODUCER_COLUMNS, **stamps)


def consumer(**stamps):
    return table("consumer", CONSUMER_COLUMNS, **stamps)


def run(plan=(), **changes):
    """A run with what the accounting reads of it; ``plan`` is what was asked for otherwise."""
    return Run.from_json(run_json(plan, **changes))


def run_json(plan=(), **changes):
    """The same as it stands in its file."""
    return {
        "schema": 1,
        "omrig": "0",
        "sides": ["producer", "consumer"],
        "started_at": "2026-01-01T00:00:00+00:00",
        "started_epoch_seconds": 1.7e9,
        "environment": {"host": "h", "kernel": "6", "cpu_count": 2, "python": "3.11.2"},
        "plan": {
            "messages": 3,
            "pattern": "call",
            "executor": "threading",
            "size_bytes": 1000,
            "profile": ["none"],
            "workers": 1,
            "sample": 1,
            "twin": False,
            **dict(plan),
        },
        "transport": {"in_memory": False, "url": "rabbit://h/", "source": "", "driver": "rabbit"},
        "pools": {"rpc_conn_pool_size": 30, "executor_thread_pool_size": 64},
        "ended_because": None,
        **changes,
    }


def timeline(table, durations):
    """The timelines of one side's messages, with these stages."""
    return Timeline(
        pattern=PATTERNS["call"],
        producer=table if table.side == "producer" else None,
        consumer=table if table.side == "consumer" else None,
        clock=None,
        legs={},
        durations=durations,
        message=numpy.arange(table.rows),
        expected=table.rows,
    )
