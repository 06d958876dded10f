"""Comparisons of runs made of numbers: what is planted is found, what is not is not called."""

import dataclasses
import re

import numpy
import pytest

from omrig.compare import comparison, conditions, metrics, table
from omrig.compare.runs import RunSet
from omrig.compare.table import by_name
from omrig.model import sizes
from omrig.model.result import Result
from tests.unit import synthetic


def compared(base, new, **more):
    return comparison.compare(base, new, **more)


def of_single(base_messages, new_messages):
    base, new = (
        RunSet((synthetic.stored(at, synthetic.result_of(each)),))
        for at, each in enumerate((base_messages, new_messages))
    )
    return comparison.compare(base, new, (), (base_messages, new_messages))


# What is called


@pytest.mark.parametrize("count", [3, 6])
def test_the_same_is_seldom_called_whatever_the_number_of_rows(count):
    rng = numpy.random.default_rng(count)
    called = sum(
        compared(*synthetic.pairs(count, rng, drift=0.1)).call.significant for _ in range(60)
    )
    assert called <= 0.08 * 60


def test_single_runs_of_the_same_are_seldom_called():
    rng = numpy.random.default_rng(2)
    called = 0
    for _ in range(20):
        # Another run may be another 10 % faster or slower, as slices are.
        level = numpy.exp(rng.normal(0, 0.1))
        found = of_single(synthetic.messages(rng, 400), synthetic.messages(rng, 400, level=level))
        called += found.call.significant
    assert called <= 2


def test_a_slower_run_is_called_with_its_interval():
    rng = numpy.random.default_rng(1)
    base, new = synthetic.pairs(10, rng, new={"factor": 1.1}, noise=0.01)
    found = compared(base, new)
    assert found.design.text == "10 interleaved pairs"
    assert found.call.word == "slower"
    said = re.match(
        r"NEW is ([\d.]+) % slower \(95 % interval ([\d.]+) to ([\d.]+) %\), 10 interleaved pairs",
        found.call.text,
    )
    value, low, high = map(float, said.groups())
    assert low < 100 * (1 - 1 / 1.1) < high
    assert low < value < high
    row = by_name(found.rows)["throughput"]
    assert row.significant
    assert row.ratio.low < 1 / 1.1 < row.ratio.high < 1
    # Pairs take out what both runs of one have in common.
    drifting = synthetic.pairs(10, rng, {"factor": 1.0}, {"factor": 1.1}, noise=0.01, drift=0.5)
    assert compared(*drifting).call.word == "slower"


def test_pairs_see_through_a_drift_that_sets_do_not():
    rng = numpy.random.default_rng(8)
    pairs = synthetic.pairs(10, rng, new={"changes": {"serialize": 60_000}}, noise=0.01, drift=0.4)
    for side in pairs:
        assert len(side.runs) == 10
    assert by_name(compared(*pairs).rows)["stage.serialize"].significant
    apart = RunSet(tuple(dataclasses.replace(each) for each in pairs[1].runs[:9]))
    found = compared(pairs[0], apart)
    assert found.design.kind == "sets"
    assert not by_name(found.rows)["stage.serialize"].significant


def test_what_is_many_times_as_fast_is_told_so():
    rng = numpy.random.default_rng(3)
    found = compared(*synthetic.pairs(8, rng, new={"factor": 1 / 40}, noise=0.01))
    assert re.match(r"NEW is (39|40)\.?\d* times as fast \(", found.call.text)
    back = compared(*synthetic.pairs(8, rng, new={"factor": 40}, noise=0.01))
    assert re.match(r"NEW is 97\.\d % slower", back.call.text)


def test_faster_and_mixed_and_resources():
    rng = numpy.random.default_rng(4)
    faster = compared(*synthetic.pairs(8, rng, new={"factor": 0.8}, noise=0.01))
    assert faster.call.word == "faster"
    costly = compared(*synthetic.pairs(8, rng, new={"cpu": 1.2}, noise=0.01))
    assert costly.call.word == "resources"
    assert "CPU a message of NEW is 2" in costly.call.text
    base, new = synthetic.pairs(8, rng, noise=0.01)

    def change(outcome):
        outcome["throughput"]["messages_per_second"] *= 1.2
        outcome["latency"]["p99"] *= 1.5

    mixed = compared(base, synthetic.altered(new, change))
    assert mixed.call.word == "mixed"
    assert "latency p99 of NEW is 5" in mixed.call.text
    assert "but throughput +" in mixed.call.text


def test_not_significant_is_said_plainly():
    rng = numpy.random.default_rng(5)
    found = compared(*synthetic.pairs(5, rng))
    assert found.call.text.startswith("no significant change: throughput ")
    assert found.explanation is None


def test_a_big_change_of_single_runs_is_called_and_a_small_one_is_not():
    rng = numpy.random.default_rng(6)
    base = synthetic.messages(rng)
    small = of_single(base, synthetic.messages(rng, level=1.15))
    assert small.call.word == "none"
    large = of_single(base, synthetic.messages(rng, level=3.0))
    assert large.call.word == "slower"
    assert "one run each" in large.call.text
    assert "one run each" in {each.kind for each in large.instabilities}


def test_single_runs_without_recordings_have_no_intervals():
    base, new = (RunSet((synthetic.stored(at),)) for at in (0, 1))
    found = compared(base, new)
    assert found.call.word == "unknown"
    assert "too little is known" in found.call.text
    assert all(row.significant is None for row in found.rows)


def test_cpu_of_single_runs_comes_from_its_samples():
    rng = numpy.random.default_rng(6)
    recorded = synthetic.messages(rng)
    times = numpy.linspace(recorded.began_ns, recorded.ended_ns[-1], 30)
    cpu = {side: (times, (times - times[0]) * 0.5) for side in ("producer", "consumer")}
    sliced = metrics.of_slices(
        Result.from_json(synthetic.result_of(recorded)), dataclasses.replace(recorded, cpu=cpu), 20
    )
    lasted = recorded.ended_ns[-1] - recorded.began_ns
    assert sliced["cpu"].mean() == pytest.approx(lasted / 2000)
    assert sliced["cpu.producer"].mean() == pytest.approx(lasted / 2000 / 2)
    assert "cpu" not in metrics.of_slices(
        Result.from_json(synthetic.result_of(recorded)), recorded, 20
    )


def test_a_lone_run_against_a_set():
    rng = numpy.random.default_rng(9)
    base, new = synthetic.pairs(8, rng, new={"factor": 2.0}, noise=0.01)
    found = compared(base, RunSet(new.runs[:1]))
    assert found.design.text == "8 and 1 runs"
    assert found.call.word == "slower"
    assert "few runs" in {each.kind for each in found.instabilities}


# What explains it


def test_with_one_worker_the_stage_explains_its_part():
    rng = numpy.random.default_rng(1)
    change = {"changes": {"serialize": 310_000, "publish": 70_000}}
    found = compared(*synthetic.pairs(8, rng, new=change, noise=0.005))
    assert found.explanation.cause.stage == "serialize"
    assert found.explanation.cause.share == pytest.approx(310 / 380, abs=0.05)
    assert "`serialize` explains most of it: +3" in found.call.text
    assert " of +3" in found.call.text


def test_with_many_workers_the_cause_is_told_from_where_its_time_shows():
    rng = numpy.random.default_rng(2)
    change = {"changes": {"serialize": 40_000, "receive_lag": 2_500_000, "wakeup": 1_200_000}}
    found = compared(*synthetic.pairs(8, rng, new=change, noise=0.005, workers=100))
    assert found.explanation.cause.stage == "serialize"
    assert found.explanation.shows_in.stage == "receive_lag"
    assert found.explanation.waiting == 100
    assert "for which all 100 workers of the closed loop wait" in found.call.text
    assert "the time shows above all in `receive_lag`" in found.call.text


def test_a_slower_wire_is_not_blamed_on_a_stage_that_changed_by_a_trifle():
    rng = numpy.random.default_rng(3)
    change = {"changes": {"amqp_request": 20_000_000, "decode": 30_000}}
    found = compared(*synthetic.pairs(8, rng, new=change, noise=0.005))
    assert by_name(found.rows)["stage.decode"].significant
    assert found.explanation.cause.stage == "amqp_request"
    assert "`amqp_request` explains most of it" in found.call.text


def test_a_stage_that_changed_the_other_way_explains_nothing():
    rng = numpy.random.default_rng(3)
    change = {"changes": {"endpoint": 2_000_000, "decode": -100_000}}
    found = compared(*synthetic.pairs(8, rng, new=change, noise=0.005))
    assert found.explanation.cause.stage == "endpoint"
    back = compared(*reversed(synthetic.pairs(8, rng, new=change, noise=0.005)))
    assert back.call.word == "faster"
    assert back.explanation.cause.stage == "endpoint"
    assert "`endpoint` explains most of it: -2.0" in back.call.text


def test_a_stage_that_all_but_vanished_explains_the_change():
    rng = numpy.random.default_rng(5)
    change = {"changes": {"wakeup": 480_000_000}}
    base, new = synthetic.pairs(4, rng, base=change)

    def vary(outcome):
        (row,) = [each for each in outcome["stages"] if each["name"] == "wakeup"]
        left_ns = 500_000 * float(rng.lognormal(-2, 3))
        row.update(mean_ns=left_ns, p50_ns=left_ns)

    found = compared(base, synthetic.altered(new, vary))
    assert not by_name(found.rows)["stage.wakeup"].significant
    assert found.call.word == "faster"
    assert found.explanation.cause.stage == "wakeup"
    assert found.explanation.cause.share == pytest.approx(1, abs=0.02)
    assert "`wakeup` explains most of it" in found.call.text


def test_a_stage_alone_is_called_where_nothing_else_is_sure():
    rng = numpy.random.default_rng(21)
    change = {"changes": {"endpoint": 9_000}}
    found = compared(*synthetic.pairs(10, rng, new=change))
    assert found.call.word == "stages"
    assert "but `endpoint` " in found.call.text
    assert "of throughput, latency, CPU or memory" in found.call.text


def test_what_is_nothing_on_both_sides_is_not_tested():
    rng = numpy.random.default_rng(4)
    base, new = synthetic.pairs(4, rng)
    base, new = (
        synthetic.altered(side, lambda outcome: outcome["stages"][2].update(mean_ns=0, p50_ns=0))
        for side in (base, new)
    )
    row = by_name(compared(base, new).rows)["stage.publish"]
    assert (row.ratio, row.difference, row.significant) == (None, None, None)


def test_a_stage_that_some_runs_have_not_has_a_difference():
    rng = numpy.random.default_rng(4)
    base, new = synthetic.pairs(6, rng, noise=0.01)
    base = synthetic.first_altered(base, lambda outcome: outcome["stages"][2].update(mean_ns=0))
    row = by_name(compared(base, new).rows)["stage.publish"]
    assert row.base == pytest.approx(200_000 * 5 / 6, rel=0.05)
    assert row.ratio.value == pytest.approx(6 / 5, rel=0.05)
    assert 0 <= row.ratio.low < 1 < row.ratio.high


def test_a_stage_of_one_side_took_no_time_on_the_other():
    rng = numpy.random.default_rng(5)
    base, new = synthetic.pairs(5, rng, noise=0.005)
    numbers = iter(range(5))

    def change(outcome):
        stall = {**outcome["stages"][0], "name": "stall", "mean_ns": 700_000 + next(numbers)}
        outcome["stages"].insert(3, stall)
        outcome["throughput"]["messages_per_second"] *= 0.67
        outcome["resources"]["broker"] = outcome["resources"]["producer"]

    new = synthetic.altered(new, change)
    found = compared(base, new)
    row = by_name(found.rows)["stage.stall"]
    assert (row.base, row.only, row.significant) == (0.0, "NEW", None)
    assert row.difference.value == pytest.approx(700_002)
    order = [each.metric.stage for each in found.rows if each.metric.statistic == "mean"]
    assert order.index("stall") == 3
    assert found.call.word == "slower"
    assert found.explanation.shows_in.stage == "stall"
    assert {"cpu.broker", "memory.broker"} == set(found.not_compared)
    assert compared(new, base).call.word == "faster"


def test_a_stage_of_one_side_is_no_call_by_itself():
    rng = numpy.random.default_rng(6)
    base, new = synthetic.pairs(5, rng, noise=0.005)
    new = synthetic.altered(
        new,
        lambda outcome: outcome["stages"].append(
            {**outcome["stages"][0], "name": "tls", "mean_ns": 10}
        ),
    )
    assert compared(base, new).call.word == "none"


def test_runs_without_stages_have_none_to_compare():
    base, new = (RunSet((synthetic.stored(at, synthetic.result()),)) for at in (0, 1))
    new = synthetic.altered(new, lambda outcome: outcome.update(stages=None))
    found = compared(base, new)
    assert not any(row.metric.stage for row in found.rows)
    assert "stage.publish" in found.not_compared


def test_growth_of_memory_and_the_broker_are_rows_of_their_own():
    outcome = synthetic.result()
    outcome["resources"]["broker"] = dict(outcome["resources"]["producer"])
    outcome["profiles"] = {"producer": {"memory": {"growth_bytes_per_message": -3.5}}}
    figures = metrics.of_run(Result.from_json(outcome))
    assert figures["memory_growth.producer"] == -3.5
    assert figures["cpu"] == pytest.approx(figures["cpu.producer"] + figures["cpu.consumer"])
    assert figures["cpu.broker"] > 0
    assert figures["memory"] == pytest.approx(2 * 55e6, rel=0.2)


# Under what conditions


def test_runs_in_turn_are_pairs():
    base = [synthetic.stored(at) for at in (0, 3, 4)]
    new = [synthetic.stored(at) for at in (1, 2, 5)]
    assert table.design_of(base, new).kind == "pairs"
    assert table.design_of(base[:2], new[:2]).kind == "sets"
    assert table.design_of(base, [synthetic.stored(at) for at in (6, 7, 8)]).kind == "sets"
    assert table.design_of(base[:1], new[:1]).kind == "slices"


def kinds(found):
    return {each.kind for each in found}


def told(base, new, **more):
    design = table.design_of(base.runs, new.runs)
    differing = conditions.differences(base.runs, new.runs)
    return conditions.instabilities(base, new, design, differing, more.get("slices"))


def test_a_sound_comparison_has_nothing_against_it():
    rng = numpy.random.default_rng(1)
    base, new = synthetic.pairs(5, rng)
    assert told(base, new) == []
    assert conditions.differences(base.runs, new.runs) == []


def test_each_difference_is_listed_and_only_some_spoil_the_comparison():
    base = [synthetic.stored(0, options={"[a] b": 1})]
    new = [
        synthetic.stored(
            1, host="b", python="3.13.0", executor="threading", workers=5, url="rabbit://h2:1/"
        )
    ]
    found = {each.what: each for each in conditions.differences(base, new)}
    assert set(found) == {"host", "python", "executor", "workers", "broker address", "[a] b"}
    assert {what for what, each in found.items() if each.unstable} == {"host", "broker address"}
    assert (found["[a] b"].base, found["[a] b"].new) == (("1",), ("default",))
    assert conditions.both(found["executor"]) == "BASE eventlet, NEW threading"


def test_the_number_of_members_is_a_condition():
    base = [synthetic.stored(0)]
    new = [synthetic.stored(1, producers=4, consumers=1)]
    (found,) = conditions.differences(base, new)
    assert (found.what, found.unstable) == ("producers", False)
    assert conditions.both(found) == "BASE 1, NEW 4"


def test_a_mix_is_a_condition_that_spoils_a_comparison():
    base = [synthetic.stored(0, pattern="mix", mix={"call": 7, "cast": 3})]
    new = [synthetic.stored(1, pattern="mix", mix={"call": 3, "cast": 7})]
    (found,) = conditions.differences(base, new)
    assert (found.what, found.unstable) == ("mix", True)
    assert conditions.both(found) == "BASE call=7,cast=3, NEW call=3,cast=7"


def test_sizes_are_a_condition_whatever_their_name():
    first = sizes.Sizes("mine", (100, 200), (1, 1))
    second = sizes.Sizes("mine", (100, 200), (2, 1))
    base, new = (
        [synthetic.stored(number, sizes=each.recorded().to_json())]
        for number, each in enumerate((first, second))
    )
    (found,) = conditions.differences(base, new)
    assert (found.what, found.unstable) == ("sizes", False)
    assert found.base != found.new


def test_each_pattern_of_a_mix_has_metrics_of_its_own():
    outcome = synthetic.result()
    part = {name: outcome[name] for name in ("messages", "throughput", "latency")}
    stored = synthetic.stored(0, {**outcome, "latency": None, "patterns": {"call": part}})
    figures = metrics.of_run(stored.result)
    assert figures["p99.call"] == int(outcome["latency"]["p99"])
    assert figures["throughput.call"] == outcome["throughput"]["messages_per_second"]
    assert "p99" not in figures
    assert metrics.find("p99.call").label == "latency p99, call"
    assert metrics.find("p99.shout") is None


def test_a_setting_that_changes_within_a_side_spoils_it():
    base = [synthetic.stored(0), synthetic.stored(2, workers=7)]
    new = [synthetic.stored(1), synthetic.stored(3, workers=7)]
    (found,) = conditions.differences(base, new)
    assert found.unstable
    assert conditions.both(found) == "1, 7 in both"


def test_a_broker_of_its_own_is_not_told_by_its_port():
    base = [synthetic.stored(0, url="rabbit://h:1/", source="embedded broker")]
    new = [synthetic.stored(1, url="rabbit://h:2/", source="embedded broker")]
    assert conditions.differences(base, new) == []


def test_every_reason_to_doubt_is_named():
    rng = numpy.random.default_rng(1)
    base, new = synthetic.pairs(4, rng, noise=0.3)
    few = RunSet(base.runs[:2]), RunSet(new.runs[2:])
    assert {"few runs", "not interleaved"} <= kinds(told(*few))
    assert "spread" in kinds(told(base, new))
    excluded = dataclasses.replace(base, excluded=(("/r/9", "3 messages were lost"),))
    (text,) = [each.text for each in told(excluded, new) if each.kind == "incomplete"]
    assert text == "left out of BASE: /r/9: 3 messages were lost"
    machine = {"other_cpu_share": 0.8, "steal_share": 0.01}
    base = synthetic.first_altered(base, lambda outcome: outcome.update(machines=[machine]))
    (text,) = [each.text for each in told(base, new) if each.kind == "busy machine"]
    assert text == "processes that are not measured took up to 0.80 cores, in 1 of 4 runs of BASE"
    base = synthetic.first_altered(base, lambda outcome: outcome["latency"].update(count=300))
    (text,) = [each.text for each in told(base, new) if each.kind == "few messages"]
    assert text.startswith("p99 rests on 3 of 300 messages")


def test_the_json_form_has_all_of_it():
    import json

    rng = numpy.random.default_rng(1)
    found = compared(*synthetic.pairs(5, rng, new={"factor": 1.3}))
    text = json.dumps(comparison.as_json(found), allow_nan=False)
    made = json.loads(text)
    assert made["call"]["word"] == "slower"
    assert made["method"]["design"] == "pairs"
    assert len(made["base"]["runs"]) == 5
    (throughput,) = [row for row in made["rows"] if row["metric"] == "throughput"]
    ratio = throughput["ratio"]
    assert ratio["low"] < ratio["value"] < ratio["high"] < 1
    assert throughput["significant"] is True
    assert made["explanation"]["cause"]["stage"]
