"""A folder of runs as histories: by version or commit, one for each load that was measured."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from omrig.compare import conditions, runs
from omrig.compare.runs import StoredRun
from omrig.model.errors import UsageError, naming
from omrig.model.run import Run
from omrig.recordings import folder as run_folder

FIRST_CHOICE = "oslo.messaging"
"""The package that a history is of, where several differ."""

EXPERIMENT = "experiment.json"
"""In the folder of an experiment: what it was to measure, and what it could not."""

_NOT_YET = "not measured yet"

_DEPTHS = ("", "*/", "*/*/", "*/*/*/")

_DESCRIBED = re.compile(r"(?P<release>.+)-(?P<commits>\d+)-g(?P<commit>[0-9a-f]{4,40})(?: dirty)?")
"""What git says of a commit: so many commits after a release."""

_OF_LOAD = ("executor", "pattern", "workers", "size_bytes", "messages", "profile")
"""What is told of a load by its value alone, in this order."""

_OWN = frozenset(
    {"omrig", "kernel", "boot_id", "machine", "topic", "served_topic", "served_exchange"}
    | {"served_by", "project_named", "stages_refused", "sources"}
)
"""Conditions that may differ between the runs of one history."""


@dataclasses.dataclass(frozen=True)
class Point:
    """The runs of one version, oldest first; there is one at least."""

    version: str
    runs: tuple[StoredRun, ...]

    @property
    def lasted_s(self) -> tuple[float, float]:
        """When its first run began and when its last one did, in seconds since the epoch."""
        return self.runs[0].started_s, self.runs[-1].started_s


@dataclasses.dataclass(frozen=True)
class Gap:
    """A version without a run that counts, and why there is none."""

    version: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Series:
    """One load over the versions: ``name`` says what it has that others have not.

    ``gaps`` are of versions that this load was to be measured with.
    """

    name: str
    points: tuple[Point, ...]
    gaps: tuple[Gap, ...]


@dataclasses.dataclass(frozen=True)
class History:
    """All that a folder holds.

    ``package`` is what the versions are of, ``versions`` all of them in their order, gaps among
    them, and ``excluded`` the folders of runs that do not count, each with the reason.
    """

    folder: Path
    package: str
    versions: tuple[str, ...]
    series: tuple[Series, ...]
    excluded: tuple[tuple[str, str], ...]


def read(name: str, package: str | None = None, argument: str = "FOLDER") -> History:
    """The history in the folder ``name``, of ``package`` (None: the one whose versions differ).

    Raises ``UsageError``, which names ``argument``, where no run is in it that counts.
    """
    folder = Path(name)
    with naming(argument):
        if not folder.is_dir():
            raise UsageError(f"{argument}: {name} is no folder; give one of runs")
        found = {path.parent for depth in _DEPTHS for path in folder.glob(depth + run_folder.RUN)}
    if not found:
        raise UsageError(
            f"{argument}: {name} holds no run (no {run_folder.RUN} in it or in its folders);"
            " give a folder of runs, by version or one beside the other"
        )
    kept = runs.of_folders(sorted(found), argument)
    about = _experiment(folder, argument)
    if not kept.runs:
        which, why = kept.excluded[0]
        raise UsageError(f"{argument}: no run counts: {which} is left out: {why}")
    of = _package(package, about, kept.runs, argument)
    names = about.get("names", {})
    left_out = [(_label(each, _run(each), of, names), reason) for each, reason in kept.excluded]
    labelled = [(_label(each.folder, each.run, of, names), each) for each in kept.runs]
    skipped = [Gap(each["version"], each["reason"]) for each in about.get("skipped", ())]
    gaps = [*skipped, *(Gap(version, f"left out: {reason}") for version, reason in left_out)]
    known = {version for version, _ in labelled} | {gap.version for gap in gaps}
    gaps += [Gap(each, _NOT_YET) for each in about.get("versions", ()) if each not in known]
    order = _ordered(labelled, [gap.version for gap in gaps], about)
    return History(folder, of, order, _series(labelled, gaps, order), kept.excluded)


def _run(folder: str) -> Run:
    return run_folder.read_run(folder)[1]


def _experiment(folder: Path, argument: str) -> Mapping[str, Any]:
    """What the experiment says of itself; nothing where there was none."""
    try:
        with naming(argument):
            found = run_folder.read_json(folder / EXPERIMENT)
    except json.JSONDecodeError as error:
        raise UsageError(f"{argument}: {folder / EXPERIMENT} cannot be read ({error})") from error
    return found if isinstance(found, Mapping) and found.get("kind") == "history" else {}


def versions_of(run: Run) -> Mapping[str, str]:
    """The versions of a run's packages; of what is no release, how its source is described."""
    environment = run.environment
    sources = environment.to_json().get("sources")
    released = {
        name: version for name, version in environment.versions.items() if isinstance(version, str)
    }
    described = sources.items() if isinstance(sources, Mapping) else ()
    return {**released, **{name: str(source) for name, source in described}}


def _package(
    wanted: str | None, about: Mapping[str, Any], kept: Iterable[StoredRun], argument: str
) -> str:
    seen: dict[str, set[str]] = {}
    for stored in kept:
        for name, version in versions_of(stored.run).items():
            seen.setdefault(name, set()).add(version)
    if wanted is not None:
        named = {canonicalize_name(name): name for name in seen}
        found = named.get(canonicalize_name(wanted))
        if found is None:
            known = ", ".join(sorted(seen)) or "none"
            raise UsageError(f"--package: the runs tell no version of {wanted}; they tell {known}")
        return found
    if "package" in about and about["package"] in seen:
        return str(about["package"])
    if not seen:
        raise UsageError(f"{argument}: the runs tell no versions of packages")
    varied = sorted(seen, key=lambda name: (-len(seen[name]), name != FIRST_CHOICE, name))
    if len(seen.get(FIRST_CHOICE, ())) > 1 or len(seen[varied[0]]) == 1:
        return FIRST_CHOICE if FIRST_CHOICE in seen else varied[0]
    return varied[0]


def _label(folder: str | Path, run: Run, package: str, names: Mapping[str, str]) -> str:
    """The version of a run: as the experiment calls it, else as the run does."""
    told = names.get(Path(folder).parent.name)
    return told or versions_of(run).get(package, "unknown")


def _ordered(
    labelled: Sequence[tuple[str, StoredRun]], others: Iterable[str], about: Mapping[str, Any]
) -> tuple[str, ...]:
    """All versions: as the experiment has them, as their numbers say, or as they were measured."""
    first: dict[str, float] = {}
    for version, stored in labelled:
        first[version] = min(first.get(version, stored.started_s), stored.started_s)
    names = list(dict.fromkeys([*first, *others]))
    told = [str(each) for each in about.get("versions", ())]
    keys = {name: _number(name) for name in names}
    if all(name in told for name in names):
        return tuple(sorted(names, key=told.index))
    if all(keys.values()):
        return tuple(sorted(names, key=lambda name: keys[name] or (Version("0"), 0)))
    return tuple(sorted(names, key=lambda name: first.get(name, float("inf"))))


def _number(label: str) -> tuple[Version, int] | None:
    """A version and how many commits come after it; None for what is neither."""
    described = _DESCRIBED.fullmatch(label)
    release = described["release"] if described else label.removesuffix(" dirty")
    try:
        return Version(release), int(described["commits"]) if described else 0
    except InvalidVersion:
        return None


def _series(
    labelled: Sequence[tuple[str, StoredRun]], gaps: Sequence[Gap], order: Sequence[str]
) -> tuple[Series, ...]:
    loads: dict[tuple[tuple[str, str], ...], dict[str, list[StoredRun]]] = {}
    for version, stored in labelled:
        key = tuple(sorted((name, str(value)) for name, value in load_of(stored).items()))
        loads.setdefault(key, {}).setdefault(version, []).append(stored)
    named = _names([dict(key) for key in loads])
    found = []
    for name, by_version in zip(named, loads.values(), strict=True):
        points = tuple(Point(each, tuple(by_version[each])) for each in order if each in by_version)
        lacking = {gap.version: gap for gap in gaps if gap.version not in by_version}
        absent = tuple(lacking[version] for version in order if version in lacking)
        found.append(Series(name, points, absent))
    return tuple(sorted(found, key=lambda each: each.name))


def load_of(stored: StoredRun) -> dict[str, object]:
    """What must be the same for runs to be of one history: the load, the machine, the broker."""
    packages = versions_of(stored.run).keys() | stored.run.environment.versions.keys()
    # Options and their defaults come and go with the versions; what was asked for stays.
    told = {*stored.run.options, *stored.run.pools}
    found = conditions.of_stored(stored)
    return {name: value for name, value in found.items() if name not in {*_OWN, *packages, *told}}


def _names(loads: Sequence[Mapping[str, str]]) -> list[str]:
    """What each load has that others have not, in few words; empty for the only one."""
    everything = {name for load in loads for name in load}
    differing = [name for name in everything if len({load.get(name) for load in loads}) > 1]
    differing.sort(key=lambda name: (_OF_LOAD.index(name) if name in _OF_LOAD else 99, name))
    return [
        ", ".join(_said(name, load.get(name, "default")) for name in differing) for load in loads
    ]


def _said(name: str, value: str) -> str:
    if name in ("executor", "pattern"):
        return value
    if name in ("workers", "messages"):
        return f"{value} {name}"
    return f"{name} {value}"
