"""A reader that is stopped for known spans while others send: where its lag is counted.

Nothing moves after some time without a reader: in a closed loop every worker waits for it, and the
broker has handed on what it had. Whatever is under way then lies unread in the reader's kernel,
which is known without the arrival clock.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy

from omrig.accounting import stamp_table
from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Integers
from omrig.recordings import recording
from tests.accuracy.bench import Bench, Run
from tests.accuracy.faults import tls_options

WORKERS = 100

STOP_MS = 1500.0

SETTLED = 2 / 3
"""The part of a stop after which nothing moves any more, also where the broker waits for a core."""


@dataclasses.dataclass(frozen=True)
class Backlog:
    """What lay unread while the reader was stopped and nothing moved, in ns over all messages.

    ``counted_ns`` of it is the reader's lag by the arrival clock. ``most`` is how many messages lay
    there at once.
    """

    unread_ns: int
    counted_ns: int
    most: int
    run: Run


def stopped_reader(bench: Bench, executor: str, side: str) -> Backlog:
    """The consumer or, for replies, the producer does not run for a second and a half at a time."""
    with tempfile.TemporaryDirectory() as folder:
        stops = Path(folder) / "stops"
        fault = {"kind": "stop", "side": side, "ms": STOP_MS, "stops": str(stops)}
        load = ("-w", str(WORKERS), "-m", "2000")
        run = bench.run(executor, fault, load=load, options=tls_options(bench))
        spans = [[int(time) for time in line.split()] for line in stops.read_text().splitlines()]
    reader, departed = _tables(run, side)
    unread = counted = most = 0
    for began, ended in spans:
        settled = began + int((ended - began) * SETTLED)
        lain = _overlap(departed, reader["read"], settled, ended)
        unread += int(lain.sum())
        counted += int(_overlap(reader.arrival, reader["read"], settled, ended).sum())
        most = max(most, int((lain > 0).sum()))
    return Backlog(unread, counted, most, run)


def _tables(run: Run, side: str) -> tuple[StampTable, Integers]:
    """The reader's stamps, and when the other side sent what it read."""
    tables = {name: stamp_table.read(each) for name, each in recording.load(run.folder).items()}
    reader, sender = tables[side], tables["producer" if side == "consumer" else "consumer"]
    if reader is None or sender is None:
        raise RuntimeError(f"{run.folder}: a side has no stages")
    _ids, ours, theirs = numpy.intersect1d(reader["id"], sender["id"], return_indices=True)
    return reader.take(ours), sender["depart"][theirs]


def _overlap(begins: Integers, ends: Integers, first: int, last: int) -> Integers:
    overlap: Integers = numpy.minimum(ends, last) - numpy.maximum(begins, first)
    return numpy.clip(overlap, 0, None)
