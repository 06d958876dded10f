"""Mode `lines` in real processes, against known functions, times and waits."""

import collections
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest
from line_profiler.line_profiler import LineStats

pytestmark = pytest.mark.measures

PRELUDE = """
import json, sys, time
executor, folder, *targets = sys.argv[1:]
if executor == "eventlet":
    import eventlet
    eventlet.monkey_patch()
import threading
from pathlib import Path
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.lines import LinesProfiler
from omrig.model.profiling import Profiling

asked = Profiling(options={"targets": tuple(targets)})
made = LinesProfiler(Context(executor, "producer", profiling=asked))
made.install()
"""

SAVE = """
paths = [artefact.path for artefact in made.save(Path(folder))]
print(json.dumps([paths, getattr(sys.modules.get("sample"), "truth", None)]))
"""

ATTEMPTS = 3

both_executors = pytest.mark.parametrize("executor", ["eventlet", "threading"])


class Found:
    """What the mode wrote."""

    def __init__(self, folder, truth) -> None:
        self.truth = truth
        self.summary = json.loads((folder / "profile.lines.json").read_text())
        self.stats = LineStats.from_files(folder / "lines.lprof")
        self.text = (folder / "lines.txt").read_text()
        self.lprof = folder / "lines.lprof"

    def line(self, source):
        (found,) = [line for line in self.summary["lines"] if source in line["source"]]
        return found

    def hits(self):
        """By function, of all its lines together."""
        return {
            name: sum(hits for _, hits, _ in lines)
            for (_, _, name), lines in self.stats.timings.items()
        }


@pytest.fixture
def measure(tmp_path):
    """Profiles a sample module in a script under an executor."""
    (tmp_path / "out").mkdir()

    def run(executor, script, *targets, sample=""):
        (tmp_path / "sample.py").write_text(textwrap.dedent(sample))
        done = subprocess.run(
            [
                *(sys.executable, "-Wignore", "-c", PRELUDE + textwrap.dedent(script) + SAVE),
                *(executor, tmp_path / "out", *(targets or ["sample"])),
            ],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        paths, truth = json.loads(done.stdout)
        assert paths == ["lines.lprof", "lines.txt"]
        return Found(tmp_path / "out", truth)

    return run


def functions_in(file):
    """Every function that a file compiles to, with how many there are of it."""
    found = collections.Counter()

    def walk(code):
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                # The bodies of classes are no functions.
                if constant.co_flags & inspect.CO_NEWLOCALS:
                    found[file, constant.co_firstlineno, constant.co_qualname] += 1
                walk(constant)

    walk(compile(Path(file).read_bytes(), file, "exec"))
    return found


def driver_file(name):
    # Not imported: here that would bring eventlet along.
    return str(
        Path(importlib.util.find_spec("oslo_messaging").origin).parent / f"_drivers/{name}.py"
    )


@both_executors
@pytest.mark.parametrize(
    ("target", "modules"),
    [
        ("impl_rabbit", ["impl_rabbit"]),
        ("amqpdriver", ["amqpdriver", "amqp", "common", "pool"]),
    ],
)
def test_every_function_of_the_driver_is_registered(measure, executor, target, modules):
    found = measure(executor, "made.start(); made.stop()", target)
    expected = sum((functions_in(driver_file(name)) for name in modules), collections.Counter())
    assert len(expected) > 60
    # No two on one line: line_profiler would take them for one.
    assert set(expected.values()) == {1}
    assert set(found.stats.timings) == set(expected)
    assert found.summary["functions_registered"] == len(expected)
    assert found.summary["targets"] == [target]
    assert found.summary["lines"] == []


SAMPLE = """
import contextlib, functools

def wrapping(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def hiding(function):
    return lambda *args: function(*args)

def plain():
    return 1

def outer():
    def middle():
        def innermost():
            return 2
        return innermost()
    return middle()

def local_class():
    class Local:
        def method(self):
            return 3
    return Local().method()

@wrapping
def decorated():
    return 4

@hiding
def hidden():
    return 5

class Class:
    @staticmethod
    def static():
        return 6

    @classmethod
    def of_class(cls):
        return 7

    @property
    def property(self):
        return 8

    @property.setter
    def property(self, value):
        self.value = value

    @functools.cached_property
    def cached(self):
        return 9

    @functools.lru_cache
    def remembered(self):
        return 10

def generator():
    yield 11
    yield 12

@contextlib.contextmanager
def manager():
    yield 13

lambda_ = lambda: 14

def comprehension():
    return sum(
        number
        for number in range(3))

def default(function=lambda: 15):
    return function()

async def coroutine():
    return 16

def raises():
    raise ValueError

def one(): return 17
def other(): return 17

def later():
    return 18
"""

CALLS = """
import sample

def call():
    sample.plain(), sample.outer(), sample.local_class(), sample.decorated(), sample.hidden()
    instance = sample.Class()
    instance.static(), instance.of_class(), instance.property, instance.cached
    instance.remembered()
    instance.property = 0
    list(sample.generator())
    with sample.manager():
        pass
    sample.lambda_(), sample.comprehension(), sample.default()
    sample.one(), sample.one(), sample.other()
    try:
        sample.coroutine().send(None)
    except StopIteration:
        pass
    try:
        sample.raises()
    except ValueError:
        pass

call()
made.start()
call()
made.stop()
call()
"""


@both_executors
def test_every_kind_of_function_is_hit(measure, executor):
    found = measure(executor, CALLS, sample=SAMPLE)
    hits = found.hits()
    never = {name for name, count in hits.items() if not count}
    assert never == {"wrapping", "hiding", "later"}
    assert {"Class.property", "outer.<locals>.middle.<locals>.innermost"} <= set(hits)
    assert {"local_class.<locals>.Local.method", "wrapping.<locals>.wrapper"} <= set(hits)
    assert found.summary["functions_hit"] == len(found.stats.timings) - len(never)
    # The same code twice in a file is still two functions.
    assert (hits["one"], hits["other"], hits["plain"]) == (2, 1, 1)
    lines = {line["source"]: line["hits"] for line in found.summary["lines"]}
    assert lines["yield 11"] == lines["yield 12"] == lines["raise ValueError"] == 1
    assert lines["return innermost()"] == lines["self.value = value"] == 1


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("sample:Class.property", {"Class.property"}),
        ("sample:Class", {f"Class.{name}" for name in ("static", "of_class", "property")}),
        ("sample:outer", {"outer", "outer.<locals>.middle"}),
        ("sample:outer.<locals>.middle.<locals>.innermost", set()),
        ("sample:wrapping.<locals>.wrapper", {"wrapping.<locals>.wrapper"}),
    ],
)
def test_a_target_can_be_a_part_of_a_module(measure, target, expected):
    found = measure("threading", CALLS, target, sample=SAMPLE)
    prefix = target.partition(":")[2]
    hits = found.hits()
    assert all(name == prefix or name.startswith(f"{prefix}.") for name in hits)
    assert expected | {prefix} - {"Class"} <= set(hits)
    assert all(hits.values())


def test_targets_add_up_and_may_be_files(measure, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'schema = 3\nname = "mine"\ntitle = "mine"\npackage = "kombu"\nmodules = ["kombu.pools"]\n'
    )
    targets = [
        str(tmp_path / "sample.py"),
        "kombu.message:Message.ack",
        str(tmp_path / "mine.toml"),
    ]
    found = measure("threading", "made.start(); made.stop()", *targets, sample=SAMPLE)
    files = {Path(file).name for file, _, _ in found.stats.timings}
    assert files == {"sample.py", "message.py", "pools.py"}
    assert [name for file, _, name in found.stats.timings if file.endswith("message.py")] == [
        "Message.ack"
    ]
    assert found.summary["targets"] == targets


BURN = """
import time

# By the length asked for: ns by the clocks of wall and CPU time, which a busy machine tells apart.
truth = {}

def burn(milliseconds):
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    while time.perf_counter_ns() < wall + milliseconds * 1e6:
        pass
    sums = truth.setdefault(milliseconds, [0, 0])
    sums[0] += time.perf_counter_ns() - wall
    sums[1] += time.thread_time_ns() - cpu
"""

WORK = """
def work(rounds):
    for _ in range(rounds):
        burn(2)
        burn(6)
        time.sleep(0.001)

def wait(go):
    while not go:
        time.sleep(0.01)
    return True

def early(go, rounds):
    wait(go)
    work(rounds)
"""

EARLY = """
import sample

go = []
# In a loop, in a lock and not yet begun, when the measurement begins.
threads = [threading.Thread(target=sample.early, args=(go, 10)) for _ in range(2)]
ready = threading.Event()
threads.append(threading.Thread(target=lambda: ready.wait() and sample.work(10)))
for thread in threads:
    thread.start()
time.sleep(0.1)
made.start()
go.append(True)
ready.set()
threads.append(threading.Thread(target=sample.work, args=(10,)))
threads[-1].start()
for thread in threads:
    thread.join()
made.stop()
"""


@both_executors
def test_threads_and_greenlets_that_were_there_before_are_seen(measure, executor):
    found = measure(executor, EARLY, "sample:work", "sample:wait", sample=BURN + WORK)
    short, long = found.line("burn(2)"), found.line("burn(6)")
    assert short["hits"] == long["hits"] == 40
    # Each of the loops ended while it was measured.
    assert found.line("return True")["hits"] == 2


@both_executors
def test_known_times_are_found(measure, executor):
    script = "import sample\nmade.start()\nsample.work(30)\nmade.stop()\n"
    # A neighbour on the machine may take the core between the line and the clock in it, now and
    # then; what is measured wrongly is wrong every time.
    for attempt in range(ATTEMPTS):
        found = measure(executor, script, "sample:work", sample=BURN + WORK)
        short, long = found.line("burn(2)"), found.line("burn(6)")
        truth = {length: wall for length, (wall, _) in found.truth.items()}
        measured = long["time_ns"] / short["time_ns"]
        if measured == pytest.approx(truth["6"] / truth["2"], rel=0.05):
            break
        assert attempt < ATTEMPTS - 1, (measured, truth)
    assert long["time_ns"] == pytest.approx(truth["6"], rel=0.05)
    assert sum(line["share"] for line in found.summary["lines"]) == pytest.approx(1)


PAUSED = """
import sample

over = []
threads = [threading.Thread(target=sample.loop, args=(over,)) for _ in range(2)]
for thread in threads:
    thread.start()
for pause in (1.0, 0):
    made.start()
    time.sleep(0.2)
    made.stop()
    time.sleep(pause)
over.append(True)
for thread in threads:
    thread.join()
"""

LOOP = """
import time

def loop(over):
    while not over:
        once()

def once():
    time.sleep(0.01)
"""


@both_executors
def test_what_is_not_measured_is_not_counted(measure, executor):
    found = measure(executor, PAUSED, sample=LOOP)
    # Two loops, measured twice for 0.2 s: the second in between belongs to no line.
    for source in ("once()", "time.sleep(0.01)"):
        assert 0.3e9 < found.line(source)["time_ns"] < 1.2e9


WAITS = """
def wait(event):
    event.wait()
    return True

def both():
    burn(50), time.sleep(0.15)
    return None

def hot():
    time.sleep(0.3)
    burn(500)
"""

WAIT = """
import sample

event = threading.Event()
made.start()
threads = [threading.Thread(target=sample.wait, args=(event,)) for _ in range(10)]
for thread in threads:
    thread.start()
sample.both()
sample.hot()
event.set()
for thread in threads:
    thread.join()
made.stop()
"""


@both_executors
def test_time_switched_out_is_told_apart(measure, executor):
    targets = [f"sample:{name}" for name in ("wait", "both", "hot")]
    found = measure(executor, WAIT, *targets, sample=BURN + WAITS)
    assert found.summary["switched_out_exact"] == (executor == "eventlet")
    waited, mixed, hot = map(found.line, ("event.wait()", "burn(50), ", "burn(500)"))
    # Ten wait for a second each, while one burns half a second.
    assert waited["hits"] == 10
    assert waited["time_ns"] > 10 * hot["time_ns"]
    assert waited["switched_out"]
    assert waited["switched_out_ns"] / waited["time_ns"] > 0.97
    assert found.summary["lines"][0] == hot
    # A thread is also switched out by the machine, which greenlets share.
    for line, length, asleep in ((hot, "500", 0), (mixed, "50", 150e6)):
        wall, cpu = found.truth[length]
        expected = asleep + (wall - cpu if executor == "threading" else 0)
        assert line["switched_out_ns"] == pytest.approx(expected, abs=0.2 * line["time_ns"])
    assert not found.line("return None")["switched_out"]
    assert "* includes time switched out" in found.text
    (shown,) = [line for line in found.text.splitlines() if "* " in line and "event.wait()" in line]
    assert re.match(r" *[0-9.]+ %  +[0-9.]+ s\*  +[0-9.]+ s  +10  ", shown)


CONTENTION = """
import time

def burn(milliseconds):
    end = time.thread_time_ns() + milliseconds * 1e6
    while time.thread_time_ns() < end:
        pass

def long():
    for _ in range(10):
        burn(20)

def short():
    for _ in range(50):
        burn(1)
        time.sleep(0.001)
"""


def test_threads_that_wait_for_the_gil_do_not_run(measure):
    script = """
    import sample
    made.start()
    threads = [threading.Thread(target=sample.long) for _ in range(4)]
    threads += [threading.Thread(target=sample.short) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.stop()
    """
    found = measure("threading", script, "sample:long", "sample:short", sample=CONTENTION)
    long, short, sleep = map(found.line, ("burn(20)", "burn(1)", "time.sleep(0.001)"))
    # They hold the GIL in turn: the CPU that each is known to use is what is left.
    assert long["time_ns"] > 2 * (4 * 10 * 20e6)
    assert long["time_ns"] - long["switched_out_ns"] == pytest.approx(4 * 10 * 20e6, rel=0.2)
    assert sleep["switched_out_ns"] > 0.9 * sleep["time_ns"]
    assert short["time_ns"] - short["switched_out_ns"] == pytest.approx(4 * 50 * 1e6, rel=0.5)


def test_the_viewer_opens_the_file(measure):
    found = measure("threading", CALLS, "sample", "impl_rabbit", sample=SAMPLE)
    shown = subprocess.run(
        [sys.executable, "-m", "line_profiler", found.lprof], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "Function: outer.<locals>.middle.<locals>.innermost at line" in shown.stdout
    assert "return innermost()" in shown.stdout
    assert "def topic_send" in shown.stdout
    assert "return innermost()" in found.text
    assert "functions registered" in found.text


def test_nothing_is_written_before_start(measure, tmp_path):
    code = PRELUDE + "made.stop(); print(made.save(Path(folder)))"
    done = subprocess.run(
        [sys.executable, "-c", code, "threading", tmp_path, "kombu.message"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
