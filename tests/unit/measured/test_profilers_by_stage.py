"""A busy loop of a known share, planted in what one stage alone calls: the modes name it first."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from omrig.measured.profilers.callgraph import tagged
from omrig.measured.profilers.callgraph.graph import Function
from omrig.measured.profilers.whereabouts import NO_MESSAGE, At, Passed, Whereabouts
from omrig.model.by_stage import ByStage, Tally
from omrig.model.callgraph import Cost

pytestmark = pytest.mark.measures

# Long in itself, and without a call: neither profiler has much to do in it.
SPIN = "; ".join(["number = " + "(" * 60 + "number" + " * 3 + 1) % 1001" * 60] * 5)

SAMPLE = f"""
import random
import time
from contextvars import ContextVar

RANDOM = random.Random(1)
STAGE = ContextVar("stage", default=0)
kept = []

def burn(until):
    number = 1
    while time.thread_time() < until:
        {SPIN}

def both():
    burn(time.thread_time() + 0.001 * RANDOM.uniform(0.5, 1.5))

def planted():
    number, until = 1, time.thread_time() + 0.003 * RANDOM.uniform(0.5, 1.5)
    while time.thread_time() < until:
        {SPIN}

def publish():
    both()
    planted()

def deserialize():
    both()

def call():
    STAGE.set(1)
    publish()
    deserializes()
    STAGE.set(0)

def deserializes():
    STAGE.set(2)
    deserialize()

def load(messages):
    for _ in range(messages):
        call()
        burn(time.thread_time() + 0.001 * RANDOM.uniform(0.5, 1.5))
"""
"""A message: 4 ms in the first stage, 3 of them planted, 1 ms in the second, and 1 ms in none.

On average: samples that are taken at even times would fall in step with even messages.
"""

PRELUDE = """
import inspect, signal, sys
executor, folder, mode, place = sys.argv[1:]
if executor == "eventlet":
    import eventlet
    eventlet.monkey_patch()
import importlib, threading
from pathlib import Path
import sample
from omrig.measured.profilers import registry
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.whereabouts import At, Passed, Whereabouts
from omrig.model.profiling import Profiling

signal.signal(signal.SIGINT, signal.SIG_IGN)

def at(function, source):
    lines, first = inspect.getsourcelines(function)
    (line,) = [first + number for number, text in enumerate(lines) if source in text]
    return At(function.__code__.co_filename, function.__qualname__, line)

outside = at(sample.load, "call()")
passed = [
    Passed("publish", (outside, at(sample.call, "STAGE.set(1)")), 1),
    Passed(
        "deserialize",
        (outside, at(sample.call, "deserializes()"), at(sample.deserializes, "STAGE.set(2)")),
        1,
    ),
    Passed("", (outside, at(sample.call, "STAGE.set(0)")), 1),
]
where = Whereabouts(sample.STAGE.get, ("publish", "deserialize"), lambda: [passed])
targets = ("sample",) if mode in ("lines", "memory-lines") else ()
context = Context(
    executor,
    "producer",
    folder=Path(folder),
    profiling=Profiling(modes=(mode,), options={"targets": targets}),
    whereabouts=where if place == "placed" else None,
)
(profiler,) = (made(context) for made in registry.load([mode]))
profiler.install()
"""

LOADED = """
for _ in range(2):
    profiler.start()
    thread = threading.Thread(target=sample.load, args=(300,))
    thread.start()
    thread.join()
    profiler.stop()
    sample.load(1)
profiler.save(Path(folder))
"""

both_executors = pytest.mark.parametrize("executor", ["eventlet", "threading"])


@pytest.fixture
def summary(tmp_path):
    """What a mode says of the sample."""
    (tmp_path / "sample.py").write_text(SAMPLE)

    def run(executor, mode, place="placed", script=LOADED):
        done = subprocess.run(
            [
                *(sys.executable, "-Wignore", "-c", PRELUDE + textwrap.dedent(script)),
                *(executor, tmp_path, mode, place),
            ],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / f"profile.{mode}.json").read_text())

    return run


def total(found):
    return sum(each.share for each in found.stages) + found.unassigned_share


@both_executors
def test_yappi_names_the_planted_function_first(summary, executor):
    found = ByStage.of_summary(summary(executor, "yappi"))
    assert total(found) == pytest.approx(1)
    publish, deserialize = found.of("publish"), found.of("deserialize")
    # Clocks are read in builtins, which are told apart.
    assert publish.code[0].function == "planted"
    assert publish.code[0].share == pytest.approx(0.75, abs=0.1)
    assert deserialize.code[0].function == "burn"
    assert publish.share / deserialize.share == pytest.approx(4, rel=0.25)
    assert "planted" not in {code.function for code in deserialize.code}
    reasons = {each.reason: each.share for each in found.unassigned}
    assert reasons[NO_MESSAGE] == pytest.approx(1 / 6, abs=0.06)


@both_executors
def test_lines_name_the_line_that_calls_it_first(summary, executor):
    found = ByStage.of_summary(summary(executor, "lines"))
    assert total(found) == pytest.approx(1)
    publish, deserialize = found.of("publish"), found.of("deserialize")
    lines = {code.source: code.share for code in publish.code}
    own = {source: share for source, share in lines.items() if source in ("both()", "planted()")}
    assert own["planted()"] / own["both()"] == pytest.approx(3, rel=0.25)
    # Of ``both`` there is a call in each stage, and so half of its time.
    halves = [
        next(code.share * stage.share for code in stage.code if code.source.startswith("burn("))
        for stage in (publish, deserialize)
    ]
    assert halves[0] / halves[1] == pytest.approx(1, rel=0.25)
    assert found.divided_share > 0.1
    (leading,) = [code for code in publish.leading_on if code.source == "deserializes()"]
    assert leading.leads_to == ("deserialize",)
    assert "planted()" not in {code.source for code in deserialize.code}


@both_executors
def test_samples_are_placed_where_the_planted_function_is(summary, executor):
    found = ByStage.of_summary(summary(executor, "pyspy"))
    assert total(found) == pytest.approx(1)
    publish = found.of("publish")
    assert publish.code[0].function == "planted"
    assert publish.code[0].share == pytest.approx(0.75, abs=0.12)
    assert publish.share / found.of("deserialize").share == pytest.approx(4, rel=0.4)
    assert found.unassigned_share == pytest.approx(1 / 6, abs=0.08)


def test_memory_is_of_the_stage_that_took_it(summary):
    found = summary(
        "threading",
        "memory-lines",
        script="""
        profiler.start()
        sample.STAGE.set(2)
        sample.kept.append(0)
        source = "def take():\\n    kept.append(bytearray(b'x') * (32 << 20))\\n"
        exec(compile(source, sample.__file__, "exec"), vars(sample))
        profiler._recorded.register(sample.take.__code__)
        sample.take()
        profiler.stop()
        profiler.save(Path(folder))
        """,
    )
    (stage,) = ByStage.of_summary(found).stages
    assert stage.stage == "deserialize"
    assert stage.code[0].function == "take"


@pytest.mark.parametrize("mode", ["yappi", "lines", "pyspy"])
def test_without_stages_nothing_is_said_of_them(summary, mode):
    assert "by_stage" not in summary("threading", mode, "unplaced")


def test_what_yappi_found_is_the_same_with_stages(summary):
    def calls(found):
        return {
            (each["role"], each["function"], each["line"]): (each["calls"], each["primitive_calls"])
            for each in found["functions"]
            if each["file"] and each["file"].endswith("sample.py")
        }

    placed, unplaced = summary("threading", "yappi"), summary("threading", "yappi", "unplaced")
    assert calls(placed) == calls(unplaced)
    assert len(calls(placed)) > 6


# By hand


def function(index, name, tag, own, callees=(), calls=1, cumulative=None):
    cost = Cost(calls, calls, own, own if cumulative is None else cumulative)
    return tag, Function(index, 1, ("/x.py", 3, name), name, cost, dict(callees))


def test_functions_of_several_tags_are_one_again():
    found = tagged.together(
        [
            function(1, "f", 1, 2.0, {3: Cost(2, 2, 1.0, 1.0), 2: Cost(1, 1, 3.0, 4.0)}, 1, 7.0),
            function(2, "f", 2, 3.0, {4: Cost(1, 1, 1.0, 1.0)}, 1, 4.0),
            function(3, "g", 1, 1.0, calls=2),
            function(4, "g", 2, 1.0),
        ]
    )
    f, g = found
    assert (f.key, g.key) == (("/x.py", 3, "f"), ("/x.py", 3, "g"))
    # It called itself once, in the other stage: that call's time is part of the first one's.
    assert f.cost == Cost(2, 1, 5.0, 7.0)
    assert g.cost == Cost(3, 3, 2.0, 2.0)
    assert f.callees == {3: Cost(3, 3, 2.0, 2.0), 1: Cost(1, 1, 3.0, 4.0)}


def test_a_function_that_begins_a_stage_is_in_it():
    entering = Passed("publish", (At("/x.py", "Class.f", 3),), 1)
    within = Passed("api", (At("/x.py", "Class.g", 9),), 1)
    begun = tagged.begins([[entering, within]])
    assert begun[("/x.py", 3, "f")] == "publish"
    tally = Tally()
    places = Whereabouts(lambda: 0, ("api", "publish"))
    functions = [function(1, "f", 1, 3.0), function(2, "g", 1, 1.0), function(3, "f", 0, 1.0)]
    tagged.tally(tally, functions, 6.0, places, begun)
    summary = tally.summary("functions", tagged.HOW)
    assert [(each.stage, each.share) for each in summary.stages] == [
        ("api", 1 / 6),
        ("publish", 0.5),
    ]
    assert {each.reason for each in summary.unassigned} == {NO_MESSAGE, tagged.UNSEEN}
