"""memray in real processes, against an allocation of known size."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import memray
import pytest

from omrig.measured.profilers import memray as mode
from omrig.measured.profilers.base import Context

PLANTED = 50_000_000

SCRIPT = """
import sys
executor, folder, size = sys.argv[1:]
if executor == "eventlet":
    import eventlet
    eventlet.monkey_patch()
import threading, time
from pathlib import Path
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.memray import MemrayProfiler

def planted():
    kept.append(bytearray(int(size)))

def wait_and_allocate():
    while not measuring:
        time.sleep(0.001)
    planted()

def others():
    for _ in range(20):
        bytearray(1_000_000)
        time.sleep(0.001)

kept, measuring = [], []
made = MemrayProfiler(Context(executor, "producer", folder=Path(folder)))
made.install()
first = threading.Thread(target=wait_and_allocate)
first.start()
time.sleep(0.01)
made.start()
measuring.append(True)
second = threading.Thread(target=others)
second.start()
first.join()
second.join()
made.stop()
assert [artefact.path for artefact in made.save(Path(folder))] == ["memray.bin"]
"""


def planted_line():
    return 1 + SCRIPT.splitlines().index("    kept.append(bytearray(int(size)))")


def record(folder, executor="threading"):
    done = subprocess.run(
        [sys.executable, "-Wignore", "-c", SCRIPT, executor, folder, str(PLANTED)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    # A Python with malloc linked into it, as Debian's, makes memray say that it looked elsewhere.
    said = [line for line in done.stderr.splitlines() if "Correcting symbol for" not in line]
    assert said == []


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The folder of one recording."""
    folder = tmp_path_factory.mktemp("recorded")
    record(folder)
    return folder


@pytest.fixture
def side(recorded, tmp_path):
    """A side's folder with the recording in it."""
    shutil.copy(recorded / mode.RECORDING, tmp_path)
    return tmp_path


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_an_allocation_is_recorded_where_it_was_made(tmp_path, executor):
    record(tmp_path, executor)
    with memray.FileReader(tmp_path / mode.RECORDING) as reader:
        at_peak = list(reader.get_high_watermark_allocation_records(merge_threads=True))
        found = [
            each
            for each in at_peak
            if any(function == "planted" for function, *_ in each.stack_trace())
        ]
        assert sum(each.size for each in found) == pytest.approx(PLANTED, rel=0.001)
        # It waited when the load began.
        functions = [function for function, *_ in found[0].stack_trace()]
        assert functions[:2] == ["planted", "wait_and_allocate"]
        assert reader.metadata.peak_memory == pytest.approx(PLANTED + 1_000_000, rel=0.05)


def test_the_report_is_a_page_that_needs_nothing_else(side):
    assert [(each.path, each.kind) for each in mode.MemrayProfiler.report(side)] == [
        (mode.PAGE, "html")
    ]
    page = (side / mode.PAGE).read_text()
    assert "planted" in page
    assert re.findall(r"<(?:script|link)[^>]*(?:src|href)=.?https?:[^>]*>", page) == []
    summary = json.loads((side / mode.SUMMARY).read_text())
    assert summary["skipped"] is None and summary["failed"] is None
    assert summary["peak_bytes"] == pytest.approx(PLANTED + 1_000_000, rel=0.05)
    # The planted one, and twenty of a megabyte in the other thread.
    assert 21 <= summary["allocations"] < 1000
    assert summary["allocated_bytes"] == pytest.approx(PLANTED + 20_000_000, rel=0.05)
    first, second, *_ = summary["lines"]
    assert (first["function"], second["function"]) == ("planted", "others")
    assert first["bytes"] == pytest.approx(PLANTED, rel=0.001)
    assert first["file"] == "<string>" and first["line"] == planted_line()
    assert {path.name for path in side.iterdir()} == {mode.RECORDING, mode.PAGE, mode.SUMMARY}


def test_a_page_that_takes_too_long_is_left_out_with_the_command_that_makes_it(side, monkeypatch):
    monkeypatch.setattr(mode, "REPORT_S", 0.01)
    assert mode.MemrayProfiler.report(side) == []
    assert not (side / mode.PAGE).exists()
    skipped = json.loads((side / mode.SUMMARY).read_text())["skipped"]
    said, _, command = skipped.partition("; make it with: ")
    assert said == "no flame graph: memray flamegraph takes longer than 0.01 s"
    subprocess.run([sys.executable, "-m", *shlex.split(command)], check=True, capture_output=True)
    assert (side / mode.PAGE).exists()


def test_a_recording_that_is_broken_is_told(tmp_path):
    (tmp_path / mode.RECORDING).write_bytes(b"memray?")
    assert mode.MemrayProfiler.report(tmp_path) == []
    summary = json.loads((tmp_path / mode.SUMMARY).read_text())
    assert summary["failed"] and summary["peak_bytes"] is None
    assert summary["skipped"].startswith("no flame graph: ")


def test_nothing_is_written_before_install(tmp_path):
    profiler = mode.MemrayProfiler(Context("eventlet", "consumer", folder=tmp_path))
    profiler.stop()
    assert profiler.save(tmp_path) == []
    assert mode.MemrayProfiler.report(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
