"""What the profilers cost, from slices of one run: planted costs are found, noise is not."""

import numpy
import pytest

from omrig.accounting import overhead
from omrig.accounting.overhead import PairedSlice
from omrig.model import slices
from omrig.model.slices import TWIN_PAIRS, smallest_slice, twin_messages

# The slices of a load


@pytest.mark.parametrize("sparing", [True, False])
@pytest.mark.parametrize("workers", [1, 7, 100])
@pytest.mark.parametrize("times", [1, 1.7, 4, 30.001])
def test_slices_cover_the_load_once_in_equal_pairs(sparing, workers, times):
    total = int(twin_messages(workers) * times)
    made = slices.divide(total, workers, sparing)
    assert [each.first for each in made] == [0, *(each.end for each in made[:-1])]
    assert made[-1].end == total
    assert made[0].pair is None
    paired = [each for each in made if each.pair is not None]
    pairs = len(paired) // 2
    assert TWIN_PAIRS[0] <= pairs <= TWIN_PAIRS[1]
    assert [each.pair for each in paired] == [number // 2 for number in range(2 * pairs)]
    assert [each.profiled for each in paired[:8]] == [True, False, False, True] * 2
    assert len({each.end - each.first for each in paired}) == 1
    assert min(each.end - each.first for each in made) >= smallest_slice(workers)
    assert all(each.profiled for each in made if each.pair is None)


def test_what_slows_the_run_is_left_out_of_a_fifth_where_there_is_enough():
    for total, share in ((2000, 0.2), (100_003, 0.2), (440, 0.4546)):
        plain = sum(
            each.end - each.first
            for each in slices.divide(total, 10, sparing=True)
            if not each.profiled
        )
        assert plain / total == pytest.approx(share, abs=0.01)


# Ratios


def pair(number, rates=(1000.0, 250.0), cpu=(0.001, 0.005), stages=({}, {})):
    return [
        PairedSlice(number, profiled, rates[profiled], cpu[profiled], stages[profiled])
        for profiled in (number % 2 == 0, number % 2 != 0)
    ]


def planted(rng, means, messages=40, noise=0.3):
    """Durations of the stages of a slice: the mean of each differs from slice to slice."""
    return {
        name: (mean * rng.lognormal(0, noise) * rng.exponential(1.0, messages) * 1e6).astype(
            numpy.int64
        )
        for name, mean in means.items()
    }


def staged(plain, profiled, pairs=10, seed=1, **options):
    rng = numpy.random.default_rng(seed)
    return [
        each
        for number in range(pairs)
        for each in pair(
            number, stages=(planted(rng, plain, **options), planted(rng, profiled, **options))
        )
    ]


def test_a_known_slowdown_is_found_with_its_spread():
    made = [
        each
        for number, rate in enumerate((200.0, 240.0, 250.0, 260.0, 300.0))
        for each in pair(number, rates=(1000.0, rate))
    ]
    found = overhead.measure(made)
    assert found.pairs == 5
    assert found.throughput_ratio == 0.25
    assert found.throughput_quartiles == (0.24, 0.26)
    assert found.cpu_ratio == 5
    assert found.unprofiled_messages_per_second == 1000
    assert found.profiled_messages_per_second == 250
    assert found.stages is found.ranking_changed is None


def test_only_whole_pairs_count():
    made = [each for number in range(3) for each in pair(number)]
    assert overhead.measure(made[:-1]).pairs == 2
    assert overhead.measure(made[:1]) is None
    assert overhead.measure([]) is None


def test_cpu_that_is_not_known_leaves_the_pair_its_rate():
    made = [*pair(0), *pair(1, cpu=(0.001, None))]
    found = overhead.measure(made)
    assert found.pairs == 2
    assert found.cpu_ratio == 5
    assert overhead.measure(pair(0, cpu=(None, None))).cpu_ratio is None


# Stages

CALL = {"publish": 4.0, "receive_lag": 2.0, "decode": 1.5, "wakeup": 1.0, "api": 0.01}


def test_a_planted_distortion_of_a_stage_is_found_and_no_other():
    made = staged(CALL, CALL | {"decode": 6.0}, messages=400, noise=0.02)
    found = {stage.name: stage for stage in overhead.measure(made).stages}
    assert list(found) == list(CALL)
    for name, stage in found.items():
        expected = 4 if name == "decode" else 1
        assert stage.mean_ratio == pytest.approx(expected, rel=0.1)
        assert stage.p50_ratio == pytest.approx(expected, rel=0.15)
        low, high = stage.mean_quartiles
        assert low < stage.mean_ratio < high
    assert found["decode"].unprofiled_mean_ns == pytest.approx(1.5e6, rel=0.05)
    assert found["decode"].profiled_share == pytest.approx(6 / 13.01, abs=0.02)


def test_a_stage_that_took_no_time_has_no_ratio():
    made = staged(CALL | {"connect": 0.0}, CALL | {"connect": 1.0})
    (connect,) = [stage for stage in overhead.measure(made).stages if stage.name == "connect"]
    assert connect.mean_ratio is connect.mean_quartiles is connect.p50_ratio is None
    assert connect.profiled_mean_ns > 0


def test_a_planted_swap_is_found():
    swapped = CALL | {"publish": 1.8, "receive_lag": 5.0}
    found = overhead.measure(staged(CALL, swapped, noise=0.15))
    assert found.ranking_changed is True
    swap = found.swaps[0]
    assert swap.unprofiled == ("publish", "receive_lag")
    assert swap.profiled == ("receive_lag", "publish")
    assert swap.pairs >= 9
    text = overhead.describe(found, "yappi")
    assert "the ranking of stages changed: receive_lag before publish" in text


def test_noise_is_no_swap():
    even = dict.fromkeys(("publish", "receive_lag", "decode", "wakeup", "return"), 1.0)
    changed = [
        overhead.measure(staged(even, even, pairs, seed)).ranking_changed
        for pairs in (5, 10)
        for seed in range(100)
    ]
    # Ten couples of stages that are all even, and noise of 30 % in each slice.
    assert sum(changed) <= 4


def test_a_real_lead_that_only_shrinks_is_no_swap():
    found = overhead.measure(staged(CALL, CALL | {"publish": 2.2}))
    assert found.ranking_changed is False
    assert "the ranking of stages did not change" in overhead.describe(found, "yappi")


def test_stages_that_matter_to_nobody_are_not_ranked():
    little = CALL | {"api": 0.02, "return": 0.08}
    found = overhead.measure(staged(little, little | {"api": 0.08, "return": 0.02}, noise=0.01))
    assert found.ranking_changed is False


def test_too_few_pairs_cannot_tell():
    found = overhead.measure(staged(CALL, CALL | {"publish": 0.5}, pairs=4))
    assert found.ranking_changed is None
    assert found.stages
    assert "too few pairs" in overhead.describe(found, "yappi")


def test_the_words():
    made = [each for number in range(5) for each in pair(number)]
    assert overhead.describe(overhead.measure(made), "yappi") == (
        "yappi slowed the run to 0.25 of its speed [0.25, 0.25] (5 pairs of slices): 250 msg/s"
        " with, 1,000 without; CPU a message x 5.00 [5.00, 5.00]"
    )


@pytest.mark.parametrize(("slower", "pairs"), [(5, 5), (9, 10)])
def test_a_slow_down_that_nearly_all_pairs_show_is_one(slower, pairs):
    made = [
        each
        for number in range(pairs)
        for each in pair(number, rates=(100.0, 90.0 if number < slower else 110.0))
    ]
    assert overhead.measure(made).slower is True


@pytest.mark.parametrize(
    ("slower", "pairs", "words"),
    [
        (4, 4, "stages seems to have slowed the run to 0.90 of its speed [0.90, 0.90] (in 4 of 4"),
        (8, 10, "stages seems to have slowed the run to 0.90 of its speed [0.90, 0.90] (in 8 of"),
        (3, 5, "stages did not slow the run beyond noise: 0.90 of the speed without [0.90, 1.10]"),
    ],
)
def test_a_slow_down_that_chance_may_show_is_not_called_one(slower, pairs, words):
    made = [
        each
        for number in range(pairs)
        for each in pair(number, (100.0, 90.0 if number < slower else 110.0), (None, None))
    ]
    found = overhead.measure(made)
    assert found.slower is False
    assert overhead.describe(found, "stages").startswith(words)
