"""Stacks out of call graphs: nothing is lost, and shares are those of the graph."""

import cProfile
import io
import pstats
from collections import defaultdict

import pytest

from omrig.formats import stacks
from omrig.measured.profilers.callgraph import flames, unfold
from omrig.model.callgraph import Cost, Node

ROOT = ("omrig", 0, "<producer>")


def key(name):
    return ("app.py", 1, name)


def graph_of(own, calls):
    """A graph of functions with own seconds, and calls with own and cumulative seconds."""
    graph = {ROOT: Node("<producer>", Cost(1, 1), {})}
    for name, seconds in own.items():
        callers = {
            (ROOT if caller == "root" else key(caller)): Cost(1, 1, *cost)
            for (caller, callee), cost in calls.items()
            if callee == name
        }
        cumulative = sum(cost.cumulative for cost in callers.values())
        graph[key(name)] = Node(name, Cost(1, 1, seconds, cumulative), callers)
    return graph


def unfolded(graph, least=0.0):
    return {
        "/".join(each[2] for each in path[1:]): pytest.approx(seconds)
        for path, seconds in unfold.unfold(graph, ROOT, least)
    }


def test_time_is_divided_among_callers_as_it_was_measured():
    graph = graph_of(
        {"a": 1.0, "b": 2.0, "work": 4.0, "leaf": 10.0},
        {
            ("root", "a"): (1.0, 5.5),
            ("root", "b"): (2.0, 11.5),
            # a's calls did little themselves, and led to as much as a quarter of all.
            ("a", "work"): (0.5, 3.5),
            ("b", "work"): (3.5, 10.5),
            ("work", "leaf"): (10.0, 10.0),
        },
    )
    assert unfolded(graph) == {
        "a": 1.0,
        "b": 2.0,
        "a/work": 0.5,
        "b/work": 3.5,
        "a/work/leaf": 2.5,
        "b/work/leaf": 7.5,
    }


def test_recursion_counts_for_the_function_as_it_was_entered():
    graph = graph_of(
        {"main": 0.5, "fib": 4.0, "add": 1.0},
        {
            ("root", "main"): (0.5, 5.5),
            ("main", "fib"): (0.1, 5.0),
            ("fib", "fib"): (3.9, 4.9),
            ("fib", "add"): (1.0, 1.0),
        },
    )
    assert unfolded(graph) == {"main": 0.5, "main/fib": 4.0, "main/fib/add": 1.0}


def test_circles_are_cut_and_nothing_is_lost():
    graph = graph_of(
        {"even": 1.0, "odd": 2.0, "last": 3.0},
        {
            ("root", "even"): (0.5, 6.0),
            ("even", "odd"): (2.0, 5.0),
            ("odd", "even"): (0.5, 4.0),
            ("odd", "last"): (3.0, 3.0),
        },
    )
    assert unfolded(graph) == {"even": 1.0, "even/odd": 2.0, "even/odd/last": 3.0}


def test_what_no_call_leads_to_is_not_lost():
    graph = graph_of(
        {"main": 1.0, "one": 2.0, "other": 3.0},
        {("root", "main"): (1.0, 1.0), ("one", "other"): (3.0, 3.0), ("other", "one"): (2.0, 2.0)},
    )
    found = unfolded(graph)
    assert found["main"] == 1.0
    assert sum(seconds.expected for seconds in found.values()) == pytest.approx(6.0)


def test_what_is_small_is_told_together():
    graph = graph_of(
        {"main": 1.0, "big": 2.0, "small": 0.01, "below": 0.02},
        {
            ("root", "main"): (1.0, 3.03),
            ("main", "big"): (2.0, 2.0),
            ("main", "small"): (0.01, 0.03),
            ("small", "below"): (0.02, 0.02),
        },
    )
    assert unfolded(graph, least=0.05) == {
        "main": 1.0,
        "main/big": 2.0,
        "main/(too small to unfold)": 0.03,
    }


def test_many_ways_to_one_function_end():
    # Each of 40 levels calls both functions of the next: more ways than can be listed.
    own, calls = {"a0": 1.0, "b0": 1.0}, {("root", "a0"): (1.0, 1.0), ("root", "b0"): (1.0, 1.0)}
    for level in range(1, 40):
        for name in (f"a{level}", f"b{level}"):
            own[name] = 1.0
            for caller in (f"a{level - 1}", f"b{level - 1}"):
                calls[caller, name] = (0.5, 40.0 - level)
    found = unfolded(graph_of(own, calls), least=0.08)
    assert len(found) < 20_000
    assert sum(seconds.expected for seconds in found.values()) == pytest.approx(80.0)


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def busy():
    for _ in range(20):
        fib(12)
        sorted(range(5000), key=lambda value: -value)


@pytest.fixture(scope="module")
def measured():
    """A real call graph, from cProfile, under a root."""
    profile = cProfile.Profile()
    profile.runcall(busy)
    profile.create_stats()
    graph = {ROOT: Node("<producer>", Cost(1, 1), {})}
    for name, (primitive, calls, own, cumulative, callers) in profile.stats.items():
        by = {caller: Cost(counts[1], counts[0], *counts[2:]) for caller, counts in callers.items()}
        if not by:
            by = {ROOT: Cost(calls, primitive, own, cumulative)}
        graph[name] = Node(name[2], Cost(calls, primitive, own, cumulative), by)
    return pstats.Stats(profile).stats, graph


def test_own_times_are_those_of_the_pstat(measured):
    stats, graph = measured
    found = defaultdict(float)
    for path, seconds in unfold.unfold(graph, ROOT, least=0.0):
        found[path[-1]] += seconds
        assert sum("fib" in each for each in path) <= 1
    assert {name: own for name, own in found.items() if own} == {
        name: pytest.approx(own) for name, (_, _, own, _, _) in stats.items() if own
    }


def test_flame_graphs_hold_all_the_time_by_role_and_together(measured):
    stats, graph = measured
    idle = graph_of({"wait": 1e-7}, {("root", "wait"): (1e-7, 1e-7)})
    together, *by_role = flames.profiles({"idle": idle, "main": graph}, "producer")
    whole = sum(own for _, _, own, _, _ in stats.values()) * 1e9
    assert [each.name for each in (together, *by_role)] == [
        "producer: all",
        "producer: main",
        "producer: idle",
    ]
    for profile in (together, by_role[0]):
        assert sum(weight for _, weight in profile.stacks) == pytest.approx(whole, rel=1e-5)
        assert {stack[0].name for stack, _ in profile.stacks} == {"producer"}
    collapsed = io.StringIO()
    stacks.write_collapsed(collapsed, together.stacks)
    lines = [line.rpartition(" ") for line in collapsed.getvalue().splitlines()]
    assert sum(int(weight) for _, _, weight in lines) == pytest.approx(whole, rel=1e-5)
    # However deep it recurses.
    place = f"test_profilers_unfold.py:{fib.__code__.co_firstlineno}"
    assert [text.split(";")[2:] for text, _, _ in lines if f";fib ({place})" in text] == [
        [f"fib ({place})"]
    ]
