"""HdrHistogram logs: latencies as the viewers of that format read them."""

from typing import TextIO

import numpy

from omrig.model.columns import Integers

_LOWEST_NS = 1_000
_HIGHEST_NS = 3_600_000_000_000
_DIGITS = 3

OPEN_WITH = "any HdrHistogram log viewer; values are in ns"


def write(file: TextIO, values: Integers, started_s: float, ended_s: float) -> None:
    """Write ``values`` as one interval of an HdrHistogram log, in ns, three digits.

    ``started_s`` and ``ended_s`` are seconds since the epoch.
    """
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogWriter

    histogram = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
    for value, count in zip(*_condensed(values), strict=True):
        histogram.record_value(int(value), int(count))
    log = HistogramLogWriter(file)
    log.output_log_format_version()
    log.output_base_time(int(started_s * 1000))
    log.output_legend()
    log.output_interval_histogram(
        histogram,
        start_time_stamp_sec=0.0,
        end_time_stamp_sec=ended_s - started_s,
        max_value_unit_ratio=1.0,
    )


def _condensed(values: Integers) -> tuple[Integers, Integers]:
    """Values rounded to a tenth of the histogram's own resolution, and how often each occurs.

    Recording one value costs a microsecond in Python; a million messages have few such values.
    """
    clipped = numpy.clip(values, _LOWEST_NS, _HIGHEST_NS).astype(numpy.int64)
    step = 10.0 ** numpy.maximum(0, numpy.floor(numpy.log10(clipped)) - _DIGITS - 1)
    rounded = (numpy.round(clipped / step) * step).astype(numpy.int64)
    distinct, counts = numpy.unique(rounded, return_counts=True)
    return distinct, counts
