"""The call graph of a process: what was measured in all its contexts, under one root.

The root stands for the side. Under it hangs a node for each role, and under that the functions
that were called from outside of what was measured. Times are seconds.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from omrig.model.callgraph import Cost, Graph, Key, Node


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """A function as measured in one context."""

    index: int
    """Unique over all contexts."""
    context: int
    key: Key
    label: str
    """The name for people, with the class where there is one."""
    cost: Cost
    callees: Mapping[int, Cost]
    """By index of the function called."""


_UNNAMED = ("unnamed", 0.0)


def build(
    functions: Iterable[Function], contexts: Mapping[int, tuple[str, float]], root: str
) -> Graph:
    """The call graph of a process.

    ``contexts`` gives the role and the measured seconds of each context; ``root`` names the root.
    """
    by_context: defaultdict[int, dict[int, Function]] = defaultdict(dict)
    for function in functions:
        by_context[function.context][function.index] = function
    root_key = ("omrig", 0, root)
    graph: Graph = {root_key: Node(root, Cost(calls=1, primitive=1), {})}
    for context, in_context in by_context.items():
        role, seconds = contexts.get(context, _UNNAMED)
        role_key = ("omrig", 0, role)
        _close_open_calls(in_context)
        for function in in_context.values():
            _node(graph, function.key, function.label).cost.add(function.cost)
            for index, call in function.callees.items():
                if callee := in_context.get(index):
                    _add_call(graph, function.key, callee, call)
        for function, call in _called_from_outside(in_context):
            _add_call(graph, role_key, function, call)
        total = sum(function.cost.own for function in in_context.values())
        # Functions that were running when measuring began are not seen, what they call is: the
        # rest of the context's time is theirs.
        own = max(0.0, seconds - total)
        cost = Cost(calls=1, primitive=1, own=own, cumulative=total + own)
        node = _node(graph, role_key, role)
        node.cost.add(cost)
        node.callers.setdefault(root_key, Cost()).add(cost)
        graph[root_key].cost.cumulative += cost.cumulative
    return graph


def add(graph: Graph, more: Graph) -> None:
    """Add to a graph what was measured later, under the same root."""
    for key, found in more.items():
        node = _node(graph, key, found.label)
        node.cost.add(found.cost)
        for caller, cost in found.callers.items():
            node.callers.setdefault(caller, Cost()).add(cost)


def by_role(
    functions: Iterable[Function], contexts: Mapping[int, tuple[str, float]], root: str
) -> dict[str, Graph]:
    """The call graph of each role alone."""
    of_role: defaultdict[str, list[Function]] = defaultdict(list)
    for function in functions:
        role, _ = contexts.get(function.context, _UNNAMED)
        of_role[role].append(function)
    return {role: build(its, contexts, root) for role, its in of_role.items()}


def shares(*measures: Sequence[float]) -> list[float]:
    """What to divide something by: the parts of the first measure that is not all zeros.

    Equal parts where all are.
    """
    for measure in measures:
        if (whole := sum(measure)) > 0:
            return [value / whole for value in measure]
    return [1 / len(measures[0]) for _ in measures[0]]


def _node(graph: Graph, key: Key, label: str) -> Node:
    node = graph.get(key)
    if node is None:
        node = graph[key] = Node(label, Cost(), {})
    # A method is labelled with the class of the first instance seen: choose one that does not
    # depend on the order.
    node.label = min(node.label, label)
    return node


def _add_call(graph: Graph, caller: Key, callee: Function, call: Cost) -> None:
    callers = _node(graph, callee.key, callee.label).callers
    callers.setdefault(caller, Cost()).add(call)


def _close_open_calls(functions: Mapping[int, Function]) -> None:
    """Give functions that had not returned at the end the time of what they called.

    A function that never returned has no time of its own yet, though the functions that it called
    have: without this a loop that runs to the end would hide all that it did.
    """
    still_open = {index for index, function in functions.items() if not function.cost.primitive}

    def close(function: Function) -> None:
        if function.cost.primitive:
            return
        function.cost.primitive = 1
        cumulative = function.cost.own
        for index, call in function.callees.items():
            callee = functions.get(index)
            if callee is None or callee is function:
                continue
            close(callee)
            if index in still_open:
                call.cumulative = callee.cost.cumulative
            cumulative += call.cumulative
        function.cost.cumulative = cumulative

    for function in functions.values():
        close(function)


def _called_from_outside(functions: Mapping[int, Function]) -> Iterable[tuple[Function, Cost]]:
    """The functions called by none that was measured, and what those calls cost."""
    inside: defaultdict[int, Cost] = defaultdict(Cost)
    recursive: defaultdict[int, int] = defaultdict(int)
    for caller in functions.values():
        for index, call in caller.callees.items():
            if index == caller.index:
                recursive[index] += call.calls
            else:
                inside[index].add(call)
    for function in functions.values():
        by_others = inside[function.index]
        calls = function.cost.calls - recursive[function.index] - by_others.calls
        if not by_others.calls:
            calls = max(1, calls)
        if calls > 0:
            yield (
                function,
                Cost(
                    calls=calls,
                    primitive=calls,
                    own=max(0.0, function.cost.own - by_others.own),
                    cumulative=max(0.0, function.cost.cumulative - by_others.cumulative),
                ),
            )
