"""Where members of a fleet write on their hosts: private, listed, deleted when asked to."""

import os
import stat

import pytest

from omrig.cli import main
from omrig.fleet import spool


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.setenv("OMRIG_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_the_spool_is_in_the_users_cache_where_nothing_else_is_named(tmp_path, monkeypatch):
    assert spool.root() == tmp_path / "spool"
    monkeypatch.delenv("OMRIG_SPOOL")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert spool.root() == tmp_path / "cache" / "omrig" / "fleet"


def test_a_runs_folder_is_for_its_user_alone_and_for_all_members(tmp_path):
    folder = spool.made("r1")
    assert folder == tmp_path / "spool" / "r1"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert spool.made("r1") == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("run_id", ["", "..", "a/b", ".hidden"])
def test_what_is_no_id_makes_no_folder(run_id):
    with pytest.raises(ValueError, match="no id of a run"):
        spool.made(run_id)


def test_a_link_in_its_place_is_not_followed(tmp_path):
    spool.root().mkdir()
    (tmp_path / "elsewhere").mkdir()
    (spool.root() / "r1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        spool.made("r1")


def test_somebody_elses_folder_is_refused(monkeypatch):
    folder = spool.made("r1")
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        spool.made("r1")


def test_the_last_member_that_is_removed_takes_the_runs_folder_along():
    folder = spool.made("r1")
    for name in ("producer-1", "consumer-1"):
        (folder / name).mkdir()
        (folder / name / "side.json").write_text("{}")
    spool.remove(folder / "producer-1")
    assert (folder / "consumer-1" / "side.json").exists()
    spool.remove(folder / "consumer-1")
    assert not folder.exists()
    (spool.made("r1") / "hosts" / "h1").mkdir(parents=True)
    spool.remove(folder / "hosts" / "h1")
    assert not folder.exists()
    assert spool.root().exists()
    spool.remove(folder / "consumer-1")


@pytest.mark.parametrize("path", ["", "..", "../outside", "r1/../../outside"])
def test_nothing_outside_of_the_spool_is_removed(tmp_path, path):
    spool.made("r1")
    (tmp_path / "outside").mkdir()
    with pytest.raises(ValueError, match="is not in the spool"):
        spool.remove(spool.root() / path)
    assert (tmp_path / "outside").exists()
    assert spool.root().exists()


def test_what_is_kept_is_listed_with_its_size_and_who_uses_it():
    folder = spool.made("r1")
    (folder / "producer-1").mkdir()
    (folder / "producer-1" / "stamps.npz").write_bytes(bytes(1_000))
    with spool.in_use(folder):
        (found,) = spool.kept()
        assert (found.path, found.size_bytes, found.in_use) == (folder, 1_000, True)
    (found,) = spool.kept()
    assert not found.in_use


def left(run_id, size_bytes):
    folder = spool.made(run_id)
    (folder / "producer-1").mkdir()
    (folder / "producer-1" / "stamps.npz").write_bytes(bytes(size_bytes))
    return folder


def test_clean_says_what_is_left_and_deletes_it_only_when_asked_to(capsys):
    over, running = left("over", 2_000_000), left("running", 1_000)
    with spool.in_use(running):
        assert main(["clean"]) == 0
        shown = capsys.readouterr().out
        assert f"{spool.root()} holds 2 run folders that no coordinator collected" in shown
        assert "omrig clean --spool" in shown
        assert main(["clean", "--spool", "--dry-run"]) == 1
        assert f"would delete {over} (2.0 MB" in capsys.readouterr().out
        assert over.exists()
        assert main(["clean", "--spool"]) == 1
        shown = capsys.readouterr().out
        assert f"delete {over} (2.0 MB" in shown
        assert f"{running}: is under way" in shown
        assert not over.exists()
    assert main(["clean", "--spool"]) == 0
    assert not running.exists()


def test_clean_says_nothing_of_an_empty_spool(capsys):
    assert main(["clean"]) == 0
    assert "spool" not in capsys.readouterr().out
