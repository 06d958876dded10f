"""Call graphs as stacks with weights, for viewers of flame graphs.

A call graph has no order in time and no whole stacks: they are reconstructed from it
(:mod:`omrig.measured.profilers.callgraph.unfold`), and the viewers' order is that of weight.
"""

from collections.abc import Mapping

from omrig.formats import stacks
from omrig.measured.profilers.callgraph import unfold
from omrig.model.callgraph import Graph, Key

SMALLEST_SHARE = 1e-6
"""A call that led to less than this share of everything is not shown apart."""


def profiles(graphs: Mapping[str, Graph], side: str) -> list[stacks.Profile]:
    """The graphs of a side by role as flame graphs: first all together, then one by one.

    Weights are whole nanoseconds. In what is all together a stack begins with the side and the
    role. Each graph has the root ``<side>``, and under it the role.
    """
    whole = sum(node.cost.own for graph in graphs.values() for node in graph.values())
    by_role = {
        role: _stacks(graph, ("omrig", 0, f"<{side}>"), SMALLEST_SHARE * whole)
        for role, graph in graphs.items()
    }
    found = [
        stacks.Profile(f"{side}: {role}", "nanoseconds", weighted)
        for role, weighted in by_role.items()
    ]
    found.sort(key=lambda profile: -sum(weight for _, weight in profile.stacks))
    everything = [weighted for profile in found for weighted in profile.stacks]
    return [stacks.Profile(f"{side}: all", "nanoseconds", everything), *found]


def _stacks(graph: Graph, root: Key, least: float) -> list[stacks.Weighted]:
    frames: dict[Key, stacks.Frame] = {unfold.REST: stacks.Frame(unfold.REST[2])}
    for key, node in graph.items():
        file, line, _ = key
        # Roles and builtins have no line.
        frames[key] = stacks.Frame(node.label, file, line) if line else stacks.Frame(node.label)
    frames[root] = stacks.Frame(root[2].strip("<>"))
    return [
        (tuple(frames[key] for key in path), weight)
        for path, seconds in unfold.unfold(graph, root, least)
        if (weight := round(seconds * 1e9))
    ]
