"""Stacks out of a call graph, which knows who called whom but not from where that one was called.

As gprof and flameprof do it: the time of a function is divided among its callers in the proportion
measured between caller and callee, whoever called the callers. So a stack may be shown that never
was, though each of its neighbours were; a function's own time, and how much of it for which direct
caller, are as measured. Recursion is cut: a call that leads back to a function on the stack counts
for the function as it was entered first.
"""

from collections import defaultdict
from collections.abc import Iterator

from omrig.measured.profilers.callgraph import graph as callgraph
from omrig.model.callgraph import Cost, Graph, Key

REST: Key = ("", 0, "(too small to unfold)")
"""What was not unfolded, on top of the stack that it was called from."""

Path = tuple[Key, ...]


def unfold(graph: Graph, root: Key, least: float) -> Iterator[tuple[Path, float]]:
    """Stacks with the seconds spent on top of each, all beginning with the key ``root``.

    They add up to the own time of all functions in the graph, and those on top of which a function
    is to that function's own time, less what is in ``REST``: calls that led to less than ``least``
    seconds, which are not unfolded further.
    """
    kept, callees_first = _without_recursion(graph, root)
    calls = _divide(graph, kept)
    within: dict[Key, float] = {}
    for key in callees_first:
        within[key] = graph[key].cost.own + sum(
            call.own + call.share * (within[callee] - graph[callee].cost.own)
            for callee, call in calls[key]
        )
    # Each stack with the part of its last function that is called on it, and its seconds.
    pending: list[tuple[Path, float, float]] = [((root,), 1.0, graph[root].cost.own)]
    while pending:
        path, part, seconds = pending.pop()
        if seconds > 0:
            yield path, seconds
        rest = 0.0
        for callee, call in calls[path[-1]]:
            led_to = part * (call.own + call.share * (within[callee] - graph[callee].cost.own))
            if led_to >= least:
                pending.append(((*path, callee), part * call.share, part * call.own))
            else:
                rest += led_to
        if rest > 0:
            yield (*path, REST), rest


class _Call:
    """What of a function is a caller's: a share of what it led to, and seconds of its own."""

    __slots__ = ("own", "share")

    def __init__(self, share: float, own: float) -> None:
        self.share = share
        self.own = own


def _without_recursion(graph: Graph, root: Key) -> tuple[dict[Key, list[Key]], list[Key]]:
    """By function, those of its callers that make no circle; and all functions, callees first."""
    callees: defaultdict[Key, list[Key]] = defaultdict(list)
    for key in sorted(graph, key=lambda key: (-graph[key].cost.cumulative, key)):
        for caller in graph[key].callers:
            callees[caller].append(key)
    kept: defaultdict[Key, list[Key]] = defaultdict(list)
    seen = {root}
    finished: list[Key] = []

    def below_root() -> Iterator[Key]:
        yield from callees[root]
        # What no call leads to is not lost.
        yield from (key for key in graph if key not in seen)

    # The functions on the stack, with what is left of those that they call.
    stack = {root: below_root()}
    while stack:
        caller, left = next(reversed(stack.items()))
        callee = next((key for key in left if key not in stack), None)
        if callee is None:
            del stack[caller]
            finished.append(caller)
            continue
        kept[callee].append(caller)
        if callee not in seen:
            seen.add(callee)
            stack[callee] = iter(callees[callee])
    return kept, finished


def _divide(graph: Graph, kept: dict[Key, list[Key]]) -> defaultdict[Key, list[tuple[Key, _Call]]]:
    """By caller: its callees, and what of each is the caller's."""
    calls: defaultdict[Key, list[tuple[Key, _Call]]] = defaultdict(list)
    for callee, callers in kept.items():
        costs = [graph[callee].callers.get(caller, Cost()) for caller in callers]
        shares = callgraph.shares(
            [cost.cumulative for cost in costs], [cost.calls for cost in costs]
        )
        own = graph[callee].cost.own
        known = sum(cost.own for cost in costs)
        # The clock's grain lets the parts exceed the whole by a little. What is missing from them
        # was spent in the calls that were cut.
        scale = min(1.0, own / known) if known else 0.0
        missing = own - scale * known
        for caller, cost, share in zip(callers, costs, shares, strict=True):
            calls[caller].append((callee, _Call(share, scale * cost.own + share * missing)))
    return calls
