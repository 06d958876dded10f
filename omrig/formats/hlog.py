"""Durations as an HdrHistogram log, for its plotter and every other reader of the format."""

from collections.abc import Mapping
from typing import Any, TextIO

import numpy
from numpy.typing import NDArray

from omrig.model.columns import CHUNK

Nanoseconds = NDArray[Any]
"""Durations, one element a message, in nanoseconds."""

LOWEST_NS, HIGHEST_NS = 1_000, 3_600_000_000_000
"""Shorter and longer durations count as these."""

DIGITS = 3
"""Significant digits of a duration that the histogram keeps."""


OPEN_WITH = "any HdrHistogram log viewer; values are in ns"


def write(
    file: TextIO, values: Mapping[str, Nanoseconds], started_s: float, ended_s: float
) -> None:
    """Write ``values`` into an open file as an interval of a log for each tag; ``""`` is none.

    ``started_s`` and ``ended_s`` are seconds since the epoch.
    """
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogWriter

    log = HistogramLogWriter(file)
    log.output_log_format_version()
    log.output_base_time(int(started_s * 1000))
    log.output_legend()
    for tag, tagged in values.items():
        histogram = HdrHistogram(LOWEST_NS, HIGHEST_NS, DIGITS)
        for value, count in zip(*_condensed(tagged), strict=True):
            histogram.record_value(int(value), int(count))
        if tag:
            # The format has them, its writer has not.
            file.write(f"Tag={tag},")
        log.output_interval_histogram(
            histogram,
            start_time_stamp_sec=0.0,
            end_time_stamp_sec=ended_s - started_s,
            max_value_unit_ratio=1.0,
        )


def _condensed(values: Nanoseconds) -> tuple[Nanoseconds, Nanoseconds]:
    """Values rounded to a tenth of the histogram's own resolution, and how often each occurs.

    Recording one value costs a microsecond in Python; a million messages have few such values.
    """
    parts = [
        numpy.unique(_rounded(values[begin : begin + CHUNK]), return_counts=True)
        for begin in range(0, max(1, len(values)), CHUNK)
    ]
    found, place = numpy.unique(numpy.concatenate([each for each, _ in parts]), return_inverse=True)
    counts = numpy.zeros(len(found), numpy.int64)
    numpy.add.at(counts, place, numpy.concatenate([counted for _, counted in parts]))
    return found, counts


def _rounded(values: Nanoseconds) -> Nanoseconds:
    clipped = numpy.clip(values, LOWEST_NS, HIGHEST_NS).astype(numpy.int64)
    step = 10.0 ** numpy.maximum(0, numpy.floor(numpy.log10(clipped)) - DIGITS - 1)
    rounded: Nanoseconds = (numpy.round(clipped / step) * step).astype(numpy.int64)
    return rounded
