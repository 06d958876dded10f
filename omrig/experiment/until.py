"""Rounds of two configurations until something is known of them."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from omrig.experiment.figures import Figures as Figures
from omrig.experiment.figures import figures as figures
from omrig.experiment.trials import Configuration, Trials

_Found = TypeVar("_Found")


def decided(
    trials: Trials,
    base: Configuration,
    new: Configuration,
    *,
    judge_it: Callable[[Sequence[Figures], Sequence[Figures]], _Found | None],
    most_rounds: int,
    until_s: float | None,
) -> _Found | None:
    """Measure ``base`` and ``new`` in rounds until ``judge_it`` says something; None if never.

    ``judge_it`` gets the figures of a run of each by round, and is asked after every round, at
    first of those there are. ``most_rounds`` are all of the two, those there are among them. No
    round begins that would end after ``until_s``, a time of :func:`time.monotonic`, if it took as
    long as the last; that is said. Raises what :meth:`Trials.round` raises.
    """
    while True:
        ours, theirs = trials.paired(base.name, new.name)
        found = judge_it([figures(each) for each in ours], [figures(each) for each in theirs])
        if found is not None or len(ours) >= most_rounds:
            return found
        if is_late(trials, until_s):
            return None
        trials.round((base, new))


def is_late(trials: Trials, until_s: float | None) -> bool:
    """Whether another round would end too late, if it took as long as the last; says so."""
    last_s = trials.last_round_s or 0.0
    if until_s is None or time.monotonic() + last_s <= until_s:
        return False
    trials.say(f"no time for another round: the last one took {last_s:,.0f} s")
    return True
