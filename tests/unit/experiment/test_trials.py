"""Rounds of configurations: their order, their folders, and what is left when they end early."""

import itertools
import json

import pytest

from omrig.experiment import journal, trials
from omrig.model.errors import RunError, UsageError
from tests.unit.experiment.measured import Measured, named, opened

A, B, C = named("a"), named("b", "-m", "5"), named("c")


def read(folder):
    return json.loads((folder / "experiment.json").read_text())


def test_each_is_measured_once_a_round_in_an_order_that_is_drawn_and_kept(tmp_path):
    measured = Measured()
    with opened(tmp_path / "e", measured) as found:
        for _ in range(20):
            found.round((A, B))
    about = read(tmp_path / "e")
    assert {tuple(order) for order in about["rounds"]} == {("a", "b"), ("b", "a")}
    assert 4 <= sum(order[0] == "a" for order in about["rounds"]) <= 16
    assert [run.partition("/")[0] for run in measured.order] == [*itertools.chain(*about["rounds"])]
    assert [run for run in measured.order if run[0] == "b"][:3] == ["b/01", "b/02", "b/03"]
    assert len({plan.run_id for plan in measured.plans}) == 40
    assert about["configurations"][-1] in (
        {"name": "a", "arguments": []},
        {"name": "b", "arguments": ["-m", "5"]},
    )
    assert (about["complete"], about["reason"], about["kind"]) == (True, None, "ab")
    assert measured.said[0].startswith("round 1: ")


def test_who_agreed_to_a_configuration_is_not_asked_again(tmp_path):
    measured = Measured()
    with opened(tmp_path / "e", measured) as found:
        found.round((A, B))
        found.round((A, B))
    assert [plan.transport.yes for plan in measured.plans] == [False, False, True, True]


def test_runs_are_read_by_name_and_by_the_rounds_that_several_were_in(tmp_path):
    with opened(tmp_path / "e", Measured()) as found:
        found.round((A, B))
        found.round((A, C))
        found.round((C, A, B))
        assert [run.folder.name for run in found.runs("a")] == ["01", "02", "03"]
        ours, theirs = found.paired("a", "b")
        assert [run.folder.name for run in ours] == ["01", "03"]
        assert [run.folder.name for run in theirs] == ["01", "02"]
        assert found.rounds("a", "b") == 2
        assert found.runs("d") == []


def test_a_folder_that_holds_something_is_not_added_to(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="already holds runs"), opened(tmp_path, Measured()):
        pytest.fail("it was opened")


def test_a_run_that_fails_is_put_aside_when_the_experiment_goes_on(tmp_path):
    measured = Measured()
    measured.fails = {"b/02"}
    folder = tmp_path / "e"
    with (
        pytest.raises(RunError, match=r"run b of round 2 failed: the consumer died \(/.*b/02\)"),
        opened(folder, measured) as found,
    ):
        for _ in range(3):
            found.round((A, B))
    about = read(folder)
    assert not about["complete"]
    assert "the consumer died" in about["reason"]
    before = about["rounds"]
    with opened(folder, measured, about=journal.read(folder, "--resume")) as found:
        # The second round is brought to its end before the third begins.
        found.round((A, B))
        assert found.rounds("a", "b") == 2
        found.round((A, B))
    assert sorted(path.name for path in (folder / "b").iterdir()) == [
        "01", "02", "02.incomplete", "03",
    ]  # fmt: skip
    assert read(folder)["rounds"][:2] == before
    assert read(folder)["complete"]


def test_the_order_goes_on_as_it_would_have(tmp_path):
    whole, broken = Measured(), Measured()
    with opened(tmp_path / "w", whole) as found:
        for _ in range(6):
            found.round((A, B))
    about = journal.new(tmp_path / "e", "ab")
    about.seed = read(tmp_path / "w")["seed"]
    broken.raises = {"a/03": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "e", broken, about=about) as found:
        for _ in range(6):
            found.round((A, B))
    assert found.interrupted
    assert read(tmp_path / "e")["reason"] == "interrupted"
    with opened(tmp_path / "e", broken, about=journal.read(tmp_path / "e", "--resume")) as found:
        while found.rounds("a", "b") < 6:
            found.round((A, B))
    assert read(tmp_path / "e")["rounds"] == read(tmp_path / "w")["rounds"]


def test_killed_between_a_run_and_its_note_the_run_counts(tmp_path):
    measured = Measured()
    folder = tmp_path / "e"
    with opened(folder, measured) as found:
        found.round((A, B))
    about = read(folder)
    del about["measured"][0]["b"]
    about |= {"complete": False, "reason": journal.UNFINISHED}
    (folder / "experiment.json").write_text(json.dumps(about))
    with opened(folder, measured, about=journal.read(folder, "--resume")) as found:
        found.round((A, B))
        assert found.rounds("a", "b") == 1
    assert len(measured.plans) == 2


def test_while_it_goes_on_the_file_says_that_it_is_not_complete(tmp_path):
    with opened(tmp_path / "e", Measured()) as found:
        assert read(tmp_path / "e")["reason"] == journal.UNFINISHED
        found.round((A, B))
        assert not read(tmp_path / "e")["complete"]
        assert read(tmp_path / "e")["measured"] == [{"a": 1, "b": 1}]


def test_a_configuration_that_cannot_be_run_does_not_shift_the_rounds_of_the_others(tmp_path):
    measured = Measured()
    with opened(tmp_path / "e", measured) as found:
        found.round((A, B))
        measured.fails = {"c/01"}
        with pytest.raises(RunError):
            found.round((A, C))
        found.round((A, B))
        ours, theirs = found.paired("a", "b")
        assert len(ours) == len(theirs) == 2
        assert [run.folder.name for run in theirs] == ["01", "02"]
        assert ours[-1].started_s > ours[0].started_s


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("rabbit://u:p@ss/w@h:5672/,u2:x@h2//", "rabbit://u:***@h2//"),
        ("--transport-url=rabbit://u:p@h/", "--transport-url=rabbit://u:***@h/"),
        ("git+https://tok@git.example/o/r@main", "git+https://***@git.example/o/r@main"),
        ("--set=kafka.sasl_password=hush", "--set=kafka.sasl_password=***"),
        ("git+file:///src/oslo.messaging@branch", "git+file:///src/oslo.messaging@branch"),
        ("git+ssh://git@host/o/r@branch", "git+ssh://git@host/o/r@branch"),
        ("oslo.messaging==18.1.0", "oslo.messaging==18.1.0"),
    ],
)
def test_no_password_is_written(argument, shown):
    assert journal.masked(argument) == shown
    assert journal.is_masked([shown]) == (shown != argument)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ('{"schema": 1}', "cannot be read"),
        ('{"schema": 99}', "upgrade it"),
        (None, "No such file"),
    ],
)
def test_what_is_no_experiment_is_said_in_a_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(UsageError, match=said) as error:
        journal.read(tmp_path, "--resume")
    assert str(error.value).startswith("--resume: ")


def test_a_run_that_is_gone_is_said(tmp_path):
    measured = Measured()
    folder = tmp_path / "e"
    with opened(folder, measured) as found:
        found.round((A, B))
    (folder / "a" / "01" / "result.json").unlink()
    with (
        pytest.raises(UsageError, match="is gone or no complete run"),
        opened(folder, measured, about=journal.read(folder, "--resume")) as found,
    ):
        found.runs("a")


@pytest.mark.parametrize("exists", [False, True])
def test_bad_usage_before_anything_is_measured_leaves_nothing(tmp_path, exists):
    folder = tmp_path / "e"
    if exists:
        folder.mkdir()
    with pytest.raises(UsageError), opened(folder, Measured()):
        raise UsageError("--rabbitmq: none")
    assert folder.exists() == exists
    assert not (folder / "experiment.json").exists()


def test_what_is_put_aside_never_overwrites(tmp_path):
    for _ in range(3):
        (tmp_path / "01").mkdir()
        trials.put_aside(tmp_path / "01")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "01.incomplete", "01.incomplete-2", "01.incomplete-3",
    ]  # fmt: skip


def duet(folder, **more):
    return journal.new(folder, "ab", journal.Rule(rounds=3, duet=True, **more))


def test_a_duet_measures_a_round_at_once(tmp_path):
    measured = Measured()
    with opened(tmp_path / "e", measured, about=duet(tmp_path / "e")) as found:
        for _ in range(3):
            found.round((A, B))
        assert found.rounds("a", "b") == 3
    assert measured.duets == [0, 2, 4]
    assert sorted(measured.order) == ["a/01", "a/02", "a/03", "b/01", "b/02", "b/03"]
    assert read(tmp_path / "e")["rule"]["duet"] is True


def test_half_a_duet_is_measured_anew_with_its_other_half(tmp_path):
    measured, folder = Measured(), tmp_path / "e"
    measured.fails = {"b/02"}
    with (
        pytest.raises(RunError, match="run b of round 2 failed"),
        opened(folder, measured, about=duet(folder)) as found,
    ):
        for _ in range(3):
            found.round((A, B))
    assert read(folder)["measured"] == [{"a": 1, "b": 1}, {}]
    with opened(folder, measured, about=journal.read(folder, "--resume")) as found:
        found.round((A, B))
    assert read(folder)["measured"] == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
    for side in "ab":
        assert sorted(path.name for path in (folder / side).iterdir()) == [
            "01", "02", "02.incomplete",
        ]  # fmt: skip


def test_a_duet_that_was_noted_by_half_is_whole(tmp_path):
    measured, folder = Measured(), tmp_path / "e"
    with opened(folder, measured, about=duet(folder)) as found:
        found.round((A, B))
    about = json.loads((folder / "experiment.json").read_text())
    # Killed between the notes of the one and of the other.
    del about["measured"][0]["b"]
    about |= {"complete": False, "lasted_s": []}
    (folder / "experiment.json").write_text(json.dumps(about))
    with opened(folder, measured, about=journal.read(folder, "--resume")) as found:
        found.round((A, B))
    assert len(measured.plans) == 2
    assert read(folder)["measured"] == [{"a": 1, "b": 1}]
