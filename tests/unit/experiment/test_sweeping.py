"""Sweeps of known truth: the knee is where it was planted, what is the same is not called worse."""

import dataclasses
import json

import numpy
import pytest

from omrig.experiment import factors, sweeping
from omrig.experiment.standing import Rule
from omrig.experiment.sweeping import Measured
from omrig.model.errors import UsageError
from omrig.model.sweep import Sweep
from tests.unit.experiment import swept


def found(seed=0, **more):
    return swept.sweep(swept.measured(numpy.random.default_rng(seed), **more))


# The knee


def test_the_knee_is_found_where_it_is_in_noisy_sweeps():
    sweeps = [found(seed, noise=0.02, rounds=6) for seed in range(100)]
    assert sum(each.knee == each.recommended == "8" for each in sweeps) >= 95


def test_measured_until_decided_the_knee_is_where_it_is():
    sweeps = [
        swept.until_decided(numpy.random.default_rng(seed), noise=0.015) for seed in range(20)
    ]
    assert all(each.knee == "8" for each in sweeps)
    assert sum(each.decided for each in sweeps) >= 19
    assert {point.standing for each in sweeps for point in each.points[:3]} == {"worse"}


def test_without_a_knee_the_smallest_level_is_taken_or_the_default():
    flat = [found(seed, knee=1, noise=0.02, rounds=6) for seed in range(40)]
    assert all(each.knee is None for each in flat)
    assert {each.recommended for each in flat} == {"1"}
    points = swept.measured(numpy.random.default_rng(1), knee=1)
    with_default = swept.sweep(points, default="16")
    assert with_default.recommended == "16"
    assert "threads makes no difference to this load" in with_default.text
    assert "16, the default, is recommended" in with_default.text
    assert "the largest part of a message's time, 60.0 %, is `executor_queue`" in with_default.text


def test_what_is_the_same_is_seldom_called_worse():
    flat = [found(seed, knee=1, noise=0.06, rounds=6) for seed in range(100)]
    called = sum(any(point.standing == "worse" for point in each.points) for each in flat)
    assert called <= 8


def test_what_loses_more_than_the_margin_is_seldom_called_the_same():
    wrong = 0
    for seed in range(100):
        rng = numpy.random.default_rng(seed)
        points = swept.measured(rng, rounds=6, knee=1, noise=0.02, levels=(2, 4, 8))
        slower = {at: run | {"throughput": run["throughput"] * 0.95} for at, run in
                  points[0].runs.items()}  # fmt: skip
        points[0] = dataclasses.replace(points[0], runs=slower)
        wrong += swept.sweep(points).points[0].standing == "same"
    assert wrong <= 8


def test_where_it_still_gains_at_the_largest_level_it_says_so():
    sweep = found(levels=(1, 2, 4))
    assert (sweep.recommended, sweep.knee) == ("4", None)
    assert "4, the largest level, is recommended" in sweep.text
    assert "measure larger ones, too" in sweep.text


def test_where_it_falls_beyond_a_level_it_says_what_grows_there():
    points = swept.measured(
        numpy.random.default_rng(3), knee=8, lag_ns=lambda level: 2e6 if level < 32 else 9e6
    )
    sweep = swept.sweep(points)
    assert sweep.knee == "8"
    assert "and to 32 throughput falls by 26" in sweep.text
    assert "up to 32 `receive_lag` grows from 1.9" in sweep.text
    down = swept.sweep(swept.measured(
        numpy.random.default_rng(3), knee=1, levels=(8, 16, 32),
        lag_ns=lambda level: 2e6 if level < 32 else 9e6,
    ))  # fmt: skip
    assert (down.recommended, down.knee) == ("8", None)
    assert "8, the smallest level, is recommended: beyond it nothing is gained" in down.text


def test_a_change_that_may_be_chance_is_not_said_as_if_it_were_sure():
    def told(noise):
        rng = numpy.random.default_rng(4)
        return swept.sweep(swept.measured(rng, rounds=4, levels=(1, 8), noise=noise)).text

    assert "throughput still grows 7.9" in told(0.01)
    assert "-fold (not sure)" not in told(0.01)
    assert "throughput falls by 33.2 % (not sure)" in told(2.0)


def test_the_reason_is_in_stages():
    text = found().text
    assert text.startswith("threads=8 is recommended: from 1 to it throughput grows 7.96-fold as")
    assert "`executor_queue` falls from 15" in text
    assert "60.0 % of a message's time; beyond it nothing is gained (within 5 %)" in text


# What is not decided


def test_too_much_noise_is_undecided_and_says_how_many_rounds_it_takes():
    sweep = found(2, noise=0.05, rounds=4)
    assert not sweep.decided
    assert sweep.needed
    assert sweep.needed > 4
    assert f"about {sweep.needed} rounds in all would" in sweep.text
    open_ones = [point.name for point in sweep.points if point.standing == "undecided"]
    assert f"this is undecided: {', '.join(open_ones)} against {sweep.best}" in sweep.text
    more = [found(seed, noise=0.05, rounds=sweep.needed) for seed in range(10)]
    assert sum(each.decided for each in more) >= 3


def test_one_round_decides_nothing_and_is_shown():
    sweep = found(rounds=1)
    assert not sweep.decided
    assert sweep.recommended == "8"
    assert "one round tells nothing of chance" in sweep.text
    assert sweep.points[0].figures["throughput"].low is None


def test_only_rounds_that_all_points_have_are_compared():
    points = swept.measured(numpy.random.default_rng(0), rounds=6)
    shorter = {at: run for at, run in points[2].runs.items() if at != 3}
    points[2] = dataclasses.replace(points[2], runs=shorter)
    sweep = swept.sweep(points)
    assert sweep.rounds == 5
    assert [point.rounds for point in sweep.points] == [6, 6, 5, 6, 6, 6]
    with pytest.raises(ValueError, match="no round"):
        swept.sweep([dataclasses.replace(points[0], runs={}), points[1]])


def test_a_point_that_failed_is_a_row_with_its_reason():
    points = swept.measured(numpy.random.default_rng(0))
    points[0] = dataclasses.replace(points[0], runs={}, failed="the pool is empty")
    sweep = swept.sweep(points)
    assert sweep.points[0].standing == "failed"
    assert sweep.points[0].figures == {}
    assert "1 is left out: the pool is empty" in sweep.notes
    assert "from 2 to it" in sweep.text
    assert sweep.decided


# Latency, names, grids


def test_a_longer_tail_of_what_is_as_fast_is_told():
    points = swept.measured(numpy.random.default_rng(0), noise=0.01)
    longer = {at: run | {"p99": 1.5 * run["p99"]} for at, run in points[3].runs.items()}
    points[3] = dataclasses.replace(points[3], runs=longer)
    sweep = swept.sweep(points)
    assert sweep.recommended == "8"
    told = next(note for note in sweep.notes if note.startswith("who minds the tail"))
    assert "where that of threads=8 is 62.0 ms" in told
    assert not [note for note in found().notes if note.startswith("who minds")]


def test_an_open_loop_goes_by_the_mean_latency():
    sweep = swept.sweep(swept.measured(numpy.random.default_rng(0)), metric="mean")
    assert sweep.knee == "8"
    assert "from 1 to it latency mean falls by 87" in sweep.text


def test_levels_that_are_no_numbers_are_compared_with_the_best():
    points = swept.measured(numpy.random.default_rng(0), levels=(8, 6))
    names = ("false", "true")
    points = [dataclasses.replace(each, name=name, levels=(name,)) for each, name in
              zip(points, names, strict=True)]  # fmt: skip
    sweep = swept.sweep(points, default="False", name="rabbit_quorum_queue")
    assert sweep.recommended == "false"
    assert sweep.text.startswith("rabbit_quorum_queue=false is recommended: with true throughput")
    assert "falls by 25" in sweep.text
    alike = swept.sweep([points[0], dataclasses.replace(points[0], name="t", levels=("true",))])
    assert "makes no difference" in alike.text
    assert alike.knee is None


def test_of_a_grid_the_smallest_of_what_is_as_good_is_recommended():
    rng = numpy.random.default_rng(0)
    both = [factors.factor(name, "--set", levels) for name, levels in
            (("threads", ["4", "8", "16"]), ("pool", ["30", "2"]))]  # fmt: skip
    points = factors.grid(both)
    assert points[0] == ("4", "2")
    drift = numpy.exp(rng.normal(0, 0.1, 8))
    runs = [
        Measured(name, levels, {at: swept.figures(rng, int(levels[0]), factor=drift[at])
                                for at in range(8)})
        for name, levels in zip(factors.names(both, points), points, strict=True)
    ]  # fmt: skip
    sweep = sweeping.found(both, runs, swept.BUCKETS, Rule("throughput", 0.05, (8,)), swept.LOAD)
    assert sweep.recommended == "threads=8,pool=2"
    assert sweep.text.startswith("threads=8, pool=2 is recommended: ")
    assert "of pool alone, with threads=8, all levels are the same within 5 %" in sweep.notes
    assert sweep.notes[0].startswith("of threads alone, with pool=2, the knee is at 8")
    assert Sweep.from_json(json.loads(json.dumps(sweep.to_json()))) == sweep


# Factors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threads", "--set: give --set NAME=A,B"),
        ("=1,2", "--set: give --set NAME=A,B"),
        ("rabbit://me:secret@host=1,2", "--set: give --set NAME=A,B"),
        ("threads=4", "--set: threads has one level only"),
        ("threads=4,,8", "--set: threads has an empty level"),
        ("threads=4,8,4", "--set: threads has the level 4 twice"),
        ("threads=4,8,4.0", "--set: threads has the level 4.0 twice"),
        ("quorum=true,True", "--set: quorum has the level True twice"),
    ],
)
def test_what_is_no_factor_is_said_in_a_line(text, words):
    with pytest.raises(UsageError) as raised:
        factors.split(text, "--set")
    assert str(raised.value).startswith(words)
    assert "secret" not in str(raised.value)


def test_numbers_are_in_their_order_and_names_as_they_were_given():
    numbers = factors.factor("threads", "--set", ["16", "2", "8"], "8.0")
    assert (numbers.levels, numbers.is_numeric, numbers.default) == (("2", "8", "16"), True, "8")
    names = factors.factor("executor", "--vary", ["threading", "eventlet"], "eventlet")
    assert (names.levels, names.is_numeric) == (("threading", "eventlet"), False)
    assert factors.factor("threads", "--set", ["2", "8"], "64").default is None


def test_no_limit_is_the_largest_level():
    held = factors.factor(
        "oslo_messaging_rabbit.rabbit_qos_prefetch_count", "--set", ["0", "9", "1"]
    )
    assert held.levels == ("1", "9", "0")
    assert factors.factor("other", "--set", ["0", "9", "1"]).levels == ("0", "1", "9")


def test_folders_are_called_by_the_levels_where_that_is_short():
    one = factors.factor("group.x", "--set", ["1", "2"])
    assert factors.names([one], factors.grid([one])) == ["group.x=1", "group.x=2"]
    path = factors.factor("with", "--vary", ["/a/b", "/a_b"])
    assert factors.names([path], factors.grid([path])) == ["point-01", "point-02"]
