"""The versions among which the first bad one is looked for, from the good one to the bad one."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from omrig.experiment import commits, releases
from omrig.experiment.commits import Commit
from omrig.model.bisection import Candidate
from omrig.model.errors import UsageError

PACKAGE = "oslo.messaging"
"""The package that is meant where none is named."""


@dataclasses.dataclass(frozen=True)
class Row:
    """The candidates from the good one to the bad one; ``notes`` say what is not as it was asked.

    They are ``descending`` where the good one is the newer.
    """

    candidates: tuple[Candidate, ...]
    descending: bool
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Release:
    """A version of a package; ``package`` is empty where none was named, else with its extras."""

    package: str
    version: Version


def release(text: str, option: str) -> Release:
    """The release that ``14.7.0`` or ``oslo.messaging==14.7.0`` names.

    Raises ``UsageError`` where it names none.
    """
    advice = f"give a version, as {PACKAGE}==18.1.0, or --source for commits"
    try:
        return Release("", Version(text))
    except InvalidVersion:
        pass
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"{option}: {text!r} is no release; {advice}") from error
    exact = [each for each in parsed.specifier if each.operator == "=="]
    if parsed.url or parsed.marker or len(parsed.specifier) != 1 or not exact:
        raise UsageError(f"{option}: {text!r} is not one release; {advice}")
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    try:
        return Release(f"{parsed.name}{extras}", Version(exact[0].version))
    except InvalidVersion as error:
        raise UsageError(f"{option}: {text!r} is not one release; {advice}") from error


def of_releases(
    good: str,
    bad: str,
    versions: Sequence[str] = (),
    listed: Callable[[str, bool], list[Version]] = releases.listed,
) -> Row:
    """Releases between two, or those of the ``versions`` that are named.

    Of an end that does not exist the nearest that does is taken. Raises ``UsageError`` where one is
    no release, or both are one and the same.
    """
    ends = [release(good, "--good"), release(bad, "--bad")]
    names = {canonicalize_name(each.package): each.package for each in ends if each.package}
    if len(names) > 1:
        raise UsageError(f"--bad: {bad} is of another package than {good}; bisect one of them")
    package = next(iter(names.values()), PACKAGE)
    first, last = (each.version for each in ends)
    if first == last:
        raise UsageError(f"--bad: {bad} is the good one, too; name two releases")
    is_pre = any(each.version.is_prerelease for each in ends)
    notes: list[str] = []
    if versions:
        there = sorted({_version(text) for text in versions} | {first, last})
    else:
        without_extras = package.partition("[")[0]
        there = listed(without_extras, is_pre)
    found = [
        _existing(option, wanted, there, upwards, notes)
        for option, wanted, upwards in (
            ("--good", first, first > last),
            ("--bad", last, first < last),
        )
    ]
    if found[0] == found[1]:
        raise UsageError(f"--bad: {found[0]} is the only release near {good} and {bad}")
    _refuse_outside(there if versions else [], found)
    low, high = sorted(found)
    row = [each for each in there if low <= each <= high]
    row = row if found[0] < found[1] else row[::-1]
    made = (Candidate(str(each), f"{package}=={each}") for each in row)
    return Row(tuple(made), found[0] > found[1], tuple(notes))


def of_commits(source: str, good: str, bad: str, folder: Path, versions: Sequence[str] = ()) -> Row:
    """Commits by first parents between two revisions of a checkout or of a git URL.

    With ``versions``, tags or commits, only those are candidates. A URL is copied to
    ``copy``. Raises ``UsageError`` where it is no repository, or does not have a revision.
    """
    repository = commits.opened(source, copy)
    first = commits.commit(repository, good, "--good")
    last = commits.commit(repository, bad, "--bad")
    if first.sha == last.sha:
        raise UsageError(f"--bad: {bad} is the good commit, too ({first.short}); name two")
    row = commits.between(repository, first, last)
    if versions:
        row = _named(repository, row, versions)
    made = tuple(_candidate(repository, each) for each in row)
    return Row(made, descending=commits.comes_from(repository, first, last))


def one(text: str, option: str, source: str | None, copy: Path) -> Candidate:
    """A candidate by itself: a revision of the ``source``, else a release, or what pip takes."""
    if source:
        repository = commits.opened(source, copy)
        return _candidate(repository, commits.commit(repository, text, option))
    try:
        version = Version(text)
    except InvalidVersion:
        return Candidate(_named_after(text), text)
    return Candidate(text, f"{PACKAGE}=={version}")


def _existing(
    option: str, wanted: Version, there: Sequence[Version], upwards: bool, notes: list[str]
) -> Version:
    found = releases.nearest(wanted, there, upwards)
    if found != wanted:
        notes.append(f"{option}: there is no {wanted} on the package index; {found} is the nearest")
    return found


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise UsageError(f"--versions: {text!r} is no version; give as 14.8.0,15.0.0") from error


def _refuse_outside(there: Sequence[Version], ends: Sequence[Version]) -> None:
    outside = [str(each) for each in there if not min(ends) <= each <= max(ends)]
    if outside:
        raise UsageError(
            f"--versions: {', '.join(outside)} is not between {ends[0]} and {ends[1]}; leave it out"
        )


def _named(repository: Path, row: Sequence[Commit], versions: Sequence[str]) -> list[Commit]:
    wanted = {commits.commit(repository, each, "--versions").sha: each for each in versions}
    outside = [name for sha, name in wanted.items() if all(sha != each.sha for each in row)]
    if outside:
        raise UsageError(
            f"--versions: {', '.join(outside)} is not between --good and --bad by first parents;"
            " leave it out"
        )
    ends = (row[0], row[-1])
    return [each for each in row if each in ends or each.sha in wanted]


def _candidate(repository: Path, commit: Commit) -> Candidate:
    return Candidate(
        name=commit.short,
        requirement=commits.requirement(repository, commit.sha),
        subject=commit.subject,
        authored_at=commit.authored_at,
        revision=commit.sha,
    )


def _named_after(text: str) -> str:
    """A name that a folder can have, for what pip takes."""
    kept = "".join(each if each.isalnum() or each in "._-" else "-" for each in text)
    return kept.strip(".-") or "candidate"
