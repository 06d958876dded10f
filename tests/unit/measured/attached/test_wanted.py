"""Which recording is wanted, as long as who wants it lives."""

import json
import os
import subprocess
import sys

import pytest

from omrig.measured.attached import wanted


def test_what_this_process_wants_is_wanted(tmp_path) -> None:
    own = wanted.own("rec-1", 4, 1000)
    own.write(str(tmp_path))
    assert wanted.read(str(tmp_path)) == own
    assert own.pid == os.getpid()
    assert (tmp_path / wanted.NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [wanted.NAME]


def test_nothing_is_wanted_without_a_file(tmp_path) -> None:
    assert wanted.read(str(tmp_path)) is None


def test_nor_by_who_is_gone(tmp_path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        want = wanted.Wanted("rec-1", other.pid, wanted.begun_at(other.pid), 1, 1)
        want.write(str(tmp_path))
        assert wanted.read(str(tmp_path)) == want
        # It is not waited for yet: a process that has ended and is still known.
        os.write(other.stdin.fileno(), b"\n")
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert wanted.read(str(tmp_path)) is None
    assert wanted.read(str(tmp_path)) is None


def test_nor_by_who_has_got_the_pid_since(tmp_path) -> None:
    own = wanted.own("rec-1", 1, 1)
    wanted.Wanted("rec-1", own.pid, own.start - 1, 1, 1).write(str(tmp_path))
    assert wanted.read(str(tmp_path)) is None


def test_a_name_with_spaces_and_parentheses_is_no_field(tmp_path) -> None:
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to(sys.executable)
    with subprocess.Popen([odd, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert wanted.begun_at(other.pid) >= wanted.begun_at(os.getpid())
        other.communicate(b"\n")


@pytest.mark.parametrize("value", [{}, {"recording": "rec-1", "colour": 1}])
def test_what_is_no_such_file_is_said(tmp_path, value) -> None:
    (tmp_path / wanted.NAME).write_text(json.dumps(value))
    with pytest.raises(ValueError, match=wanted.NAME):
        wanted.read(str(tmp_path))
