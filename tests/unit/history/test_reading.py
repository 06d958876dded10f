"""Which histories a folder of runs holds."""

import json

import pytest

from omrig.history import reading
from omrig.model.errors import UsageError
from tests.unit import histories, synthetic


def experiment(folder, **content):
    about = {"schema": 1, "kind": "history", **content}
    (folder / "experiment.json").write_text(json.dumps(about))


def versions(series):
    return [point.version for point in series.points]


def test_versions_come_in_the_order_of_their_numbers(tmp_path):
    found = reading.read(str(histories.save(tmp_path)))
    assert found.package == "oslo.messaging"
    assert found.versions == histories.VERSIONS
    (series,) = found.series
    assert (series.name, versions(series)) == ("", [*histories.VERSIONS])
    assert [len(point.runs) for point in series.points] == [3] * len(histories.VERSIONS)
    assert series.points[0].lasted_s[0] < series.points[0].lasted_s[1]


def test_runs_one_beside_the_other_are_grouped_by_their_version(tmp_path):
    for number, version in enumerate(("18.1.0", "9.0", "18.1.0")):
        histories.put(tmp_path / f"run-{number}", version, synthetic.result(), started_s=number)
    (series,) = reading.read(str(tmp_path)).series
    assert [(each.version, len(each.runs)) for each in series.points] == [("9.0", 1), ("18.1.0", 2)]


def test_commits_come_by_how_many_there_are_after_a_release(tmp_path):
    labels = ["18.3.1-10-gabcdef1", "18.3.1-9-g1234567 dirty", "18.3.1", "18.4.0"]
    for number, label in enumerate(labels):
        histories.put(tmp_path / f"{number}", label, synthetic.result(), started_s=number)
    assert reading.read(str(tmp_path)).versions == (labels[2], labels[1], labels[0], labels[3])


def test_what_has_no_number_comes_as_it_was_measured(tmp_path):
    for number, label in enumerate(["my-branch", "18.1.0", "another"]):
        histories.put(tmp_path / f"{number}", label, synthetic.result(), started_s=-number)
    assert reading.read(str(tmp_path)).versions == ("another", "18.1.0", "my-branch")


def test_an_experiment_says_the_order_and_the_names(tmp_path):
    order = ["f00", "a01", "c02"]
    histories.save(tmp_path, versions=order)
    names = {name: name for name in order}
    experiment(tmp_path, package="oslo.messaging", versions=order, names=names)
    assert reading.read(str(tmp_path)).versions == tuple(order)


def test_different_loads_are_series_of_their_own(tmp_path):
    histories.save(tmp_path, executor="threading", workers=4)
    histories.save(tmp_path, executor="eventlet", workers=4, name="{version}-b")
    histories.save(tmp_path, executor="eventlet", workers=8, name="{version}-c")
    found = reading.read(str(tmp_path))
    names = [series.name for series in found.series]
    assert names == ["eventlet, 4 workers", "eventlet, 8 workers", "threading, 4 workers"]


def test_what_comes_and_goes_with_versions_does_not_part_a_history(tmp_path):
    histories.save(tmp_path, versions=["14.7.0"], options={"rpc_retry": 1}, kernel="5")
    histories.save(tmp_path, versions=["14.8.0"], options={"other": 2}, kernel="6", begin_s=100)
    assert len(reading.read(str(tmp_path)).series) == 1


def test_the_package_is_the_one_whose_versions_differ(tmp_path):
    for number, version in enumerate(("5.3.0", "5.4.0")):
        folder = tmp_path / f"{number}"
        histories.put(folder, version, synthetic.result(), started_s=number, package="kombu")
    assert reading.read(str(tmp_path)).package == "kombu"
    with pytest.raises(UsageError, match=r"--package: .* no version of nova; they tell"):
        reading.read(str(tmp_path), "nova")
    assert reading.read(str(tmp_path), "Kombu").versions == ("5.3.0", "5.4.0")


def test_what_could_not_be_measured_is_a_gap_with_its_reason(tmp_path):
    histories.save(tmp_path)
    failed = synthetic.result()
    failed |= {"complete": False, "reason": "the consumer ended"}
    histories.put(tmp_path / "16.1.0" / "01", "16.1.0", failed)
    experiment(
        tmp_path,
        package="oslo.messaging",
        versions=["13.0.0", *histories.VERSIONS, "16.1.0", "19.0.0"],
        skipped=[{"name": "13.0.0", "version": "13.0.0", "reason": "it does not build"}],
    )
    found = reading.read(str(tmp_path))
    gaps = {gap.version: gap.reason for gap in found.series[0].gaps}
    assert gaps == {
        "13.0.0": "it does not build",
        "16.1.0": "left out: the consumer ended",
        "19.0.0": "not measured yet",
    }
    assert found.versions[0] == "13.0.0"
    assert found.excluded == ((str(tmp_path / "16.1.0" / "01"), "the consumer ended"),)


def test_what_holds_no_runs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        reading.read(str(tmp_path))
    with pytest.raises(UsageError, match="is no folder"):
        reading.read(str(tmp_path / "absent"))
    failed = synthetic.result() | {"complete": False, "reason": "it was killed"}
    histories.put(tmp_path / "01", "1.0", failed)
    with pytest.raises(UsageError, match=r"no run counts: .* it was killed"):
        reading.read(str(tmp_path))
    (tmp_path / "experiment.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        reading.read(str(tmp_path))
