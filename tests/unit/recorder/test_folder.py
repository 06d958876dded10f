"""Who may record where, and which recording is next."""

import json
import os
from pathlib import Path

import pytest

from omrig.model.errors import UsageError
from omrig.recorder import folder


def test_a_folder_that_is_open_to_others_is_refused(place: Path) -> None:
    place.chmod(0o750)
    with pytest.raises(UsageError, match=r"others may use .* \(mode 0750\); chmod 0700 /"):
        folder.checked(str(place))


def test_a_folder_of_somebody_else_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(UsageError, match=r"DIR: .* belongs to user \d+; only that user and root"):
        folder.checked(str(place))


def test_root_may_record_in_everybodys(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert folder.checked(str(place)) == place


def test_a_folder_that_is_none_of_exec_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(UsageError, match="is no folder of omrig exec; name the one"):
        folder.checked(str(tmp_path))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"DIR: .*No such file or directory; name a path that"):
        folder.checked(str(tmp_path / "none"))


def test_recordings_are_numbered_on(place: Path) -> None:
    assert folder.new_recording(place).name == "rec-1"
    (place / "rec-0").mkdir()
    (place / "rec-9").mkdir()
    (place / "rec-x").mkdir()
    (place / "rec-11").touch()
    assert folder.new_recording(place).name == "rec-10"
    assert [each.name for each in folder.recordings(place)] == ["rec-0", "rec-1", "rec-9", "rec-10"]


def test_a_pid_that_was_given_again_is_not_the_recorder(place: Path) -> None:
    start = folder.start_of(os.getpid())
    assert start is not None
    folder.write_on(place, {"pid": os.getpid(), "start": start})
    ours = folder.read_on(place)
    assert ours is not None and folder.is_recording(ours)
    (place / folder.ON).write_text(json.dumps({"pid": os.getpid(), "start": start - 1}))
    other = folder.read_on(place)
    assert other is not None and not folder.is_recording(other)


def test_what_is_wanted_is_written_whole(place: Path) -> None:
    with folder.private():
        folder.write_on(place, {"recording": "rec-1"})
    assert [each.name for each in place.iterdir() if each.name.startswith(folder.ON)] == ["on"]
    assert folder.read_on(place) == {"recording": "rec-1"}
    folder.remove_on(place)
    assert folder.read_on(place) is None
