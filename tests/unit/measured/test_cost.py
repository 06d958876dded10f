"""What a stamp costs, as it is measured before the load: ratios, and that nothing is left."""

import contextvars
import json
import time

import pytest

from omrig.measured.probes import cost
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.stages import StagesProfiler
from omrig.watcher.client import Watcher

pytestmark = pytest.mark.usefixtures("module")
"""Each with both implementations of the stamps."""

MOST_CPU_NS = 50_000_000


@pytest.mark.parametrize("native", [False, True])
def test_a_stamp_costs_something_and_not_less_with_cold_caches(native):
    hot_ns, cold_ns = cost.calibrated(native)
    assert 0 < hot_ns <= cold_ns


@pytest.mark.measures
def test_the_cpu_clocks_of_threads_are_in_it():
    green, native = (
        min(cost.calibrated(native).hot_ns for _ in range(3)) for native in (False, True)
    )
    assert native > 1.2 * green


def test_nothing_of_it_is_left_behind():
    functions = (cost._enter_and_leave, cost._serialise)
    before = set(contextvars.copy_context()), [each.__code__ for each in functions]
    cost.calibrated(native=True)
    assert (set(contextvars.copy_context()), [each.__code__ for each in functions]) == before


@pytest.mark.measures
@pytest.mark.parametrize("native", [False, True])
def test_it_takes_little_of_a_processs_cpu(native):
    taken = []
    for _ in range(3):
        begun = time.thread_time_ns()
        cost.calibrated(native)
        taken.append(time.thread_time_ns() - begun)
    assert min(taken) < MOST_CPU_NS


def test_the_instrument_says_what_a_stamp_costs_and_how_many_it_made(tmp_path, monkeypatch):
    for name in ("start", "finish"):
        monkeypatch.setattr(Watcher, name, lambda *_: "normal")
    profiler = StagesProfiler(Context("eventlet", "producer", scheme="rabbit", folder=tmp_path))
    profiler.install()
    profiler.start()
    profiler._state.stamps.begin(1)
    profiler._state.stamps.end()
    profiler.stop()
    (artefact,) = profiler.save(tmp_path)
    assert artefact.path == "stamps.npz"
    told = json.loads((tmp_path / "stages.json").read_text())["cost"]
    # A message's beginning and its end, and none of those that were made to time them.
    assert told["made"] == 2
    assert 0 < told["hot_ns"] <= told["cold_ns"]
