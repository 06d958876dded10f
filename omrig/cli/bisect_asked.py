"""What ``omrig bisect`` is asked for: checked, and made into what a search goes on from."""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli.configurations import configuration
from omrig.compare import gates, metrics
from omrig.experiment import sequential
from omrig.model.errors import UsageError, naming

if TYPE_CHECKING:
    from omrig.experiment.candidates import Row
    from omrig.model.bisection import Asked, Bisection, Candidate

RESULT = "bisect.json"
"""What has been asked and found, in the folder of the search."""

MOST_ROUNDS = 19
"""Rounds after which a candidate is left undecided, unless told."""

_OF_A_SEARCH = ("good", "bad", "test", "source", "versions", "gate", "output")
"""Options that say what is searched for; a search that goes on has them already."""


def begun(options: argparse.Namespace, arguments: Sequence[str], folder: Path) -> "Bisection":
    """What is known of a search before it begins: what is asked for, and the candidates."""
    from omrig.model.bisection import Asked, Bisection

    if not options.good or not (options.bad or options.test):
        raise UsageError(f"bisect: --good and --bad are needed; use {cli.COMMANDS['bisect'].usage}")
    if options.test and (options.bad or options.versions):
        raise UsageError("--test: judges one candidate; leave out --bad and --versions")
    if options.test and not options.gate:
        raise UsageError("--test: needs --gate: there is no bad one to say what is bad")
    asked = Asked(
        good=options.good,
        bad=options.bad or options.test,
        source=options.source,
        gates=tuple(options.gate),
        margin=options.margin or sequential.DEFAULT_MARGIN,
        most_rounds=options.rounds or MOST_ROUNDS,
        arguments=tuple(arguments),
    )
    _check(asked)
    row = _row(options, folder)
    _refuse_another(row.candidates[0], arguments)
    return Bisection(
        asked=asked, candidates=row.candidates, descending=row.descending, notes=row.notes
    )


def _check(asked: "Asked") -> None:
    """Refuse options of a run and gates that cannot be meant, before anything is measured."""
    configuration("after --", asked.arguments)
    limits = [gates.parse(text) for text in asked.gates]
    for gate in limits:
        if gate.no_change is not None and gates.beyond(gate, gate.no_change):
            raise UsageError(
                f"--gate: {gate.text!r}: the good one breaks it, compared with itself; for what"
                " got better give what is bad then, as 'p50>=-50%'"
            )
    exact = limits and all(_is_count(gate.metric) for gate in limits)
    least = 1 if exact else sequential.LOOKS[0]
    if asked.most_rounds < least:
        raise UsageError(f"-n: {asked.most_rounds} rounds decide nothing; {least} are the least")


def _is_count(name: str) -> bool:
    metric = metrics.find(name)
    return metric is not None and metric.unit == "count"


def _row(options: argparse.Namespace, folder: Path) -> "Row":
    from omrig.experiment import candidates

    _refuse_login(options.source)
    # Beside the folder, which has to be empty when the search begins.
    copy = folder.with_name(f"{folder.name}.git")
    if options.test:
        good = candidates.one(options.good, "--good", options.source, copy)
        test = candidates.one(options.test, "--test", None, copy)
        return candidates.Row((good, test), descending=False)
    versions = [each.strip() for each in (options.versions or "").split(",") if each.strip()]
    if options.source:
        return candidates.of_commits(options.source, options.good, options.bad, copy, versions)
    return candidates.of_releases(options.good, options.bad, versions)


def _refuse_login(source: str | None) -> None:
    """A password would be kept with what was asked; ``git@host:path`` and the like hold none."""
    scheme, _, rest = (source or "").partition("://")
    login = rest.partition("/")[0].rpartition("@")[0]
    if ":" in login or (login and not scheme.endswith("ssh")):
        raise UsageError(
            "--source: holds a login; leave it out of the URL and have git find it (a credential"
            " helper, or a copy that you cloned)"
        )


def _refuse_another(candidate: "Candidate", arguments: Sequence[str]) -> None:
    """The version that is searched for must not be asked for as well."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    def package(text: str) -> str | None:
        try:
            return canonicalize_name(Requirement(text).name)
        except InvalidRequirement:
            return None

    wanted = package(candidate.requirement)
    software = configuration("after --", arguments).plan.software
    for each in software.requirements:
        if wanted and package(each) == wanted:
            raise UsageError(f"--with: {each}: the search chooses which {wanted} is measured")


def resumed(folder: Path, options: argparse.Namespace, arguments: Sequence[str]) -> "Bisection":
    """What is known of the search in ``folder``."""
    from omrig.experiment import journal
    from omrig.model.bisection import Bisection

    given = [name for name in _OF_A_SEARCH if getattr(options, name)]
    given += ["margin"] if options.margin is not None else []
    if given:
        raise UsageError(f"--resume: goes on with what was asked; leave out --{given[0]}")
    try:
        with naming("--resume"):
            known = Bisection.from_json(json.loads((folder / RESULT).read_text()))
    except ValueError as error:
        raise UsageError(f"--resume: {folder / RESULT} cannot be read ({error})") from error
    asked = known.asked
    if journal.is_masked(asked.arguments) and not arguments:
        raise UsageError(
            "--resume: the options of the run held a password, which is not kept; give them again"
            f" after --: {shlex.join(asked.arguments)}"
        )
    if arguments:
        shown = tuple(map(journal.masked, arguments))
        if shown != tuple(map(journal.masked, asked.arguments)):
            raise UsageError(
                f"--resume: the options after -- were others: {shlex.join(asked.arguments)}"
            )
        asked = dataclasses.replace(asked, arguments=tuple(arguments))
    if options.rounds:
        asked = dataclasses.replace(asked, most_rounds=options.rounds)
    _check(asked)
    known = dataclasses.replace(known, asked=asked)
    left = (step for step in known.steps if step.word == "undecided")
    if any(step.rounds < asked.most_rounds for step in left):
        # More rounds may decide it.
        known = dataclasses.replace(known, complete=False, answer=None, reason=None)
    return known
