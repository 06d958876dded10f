"""What members left elsewhere comes into the run folder, or it is said where it is."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from omrig.fleet import bringing, spool
from omrig.fleet.remote import Post
from omrig.model.errors import Losses

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Display:
    def __init__(self):
        self.said, self.told = [], []
        self.say, self.tell = self.said.append, self.told.append


@pytest.fixture
def left(tmp_path, monkeypatch):
    """The post of a member whose scheduler is gone, and what that member left in the spool."""
    monkeypatch.setenv("OMRIG_SPOOL", str(tmp_path / "spool"))
    folder = spool.made("5a" * 16)
    for name in ("producer", "hosts/a"):
        (folder / name).mkdir(parents=True)
        (folder / name / "side.json").write_text(name)
    post = Post("tag-0", "a", "tcp://10.0.0.1:1", lambda _: None)
    post.folder, post.own = str(folder), "hosts/a"
    post.members["producer"] = SimpleNamespace(over=lambda *_: None)
    return post


def bring(post, tmp_path, boot_id):
    display, losses = Display(), Losses(tmp_path)
    client = SimpleNamespace(status="closed")
    hosts = {"a": SimpleNamespace(address="10.0.0.1", boot_id=boot_id)}
    found = bringing.bring(client, [post], hosts, tmp_path / "r", display, losses)
    return found, display, losses


def test_what_is_on_this_machine_needs_no_engine(left, tmp_path):
    found, display, losses = bring(left, tmp_path, BOOT_ID)
    assert (found, display.told, losses.paths) == ({}, [], {})
    assert (tmp_path / "r/producer/side.json").read_text() == "producer"
    assert (tmp_path / "r/hosts/a/side.json").read_text() == "hosts/a"
    assert list(spool.root().iterdir()) == []


def test_another_spool_on_this_machine_is_read_and_left_as_it_is(left, tmp_path, monkeypatch):
    monkeypatch.setenv("OMRIG_SPOOL", str(tmp_path / "another"))
    assert bring(left, tmp_path, BOOT_ID)[0] == {}
    assert (tmp_path / "r/producer/side.json").exists()
    assert (Path(left.folder) / "producer/side.json").exists()


def test_what_nobody_can_read_is_told_and_stays(left, tmp_path):
    found, display, losses = bring(left, tmp_path, "another machine")
    assert found == {"a": left.folder}
    assert losses.paths == {"left on a": ["producer"]}
    assert len(display.told) == 2
    assert f"{left.folder}/producer on a could not be collected" in display.told[0]
    assert (Path(left.folder) / "producer/side.json").exists()


def test_orphans_have_time_to_save(left, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(bringing.time, "sleep", slept.append)
    left.lose("the worker on a is gone")
    _, display, _ = bring(left, tmp_path, BOOT_ID)
    assert display.said[0] == "waiting for what lost members still write"
    assert bringing.ORPHAN_S - 1 < slept[0] <= bringing.ORPHAN_S


def test_what_nobody_can_read_is_not_waited_for(left, tmp_path, monkeypatch):
    monkeypatch.setattr(bringing.time, "sleep", lambda _: pytest.fail("it waits"))
    left.lose("a has said nothing for 10 s")
    found, display, _ = bring(left, tmp_path, "another machine")
    assert found == {"a": left.folder}
    assert display.said == []


def test_any_worker_of_the_host_reads_for_one_that_is_lost():
    def post(worker, lost=None):
        made = Post("p", "a", worker, lambda _: None)
        made.lost = lost
        return made

    host = SimpleNamespace(address="10.0.0.1", boot_id="b")
    gone, there = post("tcp://10.0.0.1:1", "gone"), post("tcp://10.0.0.1:2")
    alive = {"tcp://10.0.0.1:1", "tcp://10.0.0.1:2", "tcp://10.0.0.11:3", "tcp://10.0.0.1:9"}
    found = bringing._workers(gone, host, [gone, there], alive)
    assert found == ["tcp://10.0.0.1:2", "tcp://10.0.0.1:9"]
    assert bringing._workers(there, host, [gone, there], alive) == found
