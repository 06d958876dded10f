"""Whether changes are found where they were planted, and nowhere else."""

import itertools

import numpy
import pytest

from omrig.history import changes

SPREAD = 0.02
"""Standard deviation of the logarithms of runs of the same."""


@pytest.fixture(autouse=True)
def fewer_shuffles(monkeypatch):
    """So many tell a p value of some per cent, which is all that these histories need."""
    monkeypatch.setattr(changes, "MOST_SHUFFLES", changes.LEAST_SHUFFLES)


def history(rng, versions=10, runs=3, since=None, shift=0.0):
    """Runs of versions in order, ``shift`` standard deviations away ``since`` one of them."""
    return [
        rng.normal(shift * SPREAD if since is not None and each >= since else 0.0, SPREAD, runs)
        for each in range(versions)
    ]


def found(groups):
    return changes.believed({"headline": {"p50": groups}}).get("p50", ())


@pytest.mark.parametrize("since", [3, 5, 7])
def test_a_change_is_found_at_its_version(since):
    rng = numpy.random.default_rng(since)
    exact = [since in found(history(rng, since=since, shift=3)) for _ in range(100)]
    assert sum(exact) >= 95


def test_a_change_with_the_last_version_is_found_less_often():
    rng = numpy.random.default_rng(9)
    assert sum(9 in found(history(rng, since=9, shift=3)) for _ in range(50)) >= 35
    assert sum(9 in found(history(rng, since=9, shift=6)) for _ in range(50)) >= 45


def test_nothing_is_called_in_noise():
    rng = numpy.random.default_rng(11)
    called = 0
    for _ in range(200):
        common = history(rng)
        # Figures of one run go up and down together, more or less.
        family = {
            f"metric {number}": [
                0.7 * each + 0.7 * other for each, other in zip(common, history(rng), strict=True)
            ]
            for number in range(10)
        }
        called += bool(changes.believed({"headline": family}))
    assert called <= 10


def test_one_odd_version_is_found_at_both_its_ends():
    rng = numpy.random.default_rng(4)
    exact = 0
    for _ in range(50):
        groups = history(rng)
        groups[4] = groups[4] + 6 * SPREAD
        exact += found(groups) == (4, 5)
    assert exact >= 45


def test_two_changes_are_found_whatever_their_directions():
    rng = numpy.random.default_rng(5)
    up_and_down = [each + (0.2 if 3 <= at < 7 else 0) for at, each in enumerate(history(rng))]
    upwards = [each + 0.1 * (at >= 3) + 0.1 * (at >= 7) for at, each in enumerate(history(rng))]
    assert found(up_and_down) == found(upwards) == (3, 7)


def test_a_drift_is_told_in_steps():
    rng = numpy.random.default_rng(6)
    for _ in range(20):
        groups = [each + at * 0.6 * SPREAD for at, each in enumerate(history(rng))]
        places = found(groups)
        assert 1 <= len(places) <= 5
        bounds = [0, *places, len(groups)]
        middles = [
            numpy.concatenate(groups[begin:end]).mean() for begin, end in itertools.pairwise(bounds)
        ]
        assert middles == sorted(middles)


def test_a_change_of_the_spread_counts_too():
    rng = numpy.random.default_rng(8)
    groups = [rng.normal(0, 0.01 if at < 8 else 0.2, 5) for at in range(16)]
    assert len(found(groups)) >= 1


def test_the_energy_distance_is_that_of_the_paper():
    rng = numpy.random.default_rng(3)
    groups = [rng.normal(0, 1, count) for count in (2, 3, 1, 4)]
    counts = numpy.array([len(each) for each in groups])
    values = numpy.concatenate(groups)
    distances = numpy.abs(values[:, None] - values[None, :])
    strengths = changes._strengths(changes._by_group(distances[None], counts), counts)[0]
    for place in range(1, 4):
        for until in range(place + 1, 5):
            ours = numpy.concatenate(groups[:place])
            theirs = numpy.concatenate(groups[place:until])
            apart = 2 * numpy.abs(ours[:, None] - theirs).mean()
            apart -= numpy.abs(ours[:, None] - ours).mean()
            apart -= numpy.abs(theirs[:, None] - theirs).mean()
            weight = len(ours) * len(theirs) / (len(ours) + len(theirs))
            assert strengths[place - 1, until - 1] == pytest.approx(weight * apart)


def test_the_same_history_is_called_the_same_each_time():
    groups = history(numpy.random.default_rng(2), since=5, shift=2)
    assert changes.best_split(groups, 0, 10) == changes.best_split(groups, 0, 10)


def test_a_history_without_any_spread_is_one_without_changes():
    assert found([numpy.full(3, 1.5)] * 6) == ()
    assert found([numpy.full(3, 1.5)] * 3 + [numpy.full(3, 2.5)] * 3) == (3,)


def test_a_single_version_has_no_split():
    assert changes.best_split([numpy.zeros(3)], 0, 1) is None
    assert changes.believed({"headline": {}}) == {}


@pytest.mark.parametrize(
    ("counts", "least"), [([3], 1.0), ([3, 3], 0.1), ([5, 5], 2 / 252), ([1, 1, 1], 2 / 3)]
)
def test_how_small_a_p_value_can_be(counts, least):
    assert changes.least_p(counts) == pytest.approx(least)
