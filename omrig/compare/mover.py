"""The functions that explain a change: in the stage that explains it, else wherever they are."""

import dataclasses
from collections.abc import Sequence

from omrig.compare.explanation import MOST, Explanation, signed
from omrig.compare.functions import Change, Profiled
from omrig.model import units

NAMED = 2
"""So many functions are named in a sentence, at most."""

_SLOWED = 1.1
"""A mode under which a message takes so many times the CPU distorts sizes."""

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
                named = " and ".join(_in_stage(each, part.stage, found) for each in chosen)
                return Mover(part.stage, tuple(chosen), f"in `{part.stage}`, {named}")
    chosen = _largest(sure, [abs(each.change_ns) for each in sure])
    if not chosen:
        return Mover(None, (), "")
    named = " and ".join(_anywhere(each, found) for each in chosen)
    return Mover(None, tuple(chosen), named)


def label(change: Change) -> str:
    """A function by the name that it is looked for by."""
    return f"`{change.module}:{change.name}`"


def is_slowed(profile: Profiled) -> bool:
    """Whether the mode itself makes what it measures longer, so that sizes are not to be told."""
    return profile.slowed is not None and profile.slowed >= _SLOWED


def _in_stage(change: Change, stage: str, found: Sequence[Profiled]) -> str:
    """A function with its size, or under a mode that distorts sizes with its share of the change.

    The stage itself has the size: it is measured without such a mode.
    """
    profile = _of(change, found)
    own, whole = change.stages_ns[stage], profile.stage_ns(stage)
    where = f"({change.mode}, {change.side})"
    if not is_slowed(profile):
        return f"{label(change)} {signed(own)} a message {where}"
    if own * whole <= 0 or abs(own) >= abs(whole):
        return f"{label(change)}, all of what changed there {where}"
    return f"{label(change)}, {100 * own / whole:.0f} % of what changed there {where}"


def _anywhere(change: Change, found: Sequence[Profiled]) -> str:
    profile = _of(change, found)
    word = "longer" if change.change_ns > 0 else "shorter"
    took = f"{label(change)} takes {units.duration(abs(change.change_ns))} {word} a message"
    slowed = ""
    if is_slowed(profile):
        slowed = f", under which a message takes {profile.slowed:.2g} times the CPU"
    return f"{took} ({change.mode}{slowed}; {change.side})"


def _of(change: Change, found: Sequence[Profiled]) -> Profiled:
    return next(each for each in found if (each.mode, each.side) == (change.mode, change.side))


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
