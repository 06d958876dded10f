"""A history is filled: in rounds, around what fails, and only with what is lacking."""

import time

import pytest

from omrig.experiment import filling, journal
from omrig.model.errors import RunError, UsageError
from tests.unit.experiment.measured import Measured, named, opened

WANTED = [named(name) for name in ("14.7.0", "14.8.0", "15.0.0")]


def filled(folder, measured, wanted=None, rounds=2, about=None, until_s=None):
    skipped = []
    about = about or journal.new(folder, "history")
    with opened(folder, measured, kind="history", about=about) as trials:
        is_whole = filling.fill(
            trials, wanted or WANTED, rounds, lambda each, why: skipped.append((each.name, why)),
            until_s,
        )  # fmt: skip
    return is_whole, skipped, about


def counts(about, wanted=None):
    return [about.count(each.name) for each in wanted or WANTED]


def test_each_round_has_every_version_once(tmp_path):
    measured = Measured()
    is_whole, skipped, about = filled(tmp_path, measured)
    assert (is_whole, skipped, counts(about)) == (True, [], [2, 2, 2])
    names = [each.name for each in WANTED]
    assert [sorted(order) for order in about.rounds] == [names, names]


def test_a_version_that_fails_is_skipped_from_then_on(tmp_path):
    measured = Measured()
    measured.fails = {"14.8.0/01"}
    is_whole, skipped, about = filled(tmp_path, measured)
    assert is_whole
    assert [name for name, _ in skipped] == ["14.8.0"]
    assert "the consumer died" in skipped[0][1]
    assert counts(about) == [2, 0, 2]
    assert "14.8.0" not in about.rounds[1]


def test_where_every_version_fails_the_last_reason_is_raised(tmp_path):
    measured = Measured()
    measured.raises = {f"{each.name}/01": UsageError("--set: unknown") for each in WANTED}
    with pytest.raises(UsageError, match="--set: unknown"):
        filled(tmp_path, measured)
    measured = Measured()
    measured.fails = {f"{each.name}/01" for each in WANTED}
    with pytest.raises(RunError, match="the consumer died"):
        filled(tmp_path / "2", measured)


def test_what_was_interrupted_goes_on(tmp_path):
    measured = Measured()
    measured.raises = {"14.8.0/02": KeyboardInterrupt()}
    about = journal.new(tmp_path, "history")
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, measured, about=about)
    before = len(measured.plans)
    again = journal.read(tmp_path, "--resume")
    is_whole, _, again = filled(tmp_path, measured, about=again)
    assert (is_whole, counts(again)) == (True, [2, 2, 2])
    assert len(again.rounds) == 2
    assert len(measured.plans) - before == 6 - (before - 1)


def test_only_what_is_lacking_is_measured(tmp_path):
    measured = Measured()
    filled(tmp_path, measured)
    more = [*WANTED, named("16.0.0")]
    again = journal.read(tmp_path, "--resume")
    is_whole, _, again = filled(tmp_path, measured, more, about=again)
    assert (is_whole, counts(again, more)) == (True, [2, 2, 2, 2])
    assert again.rounds[2:] == [["16.0.0"], ["16.0.0"]]
    is_whole, _, again = filled(tmp_path, measured, more, 3, journal.read(tmp_path, "--resume"))
    assert counts(again, more) == [3, 3, 3, 3]


def test_a_version_that_failed_is_tried_again_when_it_goes_on(tmp_path):
    measured = Measured()
    measured.fails = {"15.0.0/01"}
    filled(tmp_path, measured)
    is_whole, skipped, about = filled(tmp_path, measured, about=journal.read(tmp_path, "--resume"))
    assert (is_whole, skipped, counts(about)) == (True, [], [2, 2, 2])


def test_no_round_begins_that_would_end_too_late(tmp_path):
    measured = Measured()
    is_whole, _, about = filled(tmp_path, measured, until_s=time.monotonic() - 1)
    assert (is_whole, counts(about)) == (False, [0, 0, 0])
