"""The profilers around the load: which are taken out and in, and what their switching costs."""

import time

import pytest

from omrig.measured.measurement import Measurement
from omrig.measured.profilers.base import Context, Profiler
from omrig.measured.usage import Usage


class Mode(Profiler):
    def __init__(self, name, log, **attributes):
        super().__init__(Context("threading", "producer"))
        self.name = name
        self._log = log
        vars(self).update(attributes)

    def start(self):
        self._log.append(f"+{self.name}")

    def stop(self):
        self._log.append(f"-{self.name}")


@pytest.fixture
def log():
    return []


@pytest.fixture
def measurement(log):
    return Measurement(
        [
            Mode("stages", log, is_slow=False),
            Mode("yappi", log),
            Mode("spy", log, pausable=False),
        ]
    )


def test_only_what_slows_the_run_is_taken_out(measurement, log):
    measurement.start()
    assert log == ["+stages", "+yappi", "+spy"]
    log.clear()
    measurement.profile(False, slow_only=True)
    measurement.profile(False, slow_only=True)
    measurement.profile(True, slow_only=True)
    assert log == ["-yappi", "+yappi"]
    log.clear()
    measurement.profile(False)
    assert log == ["-yappi", "-stages"]
    log.clear()
    measurement.stop()
    measurement.profile(True)
    assert log == ["-spy"]


def test_nothing_is_switched_before_the_load(measurement, log):
    measurement.profile(True)
    assert log == []


def test_what_can_be_compared(measurement, log):
    assert measurement.offer(twin=True) == {
        "slow": ["yappi"],
        "all": ["stages", "yappi"],
        "lasting": ["spy"],
        "twin": True,
    }
    assert Measurement([]).offer(twin=False)["all"] == []


def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_what_is_left_out_does_not_count():
    usage = Usage()
    assert usage.summary() is None
    usage.start()
    burn(0.1)
    with usage.left_out():
        burn(0.4)
    burn(0.1)
    usage.stop()
    summary = usage.summary()
    used = summary["cpu_user_seconds"] + summary["cpu_system_seconds"]
    assert used == pytest.approx(0.2, abs=0.05)
    assert summary["wall_seconds"] >= 0.15
    assert summary["peak_rss_bytes"] > 1 << 20
    with usage.left_out():
        pass
    assert usage.summary() == summary


def test_what_was_used_ends_where_it_was_told_to():
    measurement = Measurement([])
    measurement.start()
    measurement.usage.stop()
    used = measurement.usage.summary()
    sum(range(100_000))
    measurement.stop()
    assert measurement.usage.summary() == used
