"""Growth per message, from memory whose growth is known."""

import numpy
import pytest

from omrig.accounting import growth

MESSAGES = 4000
START = 50e6


def sampled(count=60):
    """Messages completed at so many samples, unevenly many in between."""
    random = numpy.random.default_rng(7)
    return numpy.append(numpy.sort(random.uniform(0, MESSAGES, count - 1)), MESSAGES)


def fitted(memory):
    at = sampled()
    return growth.fit(at, memory(at), MESSAGES)


def grows(found, own=0.0):
    return growth.grows(found.bytes_per_message, found.error_bytes, own)


def test_a_leak_is_found_among_noise():
    random = numpy.random.default_rng(1)
    found = fitted(lambda at: START + 1024 * at + random.normal(0, 50_000, len(at)))
    assert found.bytes_per_message == pytest.approx(1024, rel=0.1)
    assert found.from_message == MESSAGES / 2
    assert grows(found)


def test_a_leak_in_steps_of_the_allocator():
    found = fitted(lambda at: START + numpy.floor(1024 * at / 131072) * 131072)
    assert found.bytes_per_message == pytest.approx(1024, rel=0.1)
    assert grows(found)


def test_pools_that_fill_at_first_are_no_growth():
    random = numpy.random.default_rng(2)
    found = fitted(
        lambda at: START - 2e7 * numpy.exp(-at / 200) + random.normal(0, 50_000, len(at))
    )
    assert not grows(found)


def test_one_step_is_no_growth():
    found = fitted(lambda at: START + 5e6 * (at > 3100))
    assert not grows(found)


def test_a_spike_is_no_growth():
    found = fitted(lambda at: START + 5e7 * ((at > 3900) & (at < 3950)))
    assert not grows(found)


@pytest.mark.parametrize("noise", ["white", "random walk"])
def test_noise_is_seldom_growth_and_the_error_covers_the_truth(noise):
    random = numpy.random.default_rng(3)
    found = []
    for _ in range(200):
        steps = random.normal(0, 30_000, 60)
        steps = steps if noise == "white" else numpy.cumsum(steps)
        found.append(fitted(lambda _, steps=steps: START + steps))
    assert sum(map(grows, found)) <= 0.06 * len(found)
    covered = [abs(each.bytes_per_message) <= growth.COVERS * each.error_bytes for each in found]
    assert sum(covered) >= 0.9 * len(found)


def test_what_omrig_keeps_itself_is_not_the_growth():
    found = fitted(lambda at: START + 200 * at)
    assert grows(found)
    assert not grows(found, own=208)
    assert growth.told(found, 208)["grows"] is False


def test_too_short_a_load_says_so():
    found = growth.fit(numpy.array([100.0, 4000.0]), numpy.array([1.0, 2.0]), MESSAGES)
    assert found is None
    told = growth.told(found, 0.0)
    assert told["growth_bytes_per_message"] is None
    assert told["grows"] is None
    assert "too short" in told["reason"]


def test_readings_that_were_left_out_do_not_count():
    at = sampled(120)
    memory = START + 1024 * at
    memory[::2] = float("nan")
    found = growth.fit(at, memory, MESSAGES)
    assert found.bytes_per_message == pytest.approx(1024, rel=0.01)
    assert found.samples < numpy.count_nonzero(at >= MESSAGES / 2)
