"""What the profilers cost, from slices of one run."""

import numpy
import pytest

from omrig.analysis import distortion
from omrig.load.producer import TWIN_PAIRS, slices


def test_slices_cover_the_load_once_and_alternate_in_abba_order():
    made = slices(1003, twin=True)
    assert len(made) == 2 * TWIN_PAIRS
    assert [first for first, _, _ in made] == [0, *(end for _, end, _ in made[:-1])]
    assert made[-1][1] == 1003
    assert [profiled for _, _, profiled in made[:8]] == [False, True, True, False] * 2
    assert slices(1003, twin=False) == [(0, 1003, True)]


def test_a_known_slowdown_is_found():
    about, started, ended, now = [], [], [], 1
    for first, end, profiled in slices(2000, twin=True):
        step = 1250 if profiled else 1000
        for _ in range(first, end):
            started.append(now)
            now += step
            ended.append(now)
        cpu = (end - first) * (0.0011 if profiled else 0.001)
        about.append(
            {
                "first": first,
                "end": end,
                "profiled": profiled,
                "producer_cpu_seconds": cpu / 2,
                "consumer_cpu_seconds": cpu / 2,
            }
        )
    del about[-1]["consumer_cpu_seconds"]
    found = distortion.measure(about, numpy.array(started), numpy.array(ended))
    assert found["pairs"] == TWIN_PAIRS
    assert found["throughput_ratio"] == pytest.approx(0.8, abs=1e-3)
    assert found["cpu_ratio"] == pytest.approx(1.1, abs=1e-3)


def test_nothing_sent_gives_no_ratio():
    empty = numpy.zeros(10, numpy.int64)
    one = {"first": 0, "end": 5, "profiled": False, "producer_cpu_seconds": 1.0}
    two = {"first": 5, "end": 10, "profiled": True, "producer_cpu_seconds": 1.0}
    assert distortion.measure([one, two], empty, empty) is None
