"""py-spy on real processes that burn known shares of their time."""

import json
import math
import os
import re
import subprocess
import sys
import textwrap

import jsonschema
import pytest

from omrig.formats import stacks
from omrig.formats.stacks import Frame, Profile
from omrig.measured.profilers import pyspy
from omrig.measured.profilers.base import Context
from omrig.model.functions import file_of
from tests.unit.formats.test_stacks import SCHEMA

pytestmark = pytest.mark.measures

PRELUDE = """
import sys
executor, folder, *options = sys.argv[1:]
if executor == "eventlet":
    import eventlet
    eventlet.monkey_patch()
import os, signal, threading, time
from pathlib import Path
from omrig.measured.profilers import pyspy
from omrig.measured.profilers.base import Context
from omrig.model.profiling import Profiling

# As in a measured process.
signal.signal(signal.SIGINT, signal.SIG_IGN)

def profiler():
    chosen = {option: True for option in options}
    asked = Profiling(modes=("pyspy",), options=chosen)
    made = pyspy.PySpyProfiler(
        Context(executor, "producer", folder=Path(folder), profiling=asked)
    )
    made.install()
    return made

# By the clock on the wall, as py-spy samples: who has to wait for a busy machine's CPU is running.
def burn(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(500))
"""


@pytest.fixture
def measure(tmp_path):
    """Runs a script under an executor: its summary, and what it wrote."""

    def run(executor, script, *options):
        code = PRELUDE + textwrap.dedent(script)
        done = subprocess.run(
            [sys.executable, "-Wignore", "-c", code, executor, tmp_path, *options],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / pyspy.SUMMARY).read_text()), tmp_path

    return run


both_executors = pytest.mark.parametrize("executor", ["eventlet", "threading"])

BURN = """
def early_burner():
    burn(0.4)

def late_burner():
    burn(0.8)

def wait_and_burn():
    measuring.wait()
    early_burner()

measuring = threading.Event()
first = threading.Thread(target=wait_and_burn)
first.start()
waiting = threading.Thread(target=threading.Event().wait, daemon=True)
waiting.start()
made = profiler()
made.start()
measuring.set()
first.join()
second = threading.Thread(target=late_burner)
second.start()
second.join()
made.stop()
made.save(Path(folder))
"""


def samples_of(folder, function):
    """How many samples have the function on the stack."""
    lines = (folder / pyspy.COLLAPSED).read_text().splitlines()
    return sum(
        int(line.rpartition(" ")[2]) for line in lines if re.search(rf"\b{function} \(", line)
    )


@both_executors
def test_burned_time_is_found_in_its_proportion(measure, executor):
    summary, folder = measure(executor, BURN)
    assert summary["failed"] is None
    early, late = samples_of(folder, "early_burner"), samples_of(folder, "late_burner")
    found = early + late
    # A hundred samples in each of 1.2 seconds, and little else to find.
    assert 60 <= found <= 180
    assert found >= 0.9 * summary["samples"]
    # Four standard errors of a share of two thirds.
    assert abs(late / found - 2 / 3) < 4 * math.sqrt(2 / 9 / found)


@both_executors
def test_recordings_are_put_one_after_another(measure, executor):
    summary, folder = measure(
        executor,
        """
        def seen():
            burn(0.3)

        def unseen():
            burn(0.3)

        made = profiler()
        for _ in range(2):
            made.start()
            seen()
            made.stop()
            unseen()
        artefacts = made.save(Path(folder))
        assert [each.path for each in artefacts] == [pyspy.SPEEDSCOPE, pyspy.COLLAPSED]
        """,
    )
    assert summary["recordings"] == 2
    assert samples_of(folder, "seen") > 30
    assert samples_of(folder, "unseen") <= 2
    jsonschema.validate(json.loads((folder / pyspy.SPEEDSCOPE).read_text()), SCHEMA)
    # In order of time, with a hundredth of a second each, for each thread.
    profiles = stacks.read_speedscope(folder / pyspy.SPEEDSCOPE)
    assert sum(len(profile.stacks) for profile in profiles) == summary["samples"]
    assert {weight for profile in profiles for _, weight in profile.stacks} == {0.01}
    # Nothing but the results is left.
    written = {path.name for path in folder.iterdir()}
    assert written == {pyspy.SPEEDSCOPE, pyspy.COLLAPSED, pyspy.SUMMARY, file_of("pyspy")}


OPTIONS = """
import hashlib
data = bytes(10_000_000)

def hashes():
    until = time.perf_counter() + 0.4
    while time.perf_counter() < until:
        hashlib.sha256(data).digest()

made = profiler()
made.start()
hashes()
made.stop()
made.save(Path(folder))
"""


def test_native_shows_functions_of_c(measure):
    summary, folder = measure("threading", OPTIONS, "native")
    assert summary["native"] is True
    text = (folder / pyspy.COLLAPSED).read_text()
    assert "libcrypto" in text or "_hashlib" in text


def test_gil_leaves_out_what_does_not_hold_it(measure):
    # Hashing gives the interpreter lock away.
    _, folder = measure("threading", OPTIONS)
    hashing = samples_of(folder, "hashes")
    assert hashing > 20
    holding, _ = measure("threading", OPTIONS, "gil")
    assert holding["gil"] is True
    assert holding["samples"] < hashing / 2


# To be root is not to be permitted, without this capability.
POWERLESS = ("setpriv", "--bounding-set=-sys_ptrace") if os.geteuid() == 0 else ()

FORBIDDEN = f"""
import ctypes
ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE: only the mighty may look
pyspy.PROGRAM = Path(folder) / "powerless"
pyspy.PROGRAM.write_text('#!/bin/sh\\nexec {" ".join(POWERLESS)} {pyspy.PROGRAM} "$@"\\n')
pyspy.PROGRAM.chmod(0o755)
made = profiler()
made.start()
burn(0.1)
made.stop()
assert made.save(Path(folder)) == []
pyspy.PROGRAM.unlink()
"""


@both_executors
def test_without_permission_the_run_goes_on_and_is_told_why(measure, executor):
    summary, folder = measure(executor, FORBIDDEN)
    assert "not permitted to observe the process: run omrig as root" in summary["failed"]
    assert summary["samples"] == 0
    assert [path.name for path in folder.iterdir()] == [pyspy.SUMMARY]


def test_a_py_spy_that_cannot_be_started_is_told(measure):
    summary, _ = measure(
        "threading",
        """
        pyspy.PROGRAM = "/absent/py-spy"
        made = profiler()
        made.start()
        made.stop()
        made.save(Path(folder))
        """,
    )
    assert summary["failed"].startswith("py-spy ended at once: ")
    assert "/absent/py-spy" in summary["failed"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Error: Failed to suspend process\nReason: EPERM", "py-spy is not permitted"),
        ("Permission Denied: Try running again with elevated permissions", "is not permitted"),
        ("Error: Failed to find python version\n\nStack", "py-spy: Failed to find python version"),
    ],
)
def test_why_py_spy_failed(said, why):
    assert why in pyspy.explain(said)


def test_py_spy_that_said_nothing():
    assert pyspy.explain("py-spy> Sampling process 100 times a second") is None


SITE = "/site/oslo_messaging/_drivers"


THREAD = [
    Frame("Thread._bootstrap", "/py/threading.py", 2),
    Frame("Thread.run", "/py/threading.py"),
]


@pytest.mark.parametrize(
    ("stack", "role"),
    [
        ([*THREAD, Frame("ReplyWaiter.poll", f"{SITE}/amqpdriver.py", 7)], "reply listener"),
        (
            [
                Frame("GreenThread.main", "/site/eventlet/greenthread.py", 2),
                Frame("GreenWorker.__call__", "/site/futurist/_green.py", 3),
            ],
            "executor worker",
        ),
        # Called the same, and somewhere else.
        ([*THREAD, Frame("ReplyWaiter.poll", "/mine/poll.py", 7)], "ReplyWaiter.poll"),
        (
            [*THREAD, Frame("start.<locals>.loop", "/mine/x.py", 1), Frame("x", "/mine/x.py")],
            "loop",
        ),
        ([Frame("clock_nanosleep")], "clock_nanosleep"),
        (THREAD, "unnamed"),
        ([], "unnamed"),
    ],
)
def test_roles_are_told_by_what_a_stack_began_with(stack, role):
    assert pyspy.role_of(tuple(stack)) == role


def test_samples_are_counted_by_role_and_by_function():
    poll, wait = Frame("ReplyWaiter.poll", f"{SITE}/amqpdriver.py", 7), Frame("wait", "/py/t.py", 3)
    other = Frame("wait", "/py/t.py", 4)
    profiles = [
        Profile('Thread 1 "x"', "seconds", [((poll, wait), 0.01), ((poll, other), 0.01)]),
        Profile('Thread 2 "y"', "seconds", [((wait,), 0.01), ((), 0.01)]),
    ]
    assert pyspy.summarise(profiles) == {
        "samples": 4,
        "roles": [
            {"role": "reply listener", "samples": 2, "share": 0.5},
            {"role": "wait", "samples": 1, "share": 0.25},
            {"role": "unnamed", "samples": 1, "share": 0.25},
        ],
        "functions": [{"function": "wait", "file": "/py/t.py", "samples": 3, "share": 0.75}],
    }


def test_nothing_is_written_before_start(tmp_path):
    profiler = pyspy.PySpyProfiler(Context("eventlet", "consumer", folder=tmp_path))
    profiler.stop()
    assert profiler.save(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
