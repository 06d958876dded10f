"""What a call graph says in three tables: time by role, by package and by function.

Times are own times, which add up: the roles' to the whole, and the packages' as well.
"""

from collections import defaultdict
from collections.abc import Mapping

from omrig.measured.profilers.callgraph import graph as callgraph
from omrig.measured.profilers.callgraph import packages
from omrig.measured.profilers.callgraph.packages import Installation
from omrig.model.callgraph import Graph, Key, Node

TOP = 100
"""So many functions are listed, those with the most time of their own."""

UNSEEN = "not seen"
"""For what began before the measurement and had not ended: only what it called was seen."""

BUILTINS = "builtins"

_OWN = "omrig"
_BUILTIN = "~"


def summarise(
    graphs: Mapping[str, Graph],
    contexts: Mapping[str, int],
    clock: str,
    installed: Installation,
) -> dict[str, object]:
    """The tables for ``profile.yappi.json``, times in whole nanoseconds.

    ``graphs`` and ``contexts`` give by role its call graph and its number of threads or greenlets.
    Builtins of the language itself count for the packages that called them, in the same
    proportion; as functions they stand for themselves.
    """
    by_role = {
        role: sum(node.cost.own for node in graph.values()) for role, graph in graphs.items()
    }
    whole = sum(by_role.values())

    def measured(seconds: float) -> dict[str, object]:
        return {"self_ns": round(seconds * 1e9), "share": seconds / whole if whole else 0.0}

    by_package, in_builtins = _by_package(graphs, installed)
    rows = [
        (role, key, node)
        for role, graph in graphs.items()
        for key, node in graph.items()
        if node.cost.own > 0
    ]
    rows.sort(key=lambda row: (-row[2].cost.own, row[0], row[1]))
    return {
        "clock": clock,
        "total_ns": round(whole * 1e9),
        "roles": [
            {"role": role, "contexts": contexts.get(role, 0), **measured(seconds)}
            for role, seconds in _heaviest(by_role)
        ],
        "packages": [
            {
                "package": package,
                "builtins_ns": round(in_builtins[package] * 1e9),
                **measured(seconds),
            }
            for package, seconds in _heaviest(by_package)
            if seconds > 0
        ],
        "functions": [
            {
                "role": role,
                **_described(key, node, installed),
                "calls": node.cost.calls,
                "primitive_calls": node.cost.primitive,
                "cumulative_ns": round(node.cost.cumulative * 1e9),
                **measured(node.cost.own),
            }
            for role, key, node in rows[:TOP]
        ],
    }


def _heaviest(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: (-item[1], item[0]))


def _described(key: Key, node: Node, installed: Installation) -> dict[str, object]:
    file, line, _ = key
    package = _own_package(key, installed) or BUILTINS
    if file in (_OWN, _BUILTIN):
        # The node of a role has the time of its functions that were never seen to begin.
        name = "(began before the measurement)" if file == _OWN else node.label
        return {"function": name, "file": None, "line": None, "package": package}
    return {"function": node.label, "file": file, "line": line, "package": package}


def _by_package(
    graphs: Mapping[str, Graph], installed: Installation
) -> tuple[dict[str, float], Mapping[str, float]]:
    """Seconds by package, and how many of them are the builtins' that it called."""
    seconds: defaultdict[str, float] = defaultdict(float)
    in_builtins: defaultdict[str, float] = defaultdict(float)
    for graph in graphs.values():
        owners: dict[Key, dict[str, float]] = {}
        for key, node in graph.items():
            package = _own_package(key, installed)
            found = _owners(key, graph, installed, owners) or {BUILTINS: 1.0}
            for owner, share in found.items():
                seconds[owner] += share * node.cost.own
                if package is None:
                    in_builtins[owner] += share * node.cost.own
    return dict(seconds), in_builtins


def _own_package(key: Key, installed: Installation) -> str | None:
    file, _, name = key
    if file == _OWN:
        return UNSEEN
    if file == _BUILTIN:
        return packages.package_of_builtin(name, installed)
    return packages.package_of(file, installed)


def _owners(
    key: Key, graph: Graph, installed: Installation, known: dict[Key, dict[str, float]]
) -> dict[str, float]:
    """Whose a function's own time is: packages with a share each, together 1.

    Nobody's while only such are known to call it whose own callers are being looked for.
    """
    if key in known:
        return known[key]
    package = _own_package(key, installed)
    if package is not None:
        known[key] = {package: 1.0}
        return known[key]
    known[key] = {}
    callers = graph[key].callers
    found = {
        caller: owners for caller in callers if (owners := _owners(caller, graph, installed, known))
    }
    costs = [callers[caller] for caller in found]
    parts = callgraph.shares([cost.own for cost in costs], [cost.calls for cost in costs])
    shares: defaultdict[str, float] = defaultdict(float)
    for owners, part in zip(found.values(), parts, strict=True):
        for owner, share in owners.items():
            shares[owner] += part * share
    if found:
        known[key] = dict(shares)
    else:
        del known[key]
    return dict(shares)
