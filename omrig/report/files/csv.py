"""Tables for spreadsheets and notebooks: the stages of a run, or its messages, as CSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy
from numpy.typing import NDArray

from omrig.model.result import Result
from omrig.recordings import recording

_AT_ONCE = 10_000

Columns = Mapping[str, NDArray[Any]]


def write_stages(result: Result, file: TextIO) -> None:
    """A row a stage, in order, with the keys of ``result.stages``; only the heads without."""
    rows = [row.to_json() for row in result.stages or ()]
    heads = list(rows[0]) if rows else ["name", "side", "bucket"]
    writer = csv.DictWriter(file, heads, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def write_messages(columns: Columns, file: TextIO) -> None:
    """A row a message of the columns of :func:`messages`."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    count = len(next(iter(columns.values()), ()))
    for first in range(0, count, _AT_ONCE):
        part = [column[first : first + _AT_ONCE].tolist() for column in columns.values()]
        writer.writerows(zip(*part, strict=True))


def messages(folders: Sequence[Path], stages: Columns | None = None) -> Columns:
    """The messages of a run as columns, in ns of CLOCK_MONOTONIC, all of the same length.

    With a producer a row is a message that was sent: ``seq``, ``start_ns``, ``end_ns`` (0: it did
    not end well), then each stage, empty where the message has none (it failed, or is not in the
    sample). ``stages`` are those of merged sides, with their ``seq``. A consumer alone has
    ``received_ns`` of each message that came, in order.
    """
    sides = {name: side for folder in folders for name, side in recording.load(folder).items()}
    if "producer" not in sides:
        received = [side.received() for side in sides.values()]
        return {"received_ns": received[0] if received else numpy.zeros(0, numpy.int64)}
    producer = sides["producer"]
    if stages is None:
        stages = recording.stages(producer.folder)
    sent = numpy.flatnonzero(producer.times["start_ns"] > 0)
    columns: dict[str, NDArray[Any]] = {
        "seq": sent,
        "start_ns": producer.times["start_ns"][sent],
        "end_ns": producer.times["end_ns"][sent],
    }
    return columns | dict(_spread(stages, len(producer.times["start_ns"]), sent))


def _spread(stages: Columns, total: int, sent: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The stages by row of ``sent``, None where there is none."""
    for name, values in stages.items():
        if name != "seq":
            column = numpy.full(total, None, dtype=object)
            column[stages["seq"]] = values
            yield name, column[sent]
