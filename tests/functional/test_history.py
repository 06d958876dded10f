"""A load over the versions of a package, as a user measures it and looks at it."""

import json

import pytest

from tests.unit import histories

LOAD = ("--", "-m", 30, "-w", 2, "--executor", "threading")


@pytest.fixture
def folder(tmp_path):
    return histories.save(tmp_path / "runs", changes={"14.8.0": {"wakeup": 500e6}})


def test_a_folder_of_runs_is_shown_and_written(run, folder):
    status, out, err = run("history", "runs")
    assert status == 0, err
    assert "> 14.8.0: p50 x 3" in out
    assert "`wakeup` +500 ms" in out
    content = json.loads((folder / "history.json").read_text())
    assert [each["version"] for each in content["changes"]] == ["14.8.0"]
    written = ("history.html", "history.csv", "otava.yaml", "asv/asv.conf.json")
    assert all((folder / name).stat().st_size for name in written)
    # What was written is none of the runs.
    status, out, err = run("history", "runs", "--json")
    assert status == 0, err
    assert json.loads(out) == content


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("history",), "history: a FOLDER to show, --versions or --resume is needed"),
        (("history", "absent"), "FOLDER: absent is no folder; give one of runs"),
        (("history", "."), "FOLDER: . holds no run (no run.json in it or in its folders); give a"
         " folder of runs, by version or one beside the other"),
        (("history", "runs", "--rounds", 2), "--rounds: runs is shown as it is; to measure in it"
         " leave FOLDER out and give --resume runs"),
        (("history", "--resume", "."), "--resume: No such file or directory: experiment.json"),
        (("history", "--versions", "oslo.messaging>=", *LOAD), "--versions: 'oslo.messaging>=' is"
         " no requirement; give a requirement, as 'oslo.messaging>=14', or versions, as"
         " 14.7.0,14.8.0"),
        (("history", "--versions", "18.1.0", "--", "--executor", "x"), "after --: --executor:"
         " unknown 'x'; choose from eventlet, threading"),
        (("history", "--versions", "18.1.0", "--", "--with", "oslo.messaging"), "--with:"
         " oslo.messaging: --versions says which oslo.messaging is measured"),
        (("history", "--source", "absent", "--versions", "a..b"), "--source: absent is no folder;"
         " give a checkout of git, or a git URL"),
        (("history", "--source", "absent"),
         "history: a FOLDER to show, --versions or --resume is needed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(run, arguments, line):
    status, out, err = run(*arguments)
    assert (status, out, err) == (2, "", f"omrig: {line}\n")


def test_versions_are_measured_around_one_that_cannot_be_and_go_on(run, tmp_path):
    status, out, err = run(
        "history", "--versions", "18.1.0,18.3.1,99.0.0", "-n", 1, "--output", "h", *LOAD
    )
    assert status == 0, err
    assert "omrig: 99.0.0 is skipped: --with: " in err
    about = json.loads((tmp_path / "h" / "experiment.json").read_text())
    assert (about["kind"], about["complete"]) == ("history", True)
    assert sorted(about["rounds"][0]) == ["18.1.0", "18.3.1"]
    content = json.loads((tmp_path / "h" / "history.json").read_text())
    assert content["versions"] == ["18.1.0", "18.3.1", "99.0.0"]
    (series,) = content["series"]
    old, new = (each["runs"][0]["figures"] for each in series["versions"])
    assert old["stage.wakeup"] > 100 * new["stage.wakeup"]
    assert [gap["version"] for gap in series["gaps"]] == ["99.0.0"]
    assert "are too few to call a change" in out
    status, out, err = run("history", "--resume", "h", "--versions", "18.3.1", "--quiet")
    assert status == 0, err
    assert json.loads((tmp_path / "h" / "experiment.json").read_text())["rounds"] == about["rounds"]
