"""The functions that explain a change: in the stage that explains it, else wherever they are."""

import dataclasses
from collections.abc import Sequence

from omrig.compare.explanation import MOST, Explanation, signed
from omrig.compare.functions import Change, Profiled

NAMED = 2
"""So many functions are named in a sentence, at most."""

_BESIDE = 0.5
"""A function is named beside the largest one where its change is this part of that, or more."""


@dataclasses.dataclass(frozen=True)
class Mover:
    """The functions to look at, the one that changed most first.

    ``stage`` is the stage of the explanation that they changed in, None where they changed and no
    stage explains anything, or another one does. ``text`` names them, empty without any.
    """

    stage: str | None
    functions: tuple[Change, ...]
    text: str


def of(explanation: Explanation | None, found: Sequence[Profiled]) -> Mover:
    """What the functions that surely changed have to do with the change."""
    sure = [change for each in found for change in each.sure]
    if explanation:
        for part in (explanation.cause, explanation.shows_in):
            chosen = _within(part.stage, part.difference_ns, sure) if part else []
            if part and chosen:
                named = " and ".join(
                    f"{label(each)} {signed(each.stages_ns[part.stage])} ({origin(each)})"
                    for each in chosen
                )
                return Mover(part.stage, tuple(chosen), f"of `{part.stage}`, {named}")
    chosen = _largest(sure, [abs(each.change_ns) for each in sure])
    if not chosen:
        return Mover(None, (), "")
    named = " and ".join(
        f"{label(each)} takes {signed(each.change_ns)} a message ({origin(each)})"
        for each in chosen
    )
    return Mover(None, tuple(chosen), named)


def label(change: Change) -> str:
    """A function by the name that it is looked for by."""
    return f"`{change.module}:{change.name}`"


def origin(change: Change) -> str:
    """Who saw it: the mode, and the side."""
    return f"{change.mode}, {change.side}"


def _within(stage: str, direction: float, sure: Sequence[Change]) -> list[Change]:
    """Those that changed for the most part in a stage, and as the stage did."""
    fitting = [
        each
        for each in sure
        if each.stages_ns.get(stage, 0.0) * direction > 0
        and each.stages_ns[stage] * each.change_ns > 0
        and abs(each.stages_ns[stage]) >= MOST * abs(each.change_ns)
    ]
    return _largest(fitting, [abs(each.stages_ns[stage]) for each in fitting])


def _largest(changes: Sequence[Change], sizes: Sequence[float]) -> list[Change]:
    ranked = sorted(zip(sizes, range(len(changes)), strict=True), key=lambda each: -each[0])
    if not ranked:
        return []
    most = ranked[0][0]
    return [changes[at] for size, at in ranked[:NAMED] if size >= _BESIDE * most]
