"""Functions that yappi measured apart for each stage: put together again, and by stage.

yappi asks for a tag whenever a function is entered, and keeps each function by tag. So the own time
of a call counts whole for the stage in which it was entered. A function that sets a stamp as it is
entered is the exception: what it does belongs to the stage that the stamp begins.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from omrig.measured.profilers.callgraph.graph import Function
from omrig.measured.profilers.whereabouts import NO_MESSAGE, Passed, Whereabouts
from omrig.model.by_stage import Tally
from omrig.model.callgraph import Cost, Key

HOW = (
    "the own time of each call in the stage in which the function was entered, that of a function"
    " which begins a stage in that stage"
)

UNSEEN = "in functions that were entered before the measurement began"

Tagged = Sequence[tuple[int, Function]]
"""Functions of all contexts, each with the number that was its tag."""


def together(functions: Tagged) -> list[Function]:
    """Each function of a context once, as if there were no tags."""
    first: dict[tuple[int, Key, str], int] = {}
    same: dict[int, int] = {}
    for _, function in functions:
        known = (function.context, function.key, function.label)
        same[function.index] = first.setdefault(known, function.index)
    found: dict[int, Function] = {}
    for _, function in functions:
        index = same[function.index]
        one = found.get(index)
        if one is None:
            one = dataclasses.replace(function, index=index, cost=Cost(), callees={})
            found[index] = one
        one.cost.add(function.cost)
        callees = dict(one.callees)
        for callee, call in function.callees.items():
            callees.setdefault(same.get(callee, callee), Cost()).add(call)
            if callee != function.index and same.get(callee) == index:
                # It called itself in another stage, which is no call from elsewhere and no more
                # time than that of the call it was in.
                one.cost.primitive -= call.primitive
                one.cost.cumulative -= call.cumulative
        found[index] = dataclasses.replace(one, callees=callees)
    return list(found.values())


def begins(messages: Iterable[Sequence[Passed]]) -> dict[Key, str]:
    """The functions that set a stamp as they are entered, and the stage that it begins.

    Those that begin one stage or another are left out.
    """
    stages: dict[Key, set[str]] = {}
    for passages in messages:
        for stage, stack, _ in passages:
            if stage and stack:
                file, name, line = stack[-1]
                stages.setdefault((file, line, name.rpartition(".")[2]), set()).add(stage)
    return {key: found.pop() for key, found in stages.items() if len(found) == 1}


def tally(
    into: Tally,
    functions: Tagged,
    measured_seconds: float,
    whereabouts: Whereabouts,
    begun: Mapping[Key, str],
) -> None:
    """Add the own time of functions to their stages; the rest of what was measured is in none."""
    rest = measured_seconds
    for tag, function in functions:
        own = function.cost.own
        if own <= 0:
            continue
        rest -= own
        stage = whereabouts.stage(tag)
        if stage is None:
            into.leave(NO_MESSAGE, own)
            continue
        file, line, _ = function.key
        place = (function.label, file, line) if line else (function.label, None, None)
        into.add(begun.get(function.key, stage), place, own)
    into.leave(UNSEEN, max(0.0, rest))
