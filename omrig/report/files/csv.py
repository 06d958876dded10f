"""Tables for spreadsheets and notebooks: the stages of a run, or its messages, as CSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy
from numpy.typing import NDArray

from omrig.model.result import Result
from omrig.recordings import recording
from omrig.recordings.messages import Messages

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


def messages(folders: Sequence[Path], stages: Messages | None = None) -> Columns:
    """The messages of a run as columns, in ns of CLOCK_MONOTONIC, all of the same length.

    With a producer a row is a message that was sent: ``seq``, ``start_ns``, ``end_ns`` (0: it did
    not end well), ``intended_ns`` in an open loop, where messages differ ``pattern`` (its place in
    the mix, from 0) and ``size_bytes``, then each stage, empty where the message has none (it
    failed, or is not in the sample). ``stages`` are those of merged sides. A consumer alone has
    ``received_ns`` of each message that came, in order.
    """
    with recording.opened(folders) as sides:
        if "producer" not in sides:
            consumer = sides.get("consumer")
            return {"received_ns": (consumer.messages if consumer else Messages()).received()}
        return _sent(sides["producer"].messages, stages)


def _sent(sent: Messages, stages: Messages | None) -> Columns:
    rows = numpy.flatnonzero(sent.start_ns > 0)
    columns: dict[str, NDArray[Any]] = {
        "seq": rows,
        "start_ns": sent.start_ns[rows],
        "end_ns": sent.end_ns[rows],
    }
    if sent.intended_ns is not None:
        columns["intended_ns"] = sent.intended_ns[rows]
    for name, column in (("pattern", sent.pattern), ("size_bytes", sent.size_bytes)):
        if column is not None:
            columns[name] = column[rows]
    return columns | dict(_spread(sent if stages is None else stages, len(sent.start_ns), rows))


def _spread(stages: Messages, total: int, sent: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The stages by row of ``sent``, None where there is none."""
    seq = stages.seq()
    if seq is None:
        return
    for name, values in stages.stages().items():
        column = numpy.full(total, None, dtype=object)
        column[seq] = values
        yield f"stage.{name}", column[sent]
