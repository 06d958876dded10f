"""A folder is held as long as any process has a lock on it."""

import fcntl
import os
import subprocess
import sys

import pytest

from omrig.model import locks


def test_a_folder_is_held_until_who_holds_it_ends(tmp_path):
    assert not locks.is_held(tmp_path)
    code = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)"
    code += "; print(1, flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline()
    assert locks.is_held(tmp_path)
    other.communicate()
    assert not locks.is_held(tmp_path)
    # Looking has left no lock.
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_of_a_folder_that_is_gone_it_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        locks.is_held(tmp_path / "gone")
