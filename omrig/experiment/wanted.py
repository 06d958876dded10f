"""Which versions a history is to have: releases of a package, or commits of a checkout."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from omrig.experiment import commits, releases
from omrig.model.errors import UsageError

PACKAGE = "oslo.messaging"
"""The package that is meant where none is named."""

_ADVICE = f"give a requirement, as '{PACKAGE}>=14', or versions, as 14.7.0,14.8.0"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A version: its ``name``, and what pip installs it by."""

    name: str
    requirement: str


def of_releases(
    text: str, listed: Callable[[str, bool], list[Version]] = releases.listed
) -> tuple[str, list[Wanted]]:
    """The package and those of its releases that ``text`` asks for, ascending.

    Raises ``UsageError`` where it asks for none that the package index has.
    """
    named = _versions(text)
    if named:
        return PACKAGE, [Wanted(str(each), f"{PACKAGE}=={each}") for each in sorted(named)]
    try:
        asked = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"--versions: {text!r} is no requirement; {_ADVICE}") from error
    if asked.url or asked.marker:
        raise UsageError(f"--versions: {text!r} is not of releases; {_ADVICE}")
    extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
    try:
        there = listed(asked.name, bool(asked.specifier.prereleases))
    except UsageError as error:
        raise UsageError(f"--versions: {error}") from error
    found = [each for each in there if asked.specifier.contains(each)]
    if not found:
        raise UsageError(
            f"--versions: no release of {asked.name} is {asked.specifier}; the index has"
            f" {there[0]} to {there[-1]}"
        )
    package = f"{asked.name}{extras}"
    return asked.name, [Wanted(str(each), f"{package}=={each}") for each in found]


def of_commits(source: str, text: str, folder: Path) -> tuple[str, list[Wanted]]:
    """The commits by first parents that ``text``, as ``A..B``, names in a checkout or git URL.

    A URL is copied into ``folder``. Raises ``UsageError`` where there are none.
    """
    first, dots, last = text.partition("..")
    if not dots or not first or not last:
        raise UsageError(f"--versions: {text!r}: with --source give two revisions, as 18.2.0..main")
    repository = commits.opened(source, folder)
    ends = [commits.commit(repository, each, "--versions") for each in (first, last)]
    row = commits.between(repository, *ends) if ends[0].sha != ends[1].sha else ends[:1]
    found = [Wanted(each.short, commits.requirement(repository, each.sha)) for each in row]
    return PACKAGE, found


def _versions(text: str) -> list[Version]:
    """Versions and nothing else; none where it is something else."""
    try:
        return [Version(each.strip()) for each in text.split(",")]
    except InvalidVersion:
        return []
