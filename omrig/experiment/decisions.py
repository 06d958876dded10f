"""The decision of an experiment, in a comparison of the folders of its runs."""

import dataclasses
from pathlib import Path

from omrig.compare import decided, metrics
from omrig.compare.comparison import Comparison
from omrig.compare.runs import RunSet, StoredRun
from omrig.experiment import journal, sequential
from omrig.experiment.figures import exact, figures
from omrig.experiment.journal import Journal

NAMES = ("a", "b")
"""The folders of the configurations of ``omrig ab``: BASE and NEW."""


def applied(comparison: Comparison, base: str, new: str) -> Comparison:
    """A comparison of the folders ``base`` and ``new``, with what their experiment decided.

    As it is where they are not those of an experiment of two configurations.
    Raises ``UsageError`` where its ``experiment.json`` cannot be read.
    """
    ours, theirs = Path(base).absolute(), Path(new).absolute()
    is_one = ours.parent == theirs.parent and (ours.name, theirs.name) == NAMES
    if not is_one or not (ours.parent / journal.NAME).exists():
        return comparison
    about = journal.read(ours.parent, "BASE")
    if about.kind != "ab" or about.rule is None:
        return comparison
    comparison = dataclasses.replace(comparison, is_duet=bool(about.rule.duet))
    if about.decision is None:
        return comparison
    if about.rule.until == "rounds":
        return decided.by_rounds(comparison, about.decision)
    looks = about.rule.looks
    sides = _by_round(about, comparison)
    found = [[figures(each) for each in side] for side in sides]
    counted = exact([*sides[0], *sides[1]])
    if not found[0]:
        return comparison
    rulings = {
        # Errors are counted in all runs, those that are left out among them.
        each.gate.text: each
        if each.gate.metric == metrics.ERRORS
        else sequential.rule(each.gate, found[0], found[1], looks, counted)
        for each in comparison.rulings
    }
    return decided.until_decided(comparison, about.decision, rulings)


def _by_round(about: Journal, comparison: Comparison) -> tuple[list[StoredRun], list[StoredRun]]:
    """The runs of both sides by round, as far as they are compared."""
    base, new = _by_number(comparison.base), _by_number(comparison.new)
    both = [
        (base[ours], new[theirs])
        for ours, theirs in about.together(*NAMES)
        if ours in base and theirs in new
    ]
    return [ours for ours, _ in both], [theirs for _, theirs in both]


def _by_number(side: RunSet) -> dict[int, StoredRun]:
    return {int(each.folder.name): each for each in side.runs if each.folder.name.isdigit()}
