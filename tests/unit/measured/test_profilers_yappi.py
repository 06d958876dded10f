"""yappi in real processes, against known CPU times and counts."""

import cProfile
import json
import pstats
import re
import subprocess
import sys
import textwrap
import threading
from collections import defaultdict

import jsonschema
import pytest

from omrig.formats import stacks as speedscope
from omrig.measured.executors import roles
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.yappi import YappiProfiler
from tests.unit.formats.test_stacks import SCHEMA

pytestmark = pytest.mark.measures

PRELUDE = """
import json, sys, time
executor, folder, *arguments = sys.argv[1:]
if executor == "eventlet":
    import eventlet
    eventlet.monkey_patch()
import threading
from pathlib import Path
from omrig.measured.executors import roles
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.yappi import YappiProfiler
from omrig.model.profiling import Profiling

def profiler(clock="cpu"):
    made = YappiProfiler(
        Context(executor, "producer", profiling=Profiling(options={"clock": clock}))
    )
    made.install()
    return made

def save(made):
    began = time.perf_counter()
    artefacts = made.save(Path(folder))
    kinds = ["pstat", "callgrind", "speedscope.json", "collapsed"]
    assert [artefact.path for artefact in artefacts] == [f"yappi.{kind}" for kind in kinds]
    return time.perf_counter() - began
"""


@pytest.fixture
def measure(tmp_path):
    """Runs a script under an executor; what it prints as JSON and the functions in its pstat."""

    def run(executor, script, *arguments):
        code = PRELUDE + textwrap.dedent(script)
        done = subprocess.run(
            [sys.executable, "-Wignore", "-c", code, executor, tmp_path, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "Internal Error" not in done.stderr
        stats = pstats.Stats(str(tmp_path / "yappi.pstat")).stats
        return json.loads(done.stdout or "null"), stats

    return run


def named(stats, name):
    (found,) = [value for key, value in stats.items() if key[2] == name and key[0] != "omrig"]
    return found


def role(stats, name):
    return stats["omrig", 0, name]


def contexts(stats):
    return {key[2] for key in stats if key[0] == "omrig"}


both_executors = pytest.mark.parametrize("executor", ["eventlet", "threading"])

BURN = """
def burn(seconds, chunk=0.005):
    spent = 0.0
    while spent < seconds:
        began = now = time.thread_time()
        while now - began < chunk:
            now = time.thread_time()
        spent += now - began
        time.sleep(0)

def early_burner():
    burn(0.3)

def late_burner():
    burn(0.6)

def early():
    roles.name_context("producer worker")
    while not measuring:
        time.sleep(0.01)
    early_burner()

def late():
    roles.name_context("second role")
    late_burner()

measuring = []
made = profiler()
first = threading.Thread(target=early)
first.start()
time.sleep(0.1)
began = time.process_time()
made.start()
measuring.append(True)
second = threading.Thread(target=late)
second.start()
first.join()
second.join()
made.stop()
print(json.dumps(time.process_time() - began))
save(made)
"""


@both_executors
def test_burned_cpu_time_is_reported_where_it_was_burned(measure, executor):
    process_seconds, stats = measure(executor, BURN)
    early, late = named(stats, "early_burner"), named(stats, "late_burner")
    assert early[3] == pytest.approx(0.3, rel=0.05)
    assert late[3] == pytest.approx(0.6, rel=0.05)
    assert late[3] / early[3] == pytest.approx(2.0, rel=0.05)
    # The loop that waits for the start was there before it: what it calls hangs under the role.
    assert ("omrig", 0, "producer worker") in early[4]
    assert early[0] == late[0] == 1

    assert {"<producer>", "main", "producer worker", "second role"} <= contexts(stats)
    assert ("hub" in contexts(stats)) == (executor == "eventlet")
    assert role(stats, "<producer>")[3] == pytest.approx(process_seconds, rel=0.1)
    assert role(stats, "producer worker")[3] == pytest.approx(0.3, rel=0.15)
    assert [key for key, value in stats.items() if not value[4]] == [("omrig", 0, "<producer>")]


@both_executors
def test_wall_clock_counts_waiting(measure, executor):
    _, stats = measure(
        executor,
        """
        def waits():
            time.sleep(0.3)
        made = profiler("wall")
        made.start()
        thread = threading.Thread(target=waits)
        thread.start()
        thread.join()
        made.stop()
        save(made)
        """,
    )
    assert named(stats, "waits")[3] == pytest.approx(0.3, abs=0.1)
    assert role(stats, "waits")[3] == pytest.approx(0.3, abs=0.1)


FIB = """
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def caller():
    for _ in range(3):
        fib(10)
    sorted([len([2]), abs(-1)])
    ", ".join([])
    time.perf_counter()
"""


@both_executors
def test_counts_are_those_of_cprofile(measure, executor):
    _, stats = measure(
        executor,
        f"exec(compile({FIB!r}, 'fib.py', 'exec'))\n"
        "made = profiler()\nmade.start()\ncaller()\nmade.stop()\nsave(made)\n",
    )
    scope = {}
    exec(compile("import time\n" + FIB.lstrip("\n"), "fib.py", "exec"), scope)
    reference = cProfile.Profile()
    reference.runcall(scope["caller"])
    reference.create_stats()
    expected = {key: value[:2] for key, value in reference.stats.items() if "disable" not in key[2]}
    assert (3, 3 * 177) in expected.values()
    found = {key: value[:2] for key, value in stats.items()}
    assert {key: found.get(key) for key in expected} == {
        key: (3, 531) if key[2] == "fib" else counts for key, counts in expected.items()
    }
    callers = {key[2]: call[0] for key, call in named(stats, "fib")[4].items()}
    assert callers == {"caller": 3, "fib": 3 * 176}


@both_executors
def test_all_files_tell_the_same(measure, tmp_path, executor):
    """Whole and parts, and each function's share of its own."""
    _, stats = measure(
        executor,
        f"exec(compile({FIB!r}, 'fib.py', 'exec'))\n"
        "made = profiler()\nmade.start()\n"
        "worker = threading.Thread(target=caller)\nworker.start()\nworker.join()\n"
        "fib(12)\nmade.stop()\nsave(made)\n",
    )
    whole = sum(own for _, _, own, _, _ in stats.values()) * 1e9
    summary = json.loads((tmp_path / "profile.yappi.json").read_text())
    assert summary["clock"] == "cpu"
    assert summary["total_ns"] == pytest.approx(whole, rel=1e-6)
    assert {"main", "caller"} <= {row["role"] for row in summary["roles"]}
    for rows in (summary["roles"], summary["packages"]):
        assert sum(row["self_ns"] for row in rows) == pytest.approx(whole, rel=1e-6)
    of_fib = [row for row in summary["functions"] if row["function"] == "fib"]
    assert {row["role"]: row["primitive_calls"] for row in of_fib} == {"main": 1, "caller": 3}
    assert sum(row["self_ns"] for row in of_fib) == pytest.approx(named(stats, "fib")[2] * 1e9)

    path = tmp_path / "yappi.speedscope.json"
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    together, *by_role = speedscope.read_speedscope(path)
    assert {each.name for each in by_role} == {
        f"producer: {row['role']}" for row in summary["roles"]
    }
    own = defaultdict(float)
    for stack, weight in together.stacks:
        own[stack[-1].name] += weight
        assert [frame.name for frame in stack].count("fib") <= 1
    assert sum(own.values()) == pytest.approx(whole, rel=1e-4)
    # What is too small to be unfolded is no more than this.
    assert own["fib"] == pytest.approx(named(stats, "fib")[2] * 1e9, rel=0.01)
    lines = (tmp_path / "yappi.collapsed").read_text().splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == sum(own.values())
    wanted = re.compile(r"producer;caller;(.*;)?caller \(fib\.py:\d+\);fib \(fib\.py:\d+\) \d+")
    assert any(wanted.fullmatch(line) for line in lines)


GREENLETS = """
import eventlet, resource, yappi

def short():
    eventlet.sleep(0)

def tagged():
    roles.name_context("producer worker")
    eventlet.sleep(0)

made = profiler()
made.start()
pool = eventlet.GreenPool(50)
for _ in range(int(arguments[0])):
    pool.spawn_n(short)
    pool.spawn_n(tagged)
pool.waitall()
made.stop()
seconds = save(made)
print(json.dumps([
    len(yappi.get_greenlet_stats()),
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    seconds,
]))
"""


def test_many_short_greenlets_cost_neither_memory_nor_time(measure):
    (_, few_mib, _), _ = measure("eventlet", GREENLETS, 1_000)
    (used, many_mib, seconds), stats = measure("eventlet", GREENLETS, 10_000)
    assert used < 100
    assert many_mib - few_mib < 60
    assert seconds < 2
    assert named(stats, "tagged")[:2] == (10_000, 10_000)
    assert named(stats, "short")[:2] == (10_000, 10_000)
    assert {"producer worker", "short"} <= contexts(stats)


MESSAGES = """
import logging, warnings
warnings.simplefilter("ignore")
logging.disable()
from oslo_config import cfg
import oslo_messaging

class Endpoint:
    def echo(self, context, data):
        return data

made = profiler()
cfg.CONF([])
transport = oslo_messaging.get_rpc_transport(cfg.CONF, "kombu+memory:////")
target = oslo_messaging.Target(topic="omrig", server="here")
server = oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor=executor)
server.start()
client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="omrig"))
client.call({}, "echo", data="warm-up")

def work():
    roles.name_context("producer worker")
    for _ in range(20):
        client.call({}, "echo", data="x" * 100)

made.start()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
made.stop()
save(made)
import os
os._exit(0)
"""


@both_executors
def test_the_parts_of_oslo_messaging_are_named(measure, executor):
    _, stats = measure(executor, MESSAGES)
    expected = {"producer worker", "reply listener", "consumer poller", "executor worker", "main"}
    if executor == "eventlet":
        expected.add("hub")
    assert expected <= contexts(stats)
    assert named(stats, "echo")[:2] == (60, 60)
    # An endpoint runs under the executor and nowhere else.
    reached, above = set(), [key for key in stats if key[2] == "echo"]
    while above:
        key = above.pop()
        if key not in reached:
            reached.add(key)
            above.extend(stats[key][4])
    assert ("omrig", 0, "executor worker") in reached
    assert ("omrig", 0, "producer worker") not in reached


@both_executors
def test_nothing_is_written_before_start(tmp_path, executor):
    profiler = YappiProfiler(Context(executor, "consumer"))
    profiler.stop()
    assert profiler.save(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_name_context_names_the_thread():
    names = []

    def target():
        roles.name_context("producer worker")
        names.append(
            (threading.current_thread().name, roles.thread_role(threading.current_thread()))
        )

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert names == [("producer worker", "producer worker")]


def test_a_thread_that_is_not_listed_yet_is_known_by_its_stack():
    found = []

    def target():
        found.append((roles.stack_thread(sys._getframe()), threading.current_thread()))

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert found == [(thread, thread)]
    assert roles.stack_thread(sys._getframe()) is None


def test_a_bare_greenlet_does_not_name_the_main_thread(measure):
    (name, tagged), _ = measure(
        "eventlet",
        """
        made = profiler()
        made.start()
        eventlet.spawn_n(roles.name_context, "x")
        time.sleep(0.01)
        made.stop()
        save(made)
        main = threading.main_thread()
        print(json.dumps([main.name, hasattr(main, "omrig_role")]))
        """,
    )
    assert (name, tagged) == ("MainThread", False)


PAUSED = """
def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass

def unseen():
    burn(0.6)

def seen():
    burn(0.2)

def park(turn):
    while not turn.is_set():
        time.sleep(0.005)

def work():
    roles.name_context("producer worker")
    for turn, job, done in jobs:
        park(turn)
        job()
        done.set()
    park(last)

last = threading.Event()
jobs = [(threading.Event(), job, threading.Event()) for job in (seen, unseen, seen, unseen, seen)]
worker = threading.Thread(target=work)
worker.start()
made = profiler()
for turn, job, done in jobs:
    if job is seen:
        made.start()
        time.sleep(0.05)
    turn.set()
    done.wait()
    if job is seen:
        time.sleep(0.05)
        made.stop()
last.set()
worker.join()
save(made)
"""


@both_executors
def test_what_happens_while_it_is_stopped_is_nobodys(measure, executor):
    _, stats = measure(executor, PAUSED)
    assert not [key for key in stats if key[2] == "unseen"]
    _, calls, _, cumulative, _ = named(stats, "seen")
    assert calls == 3
    assert cumulative == pytest.approx(0.6, rel=0.15)
    root = role(stats, "<producer>")
    assert root[3] == pytest.approx(0.6, rel=0.25)
    assert min(own for _, _, own, _, _ in stats.values()) >= 0
    assert named(stats, "burn")[4].keys() >= {key for key in stats if key[2] == "seen"}
