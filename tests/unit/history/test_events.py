"""What a history says happened: sizes, intervals, the stage that explains it."""

import json

import pytest

from omrig.history import events, reading, told
from tests.unit import histories

SLOW = {"14.8.0": {"wakeup": 500e6}, "17.0.0": {"wakeup": 0.0}}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    histories.save(folder, changes=SLOW, executor="threading")
    histories.save(
        folder, changes={"15.0.0": {"decode": 300e3}}, executor="eventlet", begin_s=5,
        name="{version}-b", seed=3,
    )  # fmt: skip
    return reading.read(str(folder))


@pytest.fixture(scope="module")
def happened(history):
    return events.of_history(history)


def test_the_largest_change_comes_first(happened):
    assert [(event.version, event.series.name) for event in happened[:3]] == [
        ("14.8.0", "threading"),
        ("17.0.0", "threading"),
        ("15.0.0", "eventlet"),
    ]
    assert [event.previous for event in happened[:3]] == ["14.7.0", "16.0.0", "14.10.0"]


def test_a_change_has_its_size_and_its_stage(happened):
    slow, mended, _ = happened[:3]
    assert slow.lead.metric.name == "p50"
    assert slow.lead.ratio.low < slow.lead.after / slow.lead.before < slow.lead.ratio.high
    assert slow.lead.times == pytest.approx(348, rel=0.05)
    assert (slow.word, mended.word) == ("slower", "faster")
    assert slow.explanation.cause.stage == mended.explanation.cause.stage == "wakeup"
    assert slow.explanation.cause.difference_ns == pytest.approx(500e6, rel=0.2)
    assert {"throughput", "p99", "stage.wakeup"} <= {each.metric.name for each in slow.changes}
    assert not slow.apart


def test_runs_made_at_other_times_are_told(tmp_path):
    before, after = histories.VERSIONS[:4], histories.VERSIONS[4:]
    histories.save(tmp_path, versions=before)
    shift = {after[0]: {"decode": 500e3}}
    histories.save(tmp_path, versions=after, changes=shift, begin_s=1e4)
    first = events.of_history(reading.read(str(tmp_path)))[0]
    assert (first.version, first.apart) == (after[0], True)


def test_nothing_happens_where_nothing_changes(tmp_path):
    assert events.of_history(reading.read(str(histories.save(tmp_path, seed=12)))) == []


def test_too_few_runs_say_so(tmp_path):
    histories.save(tmp_path, versions=histories.VERSIONS[:2], changes={"14.7.0": {"api": 1e9}})
    found = reading.read(str(tmp_path))
    assert events.of_history(found) == []
    assert events.too_few(found) == [
        "6 runs of 2 versions are too few to call a change: measure more versions, or more runs of"
        " each"
    ]


def test_a_version_without_stages_is_passed_over(tmp_path):
    histories.save(tmp_path, changes={"15.0.0": {"decode": 500e3}})
    for run in (tmp_path / "14.7.0").iterdir():
        content = json.loads((run / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(content | {"stages": None}))
    first = events.of_history(reading.read(str(tmp_path)))[0]
    assert first.version == "15.0.0"
    assert "stage.decode" in {each.metric.name for each in first.changes}


def test_the_file_for_programs_says_the_same(history, happened):
    content = json.loads(json.dumps(told.as_json(history, happened), allow_nan=False))
    assert content["schema"] == told.SCHEMA
    assert content["package"] == "oslo.messaging"
    first = content["changes"][0]
    assert (first["version"], first["series"], first["word"]) == ("14.8.0", "threading", "slower")
    assert first["metrics"][0]["metric"] == "p50"
    assert first["explanation"]["cause"]["stage"] == "wakeup"
    series = content["series"][0]
    assert [each["version"] for each in series["versions"]] == [*histories.VERSIONS]
    assert series["versions"][0]["runs"][0]["figures"]["p50"] > 1e6
