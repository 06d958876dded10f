"""Durations as an HdrHistogram log: its own reader finds what was written."""

import numpy
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from omrig.accounting import statistics
from omrig.formats import hlog


def test_the_histogram_log_holds_what_was_measured(tmp_path):
    random = numpy.random.default_rng(1)
    values = (random.lognormal(15, 1, 20_000)).astype(numpy.int64)
    path = tmp_path / "l.hlog"
    with path.open("w") as file:
        hlog.write(file, {"": values}, 1.7e9, 1.7e9 + 10)
    reader = HistogramLogReader(str(path), HdrHistogram(1000, 3600 * 10**9, 3))
    histogram = reader.get_next_interval_histogram()
    assert histogram.get_total_count() == len(values)
    for percent in (50, 90, 99, 99.9):
        exact = statistics.percentile(values, percent)
        assert histogram.get_value_at_percentile(percent) == pytest.approx(exact, rel=1e-2)
