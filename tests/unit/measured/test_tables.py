"""Rows in a file of chunks: what is there while it is written, at its limit, and after a kill."""

import errno
import os
import posix
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from omrig.measured.probes import rows as python_rows
from omrig.measured.probes import tables
from omrig.measured.probes.state import State
from omrig.model import stamps as at
from omrig.model import tables as layout
from tests.unit.measured.stamping import IMPLEMENTATIONS, NoWatcher

pytestmark = pytest.mark.usefixtures("module")
"""Each with both implementations of the stamps."""

WIDTH = len(at.PRODUCER_COLUMNS)
CAPACITY = layout.capacity(WIDTH)


def _state():
    state = State(NoWatcher(), 1)
    state.stamps.on = True
    return state


def _send(state, seq):
    """A message with an id of its own."""
    state.stamps.begin(seq)
    _named(state)({"_msg_id": f"{seq:015x}"})
    state.stamps.end()


def _named(state):
    return state.stamps.stamp("name", 1, column=at.JSON_OUT, keys=("_msg_id",))


def _table(path, limit_bytes=1 << 30, width=WIDTH):
    return tables.Table(path, width, limit_bytes)


def _seqs(path):
    found = layout.rows(path.read_bytes(), WIDTH)
    return found[at.SEQ :: WIDTH].tolist()


def test_rows_go_into_the_file_and_none_is_kept_in_memory(tmp_path):
    state, path = _state(), tmp_path / "producer.rows"
    table = _table(path)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    for seq in range(2 * CAPACITY + 3):
        _send(state, seq)
        if seq in (0, 1, CAPACITY - 1, CAPACITY):
            assert _seqs(path) == list(range(seq + 1))
    assert _seqs(path) == list(range(2 * CAPACITY + 3))
    assert state.stamps.drain("producer") == b""
    assert path.stat().st_size == table.used_bytes == 3 * layout.CHUNK_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert table.overwritten == 0
    state.stamps.tables(None, None)
    table.close()
    _send(state, 7)
    assert len(_seqs(path)) == 2 * CAPACITY + 3
    assert len(state.stamps.drain("producer")) == WIDTH * 8
    assert not state.stamps.broken, state.stamps.failure


def _descriptors():
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def _mapped(folder):
    return str(folder) in Path("/proc/self/maps").read_text()


def test_given_up_it_leaves_no_mapping_and_no_descriptor(tmp_path):
    state = _state()
    before = _descriptors()
    for _ in range(3):
        rows, notes = _table(tmp_path / "producer.rows"), _table(tmp_path / "cpu.rows", width=2)
        state.stamps.tables(rows.next_chunk, rows.next_chunk)
        state.stamps.notes_table(notes.next_chunk)
        _send(state, 1)
        assert _mapped(tmp_path)
        state.stamps.tables(None, None)
        state.stamps.notes_table(None)
        for table in (rows, notes, rows):
            table.close()
        assert not _mapped(tmp_path)
        assert _descriptors() == before
    with pytest.raises(ValueError, match="closed"):
        rows.next_chunk()


def test_at_the_limit_the_oldest_rows_are_overwritten_and_counted(tmp_path):
    state, path = _state(), tmp_path / "producer.rows"
    table = _table(path, 3 * layout.CHUNK_BYTES)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    total = 5 * CAPACITY + 2
    for seq in range(total):
        _send(state, seq)
    kept = _seqs(path)
    assert kept == list(range(3 * CAPACITY, total))
    assert table.overwritten == total - len(kept)
    assert path.stat().st_size == 3 * layout.CHUNK_BYTES
    state.stamps.tables(None, None)
    table.close()


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_disk_the_oldest_rows_are_overwritten(tmp_path, monkeypatch, why):
    state, path = _state(), tmp_path / "producer.rows"
    table = _table(path)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    real = posix.posix_fallocate

    def fallocate(descriptor, begin, size):
        if begin >= 2 * layout.CHUNK_BYTES:
            raise OSError(why, os.strerror(why))
        real(descriptor, begin, size)

    monkeypatch.setattr(posix, "posix_fallocate", fallocate)
    total = 4 * CAPACITY
    for seq in range(total):
        _send(state, seq)
    assert _seqs(path) == list(range(2 * CAPACITY, total))
    assert table.overwritten == 2 * CAPACITY
    assert not state.stamps.broken
    state.stamps.tables(None, None)
    table.close()


def test_without_room_for_the_first_chunk_the_stamps_are_turned_off(tmp_path, monkeypatch):
    state, table = _state(), _table(tmp_path / "producer.rows")

    def fallocate(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix, "posix_fallocate", fallocate)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    _send(state, 1)
    assert state.stamps.broken and not state.stamps.on
    assert "No space left on device" in state.stamps.failure
    _send(state, 2)
    state.stamps.tables(None, None)
    table.close()


def test_a_chunk_that_has_no_room_for_such_rows_is_refused(tmp_path):
    state, table = _state(), _table(tmp_path / "producer.rows", width=WIDTH - 1)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    _send(state, 1)
    assert state.stamps.broken
    assert "no room for such rows" in state.stamps.failure
    state.stamps.tables(None, None)
    table.close()


def test_a_message_under_way_belongs_to_what_was_there_when_it_began(tmp_path):
    state = _state()
    for number in range(2):
        state.stamps.begin(number)
        _named(state)({"_msg_id": f"{number:015x}"})
        path = tmp_path / f"{number}.rows"
        table = _table(path)
        # Begun before, ended meanwhile: neither has its row.
        state.stamps.tables(table.next_chunk, table.next_chunk)
        assert state.stamps.in_flight == {}
        state.stamps.end()
        _send(state, 10 + number)
        state.stamps.begin(20)
        _named(state)({"_msg_id": "a" * 15})
        state.stamps.tables(None, None)
        assert list(state.stamps.in_flight) == ["a" * 15]
        state.stamps.end()
        table.close()
        assert _seqs(path) == [10 + number]
    assert state.stamps.drain("producer") == b""
    assert not state.stamps.broken, state.stamps.failure


def test_after_a_fork_all_of_it_is_the_parent_s(tmp_path):
    state, path = _state(), tmp_path / "producer.rows"
    table = _table(path)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    _send(state, 1)
    state.stamps.begin(2)
    _named(state)({"_msg_id": "a" * 15})
    child = os.fork()
    if not child:
        state.stamps.reset()
        state.forget()
        state.stamps.end()
        state.stamps.on = True
        _send(state, 3)
        alone = len(state.stamps.drain("producer")) == WIDTH * 8
        os._exit(0 if alone and state.stamps.in_flight == {} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    state.stamps.end()
    assert _seqs(path) == [1, 2]
    state.stamps.reset()
    assert not state.stamps.on
    table.close()


def test_threads_write_into_one_table_while_chunks_are_waited_for(tmp_path):
    state, path = _state(), tmp_path / "producer.rows"
    table = _table(path)

    def next_chunk():
        time.sleep(0.005)
        return table.next_chunk()

    state.stamps.tables(next_chunk, next_chunk)
    count, named = 1500, _named(state)

    def work(worker):
        for number in range(worker * count, (worker + 1) * count):
            state.stamps.begin(number)
            named({"_msg_id": f"{number:015x}"})
            state.stamps.end()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever is last takes along what is left.
    _send(state, 6 * count)
    assert sorted(_seqs(path)) == list(range(6 * count + 1))
    rows = layout.rows(path.read_bytes(), WIDTH)
    assert rows[at.ID :: WIDTH] == rows[at.SEQ :: WIDTH]
    state.stamps.tables(None, None)
    table.close()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_a_killed_process_wrote_is_there(implementation, tmp_path):
    path = tmp_path / "producer.rows"
    script = f"""
    from omrig.measured.probes import tables
    from omrig.measured.probes.state import State
    from omrig.model import stamps as at
    state = State(None, 1)
    state.stamps.on = True
    table = tables.Table({str(path)!r}, len(at.PRODUCER_COLUMNS), 4 << 20)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    named = state.stamps.stamp("name", 1, column=at.JSON_OUT, keys=("_msg_id",))
    seq = 0
    print("sending", flush=True)
    while True:
        state.stamps.begin(seq)
        named({{"_msg_id": f"{{seq:015x}}"}})
        state.stamps.end()
        seq += 1
    """
    command = [sys.executable, "-Wignore", "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OMRIG_STAMP": implementation}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.3)
        # While it is written it can be read.
        read = _seqs(path)
        process.send_signal(signal.SIGKILL)
    kept = _seqs(path)
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert len(kept) > CAPACITY
    assert read and read == list(range(read[0], read[-1] + 1)) and read[-1] <= kept[-1]
    rows = layout.rows(path.read_bytes(), WIDTH)
    assert rows[at.ID :: WIDTH] == rows[at.SEQ :: WIDTH]
    assert all(rows[at.RETURN :: WIDTH])


def test_notes_of_cpu_time_have_a_table_of_their_own(tmp_path):
    state, path = State(NoWatcher(), 1, native=True), tmp_path / "cpu.rows"
    table = _table(path, width=2)
    state.stamps.notes_table(table.next_chunk)
    for _ in range(3):
        state.stamps.thread_cpu()
        time.sleep(0.006)
    noted = layout.rows(path.read_bytes(), 2)
    assert 2 <= len(noted) // 2 <= 3
    assert sorted(noted[::2]) == noted[::2].tolist() and noted[1] > 0
    state.stamps.notes_table(None)
    table.close()


def test_a_file_of_something_else_is_told(tmp_path):
    path = tmp_path / "producer.rows"
    state, table = _state(), _table(path)
    state.stamps.tables(table.next_chunk, table.next_chunk)
    _send(state, 1)
    data = path.read_bytes()
    with pytest.raises(layout.NotATable, match=f"{WIDTH} words and not 3"):
        layout.rows(data, 3)
    with pytest.raises(layout.NotATable, match="none of a table"):
        layout.rows(b"\1" * layout.CHUNK_BYTES, WIDTH)
    assert layout.rows(bytes(layout.CHUNK_BYTES), WIDTH).tolist() == []
    assert layout.rows(data[:100], WIDTH).tolist() == []
    state.stamps.tables(None, None)
    table.close()


def test_whoever_is_interrupted_while_writing_loses_no_row():
    """A signal's handler may send messages, too: nobody waits for who can never go on."""
    kept = python_rows.Rows(2)
    chunk = bytearray(layout.CHUNK_BYTES)
    words = memoryview(chunk).cast("Q")
    words[0], words[1], words[layout.NUMBER] = layout.MAGIC, layout.SCHEMA, 1
    words[layout.WIDTH], words[layout.CAPACITY] = 2, layout.capacity(2)

    def following():
        if not words[layout.ROWS] and not nested:
            nested.append(True)
            kept.add((3, 4))
        return memoryview(chunk)

    nested = []
    kept.use(following)
    kept.add((1, 2))
    kept.add((5, 6))
    assert layout.rows(chunk, 2).tolist() == [1, 2, 3, 4, 5, 6]
