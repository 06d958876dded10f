"""Functions that changed, and only those, are named: by runs made of numbers."""

import json
import re

import numpy
import pytest

from omrig.compare import comparison, functions
from omrig.compare.functions_seen import Seen
from omrig.model.functions import file_of
from omrig.report import functions as shown
from tests.unit import profiled, synthetic

WHOLE_US = sum(profiled.OWN_US.values())


def compared(folder):
    return synthetic.compared(folder)


def named(found):
    return [(each.side, each.name) for profile in found.functions for each in profile.sure]


def test_the_function_with_a_planted_cost_is_named_and_no_other(tmp_path):
    rng = numpy.random.default_rng(1)
    planted = 0.05 * WHOLE_US
    profiled.save_pairs(tmp_path, rng, {"serialize_msg": planted}, changes={"serialize": 60_000})
    found = compared(tmp_path)
    assert named(found) == [("producer", "serialize_msg")]
    (change,) = found.functions[0].sure
    # In ns of a machine of the mean speed of all runs.
    expected = 0.05 * numpy.mean(found.functions[0].runs_ns[0])
    assert change.change_ns == pytest.approx(expected, rel=0.05)
    assert change.difference.low < expected < change.difference.high
    assert change.stages_ns["serialize"] == pytest.approx(change.change_ns)
    assert found.mover.stage == "serialize"
    said = re.search(r"in `serialize`, `(\S+)` is (\d+ % of|all of) what changed", found.call.text)
    assert said[1] == f"{profiled.MODULE}:serialize_msg"
    assert "(yappi, producer)" in found.call.text


def test_the_same_names_nothing(tmp_path):
    rng = numpy.random.default_rng(2)
    found = [
        compared(profiled.save_pairs(tmp_path / f"{number}", rng, count=count))
        for count in (3, 5)
        for number in range(10 * count, 10 * count + 10)
    ]
    assert sum(bool(named(each)) for each in found) <= 1
    assert all(each.mover.text == "" for each in found)


def test_what_all_functions_take_longer_is_no_functions(tmp_path):
    rng = numpy.random.default_rng(3)
    slower = {name: 0.1 * each for name, each in profiled.OWN_US.items()}
    found = compared(profiled.save_pairs(tmp_path, rng, slower, drift=0.02))
    assert named(found) == []
    producer, consumer = found.functions
    assert producer.speed.low < 1.1 < producer.speed.high
    assert producer.speed.low > 1.05
    assert consumer.speed.low < 1 < consumer.speed.high


def test_a_function_is_the_same_wherever_it_is_installed_and_on_whichever_line(tmp_path):
    rng = numpy.random.default_rng(4)
    more = {"root": "/src/checkout", "line": 77}
    found = compared(profiled.save_pairs(tmp_path, rng, {"brand_new": 60.0}, **more))
    assert named(found) == [("producer", "brand_new")]
    (change,) = found.functions[0].sure
    assert change.only == "NEW"
    assert change.base_ns == 0
    assert change.file.startswith("/src/checkout")


def test_a_function_that_is_gone_is_named_too(tmp_path):
    rng = numpy.random.default_rng(5)
    profiled.save_pairs(tmp_path, rng, {"brand_new": 60.0})
    (tmp_path / "new").rename(tmp_path / "other")
    (tmp_path / "base").rename(tmp_path / "new")
    (tmp_path / "other").rename(tmp_path / "base")
    (change,) = compared(tmp_path).functions[0].sure
    assert (change.only, change.name) == ("BASE", "brand_new")


def test_of_one_run_each_yappi_names_nothing(tmp_path):
    rng = numpy.random.default_rng(6)
    found = compared(profiled.save_pairs(tmp_path, rng, {"serialize_msg": 200.0}, count=1))
    assert named(found) == []
    assert found.functions[0].tested == 0


def test_what_more_calls_cost_under_the_profiler_is_told(tmp_path):
    rng = numpy.random.default_rng(7)
    profiled.save_pairs(tmp_path, rng, {"dumps": 90.0}, calls={"dumps": 3})
    (change,) = compared(tmp_path).functions[0].sure
    assert change.calls == (1, 3)
    # Of what yappi measures 1 - 1/3.5 is its own, for one call of each function.
    each_call = 1000 * WHOLE_US * (1 - 1 / 3.5) / len(profiled.OWN_US)
    assert change.added_ns == pytest.approx(2 * each_call, rel=0.1)


def test_who_was_only_called_more_often_is_told_from_who_takes_longer(tmp_path):
    rng = numpy.random.default_rng(8)
    # Polls three times instead of once, each as long as before.
    added, calls = {"poll": 2 * 300.0, "dumps": 90.0}, {"poll": 3}
    profiled.save_pairs(tmp_path, rng, added, calls=calls)
    side = compared(tmp_path).functions[0]
    by_calls = {each.name: each.is_by_calls for each in side.sure}
    assert by_calls == {"poll": True, "dumps": False}
    assert [row.function for row in shown.rows(side)] == ["dumps", "poll"]
    assert any(note.startswith("1 of the 2 took as long a call") for note in shown.notes(side))


# Samples


def save_sampled(folder, rng, planted_us=0.0, count=5, drift=0.3):
    for number in range(count):
        speed = float(numpy.exp(rng.normal(0, drift)))
        for at, side in enumerate(("base", "new")):
            own_us = {name: 20 * each for name, each in profiled.OWN_US.items()}
            own_us["serialize_msg"] += planted_us * at
            made = {
                name: profiled.functions(
                    profiled.sampled(rng, own if name == "producer" else base, speed), "pyspy"
                )
                for base in [{name: 20 * each for name, each in profiled.OWN_US.items()}]
                for name, own in (("producer", own_us), ("consumer", base))
            }
            profiled.save(folder / side / f"{number}", made, 2 * number + at, "pyspy")
    return folder


@pytest.mark.parametrize("count", [1, 5])
def test_samples_name_what_their_number_allows(tmp_path, count):
    rng = numpy.random.default_rng(8)
    planted = 0.05 * 20 * WHOLE_US
    found = compared(save_sampled(tmp_path, rng, planted, count))
    assert named(found) == [("producer", "serialize_msg")]
    (change,) = found.functions[0].sure
    assert change.calls is None
    assert change.only is None
    expected = 0.05 * numpy.mean(found.functions[0].runs_ns[0])
    assert change.difference.low < expected < change.difference.high
    assert "takes" in found.mover.text
    assert "times the CPU" not in found.mover.text


@pytest.mark.parametrize("count", [1, 3, 5])
def test_samples_of_the_same_name_nothing(tmp_path, count):
    rng = numpy.random.default_rng(9)
    found = [compared(save_sampled(tmp_path / f"{at}", rng, count=count)) for at in range(20)]
    assert sum(bool(named(each)) for each in found) <= 2


# What is compared


def test_functions_are_compared_only_where_all_runs_have_them(tmp_path):
    rng = numpy.random.default_rng(10)
    profiled.save_pairs(tmp_path, rng, {"dumps": 200.0})
    (tmp_path / "base" / "1" / "producer" / file_of("yappi")).unlink()
    found = compared(tmp_path)
    assert [each.side for each in found.functions] == ["consumer"]
    plain = compared(synthetic.save_pairs(tmp_path / "plain"))
    assert plain.functions == ()
    assert plain.mover is None
    assert "functions" not in comparison.as_json(plain)


def test_the_json_has_the_functions(tmp_path):
    rng = numpy.random.default_rng(11)
    found = compared(profiled.save_pairs(tmp_path, rng, {"dumps": 200.0}))
    written = json.loads(json.dumps(comparison.as_json(found), allow_nan=False))["functions"]
    assert written["named"] == [f"{profiled.MODULE}:dumps"]
    producer = written["profiles"][0]
    assert (producer["mode"], producer["side"], producer["slowed"]) == ("yappi", "producer", 3.5)
    assert producer["changes"][0]["name"] == "dumps"
    assert producer["changes"][0]["sure"]


def test_what_is_no_functions_file_is_an_error(tmp_path):
    rng = numpy.random.default_rng(12)
    profiled.save_pairs(tmp_path, rng, count=1)
    (tmp_path / "new" / "0" / "producer" / file_of("yappi")).write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        compared(tmp_path)


def test_the_speed_of_a_run_is_not_moved_by_a_few_functions():
    own = numpy.full((20, 4), 10.0)
    own[:, 2] *= 1.3
    own[:3, 3] *= 4
    found = functions.speeds(own)
    assert found[2] / found[0] == pytest.approx(1.3)
    assert found[3] / found[0] == pytest.approx(1.0)
    assert isinstance(Seen(1, "cpu", False, {}).whole_ns, (int, float))
