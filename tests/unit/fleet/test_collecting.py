"""Run folders come back whole, whatever interrupts it."""

import errno
import hashlib
import random
import shutil
import sys
import types

import pytest

from omrig.fleet import collecting, digests
from omrig.fleet.collecting import Cut, Entry
from omrig.model.errors import RunError
from tests.unit.refused import limited_files

CHUNK = 1_000


class Host:
    """A folder as a worker would read it; ``broken`` is called with each frame."""

    title = "/spool/r1 by tcp://h1:1"

    def __init__(self, folder, broken=lambda _number, frame: frame):
        self.folder, self.broken, self.asked = str(folder), broken, []

    def listing(self):
        return [Entry(*each) for each in collecting.listing(self.folder)]

    def chunk(self, name, at, size_bytes):
        self.asked.append((name, at))
        frame = collecting.chunk(self.folder, name, at, size_bytes)
        return self.broken(len(self.asked), frame)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(collecting, "CHUNK_BYTES", CHUNK)


@pytest.fixture
def remote(tmp_path):
    folder = tmp_path / "remote"
    (folder / "producer-1").mkdir(parents=True)
    (folder / "hosts" / "h1").mkdir(parents=True)
    noise = random.Random(1).randbytes
    (folder / "producer-1" / "stamps.npz").write_bytes(noise(3 * CHUNK + 17))
    (folder / "producer-1" / "messages.npz").write_bytes(bytes(2 * CHUNK))
    (folder / "producer-1" / "log.txt").write_bytes(b"")
    (folder / "hosts" / "h1" / "machine.csv").write_text("t,cpu\n1,2\n")
    return folder


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def said(_text):
    """Nobody listens."""


def test_all_files_come_as_they_are(remote, tmp_path):
    heard = []
    collecting.collect(Host(remote), tmp_path / "run", heard.append)
    assert files(tmp_path / "run") == files(remote)
    assert heard[-1] == "run: 0.0 MB collected"


def test_of_the_folders_that_were_named_alone(remote, tmp_path):
    collecting.collect(Host(remote), tmp_path / "run", said, ["hosts"])
    assert list(files(tmp_path / "run")) == ["hosts/h1/machine.csv"]


def test_what_is_there_is_not_asked_for_again(remote, tmp_path):
    collecting.collect(Host(remote), tmp_path / "run", said)
    again = Host(remote)
    collecting.collect(again, tmp_path / "run", said)
    assert again.asked == []


@pytest.mark.parametrize("cut_at", range(1, 8))
def test_a_cut_at_any_chunk_costs_that_chunk_only(remote, tmp_path, cut_at):
    def cut(number, frame):
        if number == cut_at:
            raise Cut("the network is gone")
        return frame

    first = Host(remote, cut)
    with pytest.raises(Cut):
        collecting.collect(first, tmp_path / "run", said)
    assert all(
        content == files(remote)[name]
        for name, content in files(tmp_path / "run").items()
        if not name.endswith(".fetched")
    )
    second = Host(remote)
    collecting.collect(second, tmp_path / "run", said)
    assert files(tmp_path / "run") == files(remote)
    assert second.asked[0] == first.asked[-1]
    assert len(first.asked) + len(second.asked) == 7 + 1


@pytest.mark.parametrize("broken", [bytes(40), b"?" + bytes(32), b""])
def test_a_broken_chunk_is_asked_for_again(remote, tmp_path, broken):
    host = Host(remote, lambda number, frame: broken if number == 3 else frame)
    collecting.collect(host, tmp_path / "run", said)
    assert files(tmp_path / "run") == files(remote)
    assert len(host.asked) == 7 + 1


def test_one_bit_in_a_chunk_is_noticed():
    frame = bytearray(digests.packed(b"stamps" * 100))
    for place in (0, 1, 20, 33, len(frame) - 1):
        changed = bytearray(frame)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="a chunk"):
            digests.unpacked(bytes(changed), 600)
    assert digests.unpacked(bytes(frame), 600) == b"stamps" * 100


def test_a_chunk_that_is_longer_than_asked_for_is_refused():
    with pytest.raises(ValueError, match="not what was sent"):
        digests.unpacked(digests.packed(bytes(1_000_000)), 10)


def test_chunks_that_stay_broken_end_it_and_say_where(remote, tmp_path):
    host = Host(remote, lambda number, frame: frame[:-8] if number > 2 else frame)
    with pytest.raises(RunError, match=r"messages\.npz at byte 1,000: .* 3 times"):
        collecting.collect(host, tmp_path / "run", said)


def test_a_file_that_changed_meanwhile_is_fetched_anew(remote, tmp_path):
    path = remote / "producer-1" / "stamps.npz"

    def change(number, frame):
        if number == 5:
            path.write_bytes(random.Random(2).randbytes(4 * CHUNK))
        return frame

    collecting.collect(Host(remote, change), tmp_path / "run", said)
    assert files(tmp_path / "run") == files(remote)


def test_a_file_that_changes_all_the_time_is_named(remote, tmp_path):
    path = remote / "producer-1" / "stamps.npz"

    def change(number, frame):
        path.write_bytes(random.Random(number).randbytes(3 * CHUNK + 17))
        return frame

    with pytest.raises(RunError, match=r"producer-1/stamps\.npz changed while it was collected"):
        collecting.collect(Host(remote, change), tmp_path / "run", said)
    assert "producer-1/stamps.npz" not in files(tmp_path / "run")


def test_what_came_of_another_version_of_a_file_is_thrown_away(remote, tmp_path):
    place = tmp_path / "run" / "producer-1"
    place.mkdir(parents=True)
    (place / "stamps.npz.0123456789abcdef.fetched").write_bytes(b"old")
    digest = hashlib.sha256((remote / "producer-1" / "stamps.npz").read_bytes()).hexdigest()
    # A crash left zeros where the chunk was to be.
    (place / f"stamps.npz.{digest[:16]}.fetched").write_bytes(bytes(CHUNK))
    (place / "messages.npz").write_bytes(b"of a run before")
    collecting.collect(Host(remote), tmp_path / "run", said)
    assert files(tmp_path / "run") == files(remote)


def test_a_full_disk_keeps_what_came_and_is_named(remote, tmp_path):
    with limited_files(2 * CHUNK + 500), pytest.raises(OSError, match=r"stamps\.npz") as caught:
        collecting.collect(Host(remote), tmp_path / "run", said)
    assert caught.value.errno == errno.EFBIG
    (partial,) = (tmp_path / "run" / "producer-1").glob("*.fetched")
    assert partial.stat().st_size == 2 * CHUNK
    rest = Host(remote)
    collecting.collect(rest, tmp_path / "run", said)
    assert [at for _, at in rest.asked] == [2 * CHUNK, 3 * CHUNK]
    assert files(tmp_path / "run") == files(remote)


def test_what_kept_room_on_the_disk_and_links_do_not_travel(remote):
    (remote / "producer-1" / "reserve").write_bytes(bytes(10))
    (remote / "producer-1" / "link").symlink_to("/etc/passwd")
    names = [name for name, _, _ in collecting.listing(str(remote))]
    assert names == [
        "hosts/h1/machine.csv", "producer-1/log.txt", "producer-1/messages.npz",
        "producer-1/stamps.npz",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../run.json", "/etc/passwd", ""])
def test_a_host_writes_nowhere_else(remote, tmp_path, name):
    host = Host(remote)
    host.listing = lambda: [Entry(name, 0, hashlib.sha256().hexdigest())]
    with pytest.raises(ValueError, match="no file of a run folder"):
        collecting.collect(host, tmp_path / "run", said)
    with pytest.raises(ValueError, match="no file of a run folder"):
        collecting.chunk(str(remote), name, 0, 1)


def test_a_folder_that_is_not_there_is_no_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        collecting.listing(str(tmp_path / "absent"))


def test_the_next_worker_of_a_host_goes_on(remote, tmp_path, monkeypatch):
    hosts = {
        "tcp://h1:1": Host(remote, lambda number, frame: frame if number < 4 else cut()),
        "tcp://h1:2": Host(remote),
    }

    def cut():
        raise Cut("tcp://h1:1: no answer")

    monkeypatch.setattr(collecting, "OfWorker", lambda _client, worker, _folder: hosts[worker])
    found = collecting.fetch_by_any(None, [*hosts], "/spool/r1", tmp_path / "run", said)
    assert found == "tcp://h1:2"
    assert files(tmp_path / "run") == files(remote)
    assert len(hosts["tcp://h1:2"].asked) == 7 - 3


def test_without_a_worker_it_says_so(tmp_path):
    with pytest.raises(Cut, match="no worker is left on its host"):
        collecting.fetch_by_any(None, [], "/spool/r1", tmp_path / "run", said)


def test_the_better_codec_is_used_where_both_sides_have_it(monkeypatch):
    class Compressor:
        def __init__(self, level):
            assert level == 1

        def compress(self, raw):
            return raw[::-1]

    class Decompressor:
        def stream_reader(self, data):
            return _Reader(data[::-1])

    library = types.SimpleNamespace(ZstdCompressor=Compressor, ZstdDecompressor=Decompressor)
    monkeypatch.setitem(sys.modules, "zstandard", library)
    monkeypatch.setattr(digests, "_CODECS", digests._known())
    frame = digests.packed(b"abc", ["zstd", "zlib"])
    assert frame[:1] == b"s"
    assert digests.unpacked(frame, 3) == b"abc"
    assert digests.packed(b"abc", ["zlib"])[:1] == b"z"


class _Reader:
    def __init__(self, data):
        self._data = data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read(self, most):
        return self._data[:most]


def test_a_folder_that_vanished_is_a_cut_and_what_came_stays(remote, tmp_path):
    def vanish(number, frame):
        if number == 3:
            shutil.rmtree(remote)
        return frame

    with pytest.raises(FileNotFoundError):
        collecting.collect(Host(remote, vanish), tmp_path / "run", said)
    assert files(tmp_path / "run")["hosts/h1/machine.csv"] == b"t,cpu\n1,2\n"
