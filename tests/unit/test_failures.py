"""What a run was told, and what its failures count as."""

import numpy
import pytest

from omrig import books
from omrig.results import latency

PREFETCH = "[oslo_messaging_rabbit] rabbit_qos_prefetch_count"


@pytest.mark.parametrize(
    ("run", "count"),
    [
        ({}, 0),
        ({"options": {PREFETCH: 5}}, 5),
        ({"options": {}, "driver_options": {"rabbit_qos_prefetch_count": 7}}, 7),
        ({"options": {PREFETCH: 5}, "driver_options": {"rabbit_qos_prefetch_count": 0}}, 0),
        ({"options": {PREFETCH: 5}, "driver_options": {"ssl": False}}, 5),
        ({"options": {PREFETCH: -1}}, 0),
    ],
)
def test_the_prefetch_that_was_set(run, count):
    assert books.prefetch_count(run) == count


@pytest.mark.parametrize(
    ("plan", "more", "seconds"),
    [
        ({"timeout_s": 2.5}, {"options": {"rpc_response_timeout": 9}}, 2.5),
        ({"timeout_s": None}, {"options": {"rpc_response_timeout": 9}}, 9),
        ({"timeout_s": None}, {"driver_options": {"rpc_response_timeout": 7}}, 7),
        ({}, {}, 60),
    ],
)
def test_the_timeout_of_a_call(plan, more, seconds):
    assert latency.timeout_ns({"plan": plan, **more}) == seconds * 1_000_000_000


def test_failures_count_as_their_timeout():
    values = numpy.arange(1, 91)
    found = latency.summarise_with_failures(values, 10, 1000)
    assert (found["count"], found["p50"], found["p90"], found["p99"]) == (100, 50, 90, 1000)
    assert latency.summarise_with_failures(values, 0, 1000) is None
    assert latency.summarise_with_failures(values[:0], 3, 1000)["mean"] == 1000
