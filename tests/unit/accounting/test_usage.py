"""What was used during the load, from samples whose truth is known."""

import dataclasses
from pathlib import Path

import numpy
import pytest

from omrig.accounting import facts, usage
from omrig.model.facts import Machine
from omrig.model.resources import Resources, Sampled
from omrig.model.result import Counts, Result
from omrig.recordings.recording import About, Recording
from tests.unit.accounting import stamped

SECOND = 1_000_000_000
EMPTY = float("nan")


def samples(count=101, step_s=0.1, user_share=0.5, system_share=0.25, **columns):
    """Samples every ``step_s`` of a process that uses so much of a core."""
    seconds = numpy.arange(count) * step_s
    seldom = numpy.where(numpy.arange(count) % 10 == 0, 1.0, EMPTY)
    return {
        "monotonic_ns": seconds * SECOND,
        "cpu_user_seconds": seconds * user_share,
        "cpu_system_seconds": seconds * system_share,
        "rss_bytes": numpy.full(count, 1000.0),
        "uss_bytes": 500 * seldom,
        "threads": 7 * seldom,
        "descriptors": 9 * seldom,
        "voluntary_context_switches": 100 * seconds * seldom,
        "involuntary_context_switches": 10 * seconds * seldom,
        **columns,
    }


def test_counters_between_two_samples_and_two_readings():
    # Neither the load's ends nor the readings of the context switches are at a sample.
    found = usage.counters(samples(), int(2.03 * SECOND), int(7.58 * SECOND))
    assert found.wall_seconds == pytest.approx(5.55)
    assert found.cpu_user_seconds == pytest.approx(2.775)
    assert found.cpu_system_seconds == pytest.approx(1.3875)
    assert found.voluntary_context_switches == 555
    assert found.involuntary_context_switches == pytest.approx(55.5, abs=1)
    assert found.peak_rss_bytes == 1000


def test_a_summary_is_of_the_load_alone():
    resident = numpy.full(101, 1000.0)
    resident[40] = 3000
    # Before the load and after it.
    resident[[5, 95]] = 9000
    found = usage.summary(samples(rss_bytes=resident), 3 * SECOND, 8 * SECOND)
    assert found.to_json() == {
        "cpu_share_mean": 0.75,
        "cpu_share_max": 0.75,
        "peak_rss_bytes": 3000,
        "peak_uss_bytes": 500,
        "threads_max": 7,
        "descriptors_max": 9,
        "samples": 51,
    }


def test_the_busiest_second():
    rates = numpy.zeros(101)
    # Half a core for three seconds, in which one is a whole core's.
    rates[30:60] = 0.05
    rates[42:52] = 0.1
    used = numpy.concatenate([[0], numpy.cumsum(rates)[:-1]])
    busy = samples(cpu_user_seconds=used, cpu_system_seconds=numpy.zeros(101))
    found = usage.summary(busy, 0, 10 * SECOND)
    assert found.cpu_share_max == pytest.approx(1.0)
    assert found.cpu_share_mean == pytest.approx(0.2)


def test_a_load_of_less_than_a_second_has_no_busiest_one():
    found = usage.summary(samples(), 3 * SECOND, int(3.5 * SECOND))
    assert found.cpu_share_max == found.cpu_share_mean == 0.75


def test_what_was_never_read_is_not_known():
    nothing = numpy.full(101, EMPTY)
    found = usage.summary(samples(uss_bytes=nothing, descriptors=nothing), 0, SECOND)
    assert found.peak_uss_bytes is None
    assert found.descriptors_max is None


@pytest.mark.parametrize("span", [(11, 12), (-5, -1), (3, 3)])
def test_samples_that_do_not_reach_into_the_load(span):
    first, last = (each * SECOND for each in span)
    assert usage.counters(samples(), first, last) is None
    assert usage.summary(samples(), first, last) is None


def test_threads_that_wait_for_a_core_are_counted_between_readings():
    seconds = numpy.arange(101) * 0.1
    seldom = numpy.where(numpy.arange(101) % 10 == 0, 1.0, EMPTY)
    waited = (7 + 3 * seconds) * seldom
    found = usage.summary(samples(core_wait_seconds=waited), int(2.03 * SECOND), int(7.58 * SECOND))
    assert found.core_wait_mean == pytest.approx(3.0)
    # The load goes on after the last reading, of which nothing is known.
    waited[60:] = EMPTY
    found = usage.summary(samples(core_wait_seconds=waited), 2 * SECOND, 9 * SECOND)
    assert found.core_wait_mean == pytest.approx(3.0)
    waited[1:] = EMPTY
    one = usage.summary(samples(core_wait_seconds=waited), 2 * SECOND, 9 * SECOND)
    assert one.core_wait_mean is None
    assert "core_wait_mean" not in one.to_json()


def machine(busy=1.5, idle=0.3, iowait=0.1, steal=0.1):
    seconds = numpy.arange(101) * 0.1
    columns = {"busy": busy, "idle": idle, "iowait": iowait, "steal": steal}
    return {
        "monotonic_ns": seconds * SECOND,
        **{f"{name}_seconds": 1000 + seconds * cores for name, cores in columns.items()},
    }


def test_the_shares_of_a_machine_of_two_cores():
    found = usage.shares(machine(), SECOND, 9 * SECOND)
    assert found == {"busy_share": 0.75, "iowait_share": 0.05, "steal_share": 0.05}


def _used(share=None, wait=None):
    sampled = None
    if share is not None:
        sampled = Sampled(cpu_share_mean=share, cpu_share_max=share, core_wait_mean=wait)
    return Resources(
        wall_seconds=8.0,
        cpu_user_seconds=1.0,
        cpu_system_seconds=1.0,
        peak_rss_bytes=1,
        sampled=sampled,
    )


def test_facts_take_the_share_over_the_load_where_it_was_sampled():
    side = Recording("producer", Path(), stamped.run(), About())
    result = Result(
        complete=True,
        pattern="call",
        executor="threading",
        sides=("producer", "consumer"),
        is_measurement=True,
        messages=Counts(),
        resources={"producer": _used(0.5), "consumer": _used(), "broker": _used(1.4, 2.1)},
        machines=(Machine(sides=("producer", "consumer"), cores=2, busy_share=0.9),),
    )
    found = facts.of({"producer": side}, result, None, quiet=False)
    assert found.cpu_share == {"producer": 0.5, "consumer": 0.25}
    assert found.broker_cpu_share == 1.4
    assert found.broker_core_wait == 2.1
    assert found.machines[0].cores == 2
    result = dataclasses.replace(result, resources={**result.resources, "broker": None})
    assert facts.of({"producer": side}, result, None, quiet=False).broker_cpu_share is None
