import marshal
import pstats
import re
import subprocess

import pytest

from omrig.formats import callgrind, pstat
from omrig.measured.profilers.callgraph import graph as callgraph
from omrig.measured.profilers.callgraph.graph import Function
from omrig.model.callgraph import Cost


def function(index, name, context, cost, **callees):
    return Function(
        index=index,
        context=context,
        key=("app.py", index % 100, name),
        label=f"App.{name}",
        cost=Cost(*cost),
        callees={int(callee[1:]): Cost(*call) for callee, call in callees.items()},
    )


@pytest.fixture
def graph():
    """Two contexts of one role that share a function, and one whose loop never returned."""
    return callgraph.build(
        [
            function(1, "work", 1, (2, 2, 1.0, 3.0), _2=(4, 4, 2.0, 2.0)),
            function(2, "encode", 1, (4, 4, 2.0, 2.0)),
            function(101, "work", 2, (1, 1, 0.5, 1.0), _102=(1, 1, 0.5, 0.5)),
            function(102, "encode", 2, (1, 1, 0.5, 0.5)),
            # Never returned: one call, no primitive one, no time.
            function(3, "loop", 3, (1, 0, 0.0, 0.0), _4=(1, 0, 0.0, 0.0)),
            function(4, "poll", 3, (1, 0, 0.0, 0.0), _5=(7, 7, 4.0, 4.0)),
            function(5, "read", 3, (7, 7, 4.0, 4.0)),
        ],
        {1: ("producer worker", 3.25), 2: ("producer worker", 1.0), 3: ("reply listener", 4.0)},
        "<producer>",
    )


ROOT = ("omrig", 0, "<producer>")
WORKER = ("omrig", 0, "producer worker")
LISTENER = ("omrig", 0, "reply listener")
WORK, ENCODE = ("app.py", 1, "work"), ("app.py", 2, "encode")


def test_one_root_holds_everything(graph):
    assert [key for key, node in graph.items() if not node.callers] == [ROOT]
    assert graph[ROOT].cost == Cost(1, 1, 0.0, 8.25)
    assert graph[WORKER].callers == {ROOT: Cost(2, 2, 0.25, 4.25)}
    assert graph[LISTENER].callers == {ROOT: Cost(1, 1, 0.0, 4.0)}
    assert sum(node.cost.own for node in graph.values()) == 8.25


def test_contexts_of_one_role_are_merged(graph):
    assert graph[WORK].cost == Cost(3, 3, 1.5, 4.0)
    assert graph[WORK].callers == {WORKER: Cost(3, 3, 1.5, 4.0)}
    assert graph[ENCODE].callers == {WORK: Cost(5, 5, 2.5, 2.5)}


def test_what_never_returned_has_the_time_of_what_it_called(graph):
    assert graph[("app.py", 3, "loop")].cost == Cost(1, 1, 0.0, 4.0)
    assert graph[("app.py", 4, "poll")].callers == {("app.py", 3, "loop"): Cost(1, 0, 0.0, 4.0)}
    assert graph[("app.py", 3, "loop")].callers[LISTENER].cumulative == 4.0


def test_a_recursive_function_hangs_under_its_context_with_all_its_time():
    graph = callgraph.build(
        [function(1, "fib", 1, (177, 1, 2.0, 2.0), _1=(176, 0, 1.9, 1.8))], {1: ("main", 2.0)}, "r"
    )
    assert graph[("app.py", 1, "fib")].cost == Cost(177, 1, 2.0, 2.0)
    assert graph[("app.py", 1, "fib")].callers[("omrig", 0, "main")] == Cost(1, 1, 2.0, 2.0)


def test_a_recursive_function_that_never_returned_still_hangs_somewhere():
    graph = callgraph.build(
        [function(1, "f", 1, (3, 0, 0.0, 0.0), _1=(3, 0, 0.0, 0.0))], {1: ("main", 0.5)}, "r"
    )
    assert ("omrig", 0, "main") in graph[("app.py", 1, "f")].callers


def test_nothing_measured_is_still_a_graph():
    assert list(callgraph.build([], {}, "<consumer>")) == [("omrig", 0, "<consumer>")]


def test_pstat_is_read_by_pstats(graph, tmp_path):
    path = tmp_path / "x.pstat"
    with path.open("wb") as file:
        pstat.write(graph, file)
    stats = pstats.Stats(str(path)).stats
    assert stats[WORK] == (3, 3, 1.5, 4.0, {WORKER: (3, 3, 1.5, 4.0)})
    assert marshal.loads(path.read_bytes()) == stats


def test_callgrind_adds_up(graph, tmp_path):
    path = tmp_path / "x.callgrind"
    with path.open("w") as file:
        callgrind.write(graph, file, "CPU_ns", "CPU time [ns]")
    text = path.read_text()
    assert "events: CPU_ns\nsummary: 8250000000\n" in text
    own = re.findall(r"^fn=.*\n\d+ (\d+)$", text, re.MULTILINE)
    assert sum(map(int, own)) == 8_250_000_000
    assert "App.work:1" in text
    # The text of a name once, its number from then on.
    assert text.count(" App.encode:2") == 1


def test_callgrind_is_read_by_callgrind_annotate(graph, tmp_path):
    path = tmp_path / "x.callgrind"
    with path.open("w") as file:
        callgrind.write(graph, file, "CPU_ns", "CPU time [ns]")
    shown = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not shown.stderr
    assert re.search(r"8,250,000,000 \(100\.0%\)\s+PROGRAM TOTALS", shown.stdout)
    assert re.search(r"8,250,000,000 \(100\.0%\)\s+\?\?\?:<producer>", shown.stdout)
    assert re.search(r"4,250,000,000 \(51\.52%\)\s+\?\?\?:producer worker", shown.stdout)
