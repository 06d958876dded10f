"""When the bytes of a message had reached the kernel, read or not, from a watcher's logs.

An arrival found here is an upper bound, and so is the time at which the process read the message:
the smaller of the two is the arrival. The watcher sees nothing of what the process read before
the watcher woke up; the read came at once then, and is the better bound.
"""

from pathlib import Path

import numpy

from omrig.model.columns import Flags, Integers
from omrig.recordings import logs, segments
from omrig.recordings.segments import Log
from omrig.watcher import layout


def read(folder: Path) -> Log:
    """The arrivals that a watcher logged: sorted by time, the bytes never falling.

    Connections that were never watched are not in it. Raises OSError without a log.
    """
    if (folder / layout.SEGMENTS).exists():
        return segments.read(folder)
    rows = logs.rows(folder / layout.ARRIVALS, len(layout.ARRIVAL_COLUMNS)).view(numpy.int64)
    return {
        int(connection): _stream(rows[:, 1:], rows[:, 0] == connection)
        for connection in numpy.unique(rows[:, 0])
    }


def _stream(rows: Integers, chosen: Flags) -> tuple[Integers, Integers]:
    """The times of the rows that were chosen, in order, and the bytes by each, which never fall."""
    times, received = rows[chosen, 0], rows[chosen, 1]
    # The watcher writes as it sees: hardly ever is there anything to be sorted.
    if (times[1:] < times[:-1]).any():
        order = numpy.argsort(times, kind="stable")
        times, received = times[order], received[order]
    return times, numpy.maximum.accumulate(received, out=received)


def times(log: Log, connections: Integers, offsets: Integers) -> Integers:
    """When each message had arrived, CLOCK_MONOTONIC ns; 0 where the log does not say.

    A message is its connection and its end offset: the number of bytes of that connection's
    stream, from the very first, up to and including its last.
    """
    return brackets(log, connections, offsets)[1]


def brackets(log: Log, connections: Integers, offsets: Integers) -> tuple[Integers, Integers]:
    """When each message had not arrived yet, and when it had; 0 where the log does not say.

    Messages as in :func:`times`: it arrived after the first of the two times, of the last event
    with fewer bytes, and by the second, of the first event with so many.
    """
    absent = numpy.zeros(len(offsets), dtype=numpy.int64)
    found = numpy.zeros(len(offsets), dtype=numpy.int64)
    for connection in numpy.unique(connections):
        if int(connection) not in log:
            continue
        at, received = log[int(connection)]
        chosen = connections == connection
        event = numpy.searchsorted(received, offsets[chosen], side="left")
        found[chosen] = numpy.append(at, 0)[event]
        absent[chosen] = numpy.insert(at, 0, 0)[event]
    return absent, found
