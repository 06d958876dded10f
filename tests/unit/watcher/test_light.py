"""The watcher is up within milliseconds, and takes little beside what it watches."""

import subprocess
import sys
from pathlib import Path

import omrig
from omrig.watcher import client

LIGHT = {
    *("_collections", "_collections_abc", "_functools", "_operator", "_socket", "_struct"),
    *("array", "collections", "collections.abc", "enum", "fcntl", "functools", "gc", "itertools"),
    *("keyword", "mmap", "operator", "reprlib", "select", "signal", "struct", "types"),
}

IMPORTS = """
import sys
before = set(sys.modules)
sys.path.append(sys.argv[1])
from omrig.watcher import process
print(*sorted(set(sys.modules) - before))
"""


def test_it_loads_its_own_room_and_light_modules_alone():
    root = str(Path(omrig.__file__).parents[1])
    command = [sys.executable, "-I", "-S", "-c", IMPORTS, root]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("omrig")}
    room = {f"omrig.watcher.{name}" for name in ("capture", "layout", "process")}
    assert ours == {"omrig", "omrig.watcher"} | room
    assert loaded - ours <= LIGHT


def test_it_gets_no_more_of_the_environment_than_it_is_given(tmp_path):
    watcher = client.Watcher()
    watcher.start(tmp_path, {"LANG": "C", "GIVEN": "yes"})
    try:
        found = Path(f"/proc/{watcher.pid}/environ").read_bytes().split(b"\0")
    finally:
        watcher.finish()
    assert sorted(filter(None, found)) == [b"GIVEN=yes", b"LANG=C"]


def test_its_end_in_the_measured_process_brings_no_numpy():
    script = (
        "import sys; from omrig.measured.profilers import stages; print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
