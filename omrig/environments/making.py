"""An environment for ``--with`` and ``--python``: found in the cache, or made and kept there."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from omrig.environments import (
    asked,
    cache,
    explained,
    installers,
    interpreters,
    needs,
    own_code,
    sources,
)
from omrig.environments.asked import Asked
from omrig.environments.installers import Installer, Refused
from omrig.environments.interpreters import Interpreter
from omrig.model.errors import UsageError, in_words
from omrig.model.software import NOTE

_KEY_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Environment:
    """An environment in ``folder``, whose interpreter is ``python``.

    ``described`` says of each package that was asked for which version it is, or which state of a
    checkout. ``made`` is False where it was there already. ``code`` holds omrig's own files for it,
    ``notes`` are what differs from what the command runs with though nobody asked for it.
    """

    folder: Path
    python: Path
    described: Mapping[str, str]
    made: bool
    code: Path
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What an environment is to hold."""

    python: Interpreter
    asked: tuple[Asked, ...]
    omrig: tuple[Requirement, ...]
    versions: Mapping[str, str]


def make(
    requirements: Sequence[str],
    python: str,
    modes: Collection[str],
    say: Callable[[str], None],
) -> Environment:
    """The environment with these ``requirements``, on this ``python``, for these profiler modes.

    What is not asked for is as the command itself has it, unless that contradicts what is. ``say``
    is told what takes long, and each time what could not be kept as it is. Raises
    :class:`~omrig.environments.refusals.NotInstallable` for what cannot be had, ``UsageError`` for
    what is no requirement.
    """
    option = "--with" if requirements else "--python"
    uv = installers.uv_program()
    found = interpreters.find(python, uv)
    wanted = _wanted(requirements, found, modes)
    installer = installers.choose(uv)
    try:
        key = _key(wanted, _resolved(wanted, installer))
        code = own_code.kept(found, say)
        path = cache.folder() / key
        is_there = _is_whole(path)
        if not is_there:
            with cache.locked(say) as place:
                if not _is_whole(path):
                    _make(wanted, installer, place, path, say)
                cache.held(path)
        os.utime(path / NOTE)
    except OSError as error:
        raise UsageError(
            f"{option}: {in_words(error)} (environments are kept below XDG_CACHE_HOME, or ~/.cache)"
        ) from error
    note = cache.note(path) or {}
    notes = (*note.get("notes", ()), *([code.note] if code.note else ()))
    for each in notes:
        say(each)
    python_path = path / "bin" / "python"
    return Environment(path, python_path, note["described"], not is_there, code.folder, notes)


def _wanted(requirements: Sequence[str], python: Interpreter, modes: Collection[str]) -> _Wanted:
    versions = needs.own_versions()
    omrig = needs.of_omrig(modes, versions)
    read = [asked.read(each) for each in requirements]
    explained.refuse_below(read, omrig)
    read += [asked.read(each) for each in needs.of_other_modes(modes)]
    names = {canonicalize_name(each.requirement.name) for each in read if each.requirement}
    kept = {name: version for name, version in versions.items() if name not in names}
    return _Wanted(python, tuple(read), tuple(omrig), kept)


def _resolved(wanted: _Wanted, installer: Installer) -> list[str]:
    """What the open ranges among the requirements come to now."""
    ranges = [str(each.requirement) for each in wanted.asked if each.kind == "range"]
    if not ranges:
        return []
    with _explained(wanted, installer):
        found = installer.newest(ranges, wanted.python)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _key(wanted: _Wanted, resolved: Sequence[str]) -> str:
    """The name of an environment: the same for the same content alone."""
    content = {
        "python": wanted.python.identity,
        "asked": [[each.kind, each.content, each.extras, each.source] for each in wanted.asked],
        "resolved": list(resolved),
        "omrig": sorted(map(str, wanted.omrig)),
        "versions": dict(wanted.versions),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]


def _is_whole(path: Path) -> bool:
    is_there = cache.held(path) and cache.note(path) is not None
    return is_there and (path / "bin" / "python").exists()


def _make(
    wanted: _Wanted,
    installer: Installer,
    place: Path,
    path: Path,
    say: Callable[[str], None],
) -> None:
    typed = ", ".join([*(each.typed for each in wanted.asked), f"Python {wanted.python.number}"])
    say(f"making an environment with {typed} ({installer.name}; it is kept)")
    # What is there and not whole is of no use to anybody.
    shutil.rmtree(path, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=cache.MAKING, dir=place))
    try:
        folder = made / "environment"
        with _explained(wanted, installer):
            installer.create(folder, wanted.python)
        lines = [_line(each, made, folder, installer, wanted) for each in wanted.asked]
        explained.refuse_built_below(dict(zip(lines, wanted.asked, strict=True)), wanted.omrig)
        with _explained(wanted, installer):
            installer.install([*lines, *map(str, wanted.omrig)], wanted.versions, folder)
        note = _note(wanted, lines, folder)
        (folder / NOTE).write_text(json.dumps(note, indent=1))
        folder.rename(path)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _line(each: Asked, made: Path, folder: Path, installer: Installer, wanted: _Wanted) -> str:
    """The requirement as an installer takes it: what is no release is built before."""
    if each.requirement:
        return str(each.requirement)
    if each.kind == "url":
        return each.typed.strip()
    wheel = each.path
    if wheel is None or wheel.suffix != ".whl":
        number = wanted.asked.index(each)
        source = sources.copied(each, made / f"source-{number}")
        with _explained(dataclasses.replace(wanted, asked=(each,)), installer):
            wheel = installer.build(source, made / f"wheel-{number}", folder)
    name = parse_wheel_filename(wheel.name)[0]
    return f"{name}{each.extras} @ {wheel.absolute().as_uri()}"


@contextlib.contextmanager
def _explained(wanted: _Wanted, installer: Installer) -> Iterator[None]:
    """What the installer refuses in the block is said in one sentence."""
    try:
        yield
    except Refused as error:

        def newest(name: str) -> str | None:
            try:
                return installer.newest([name], wanted.python).get(canonicalize_name(name))
            except Refused:
                return None

        raise explained.refusal(str(error), wanted.asked, wanted.omrig, newest) from error


def _note(wanted: _Wanted, lines: Sequence[str], folder: Path) -> dict[str, Any]:
    """What is in the environment, for records and for whoever lists them."""
    (site,) = folder.glob("lib/python*/site-packages")
    versions: dict[str, str] = {}
    names: dict[str, str] = {}
    origins: dict[str, str] = {}
    for package in metadata.distributions(path=[str(site)]):
        name = canonicalize_name(package.name)
        names[name], versions[name] = package.name, package.version
        if origin := package.read_text("direct_url.json"):
            origins[str(json.loads(origin)["url"]).partition("#")[0]] = name
    named: dict[str, Asked] = {}
    for line, each in zip(lines, wanted.asked, strict=True):
        head, _, url = line.partition(" @ ")
        origin_name = origins.get((url or line).partition("#")[0], head.partition("[")[0])
        named[canonicalize_name(each.requirement.name if each.requirement else origin_name)] = each
    told = {names[name]: each.source for name, each in named.items() if each.source}
    is_known = {names[name]: versions[name] for name in named if name in names}
    return {
        "typed": [each.typed for each in wanted.asked],
        "python": wanted.python.number,
        "made_at": time.time(),
        "asked": is_known,
        "sources": told,
        "described": is_known | told,
        "versions": {names[name]: versions[name] for name in sorted(versions)},
        "notes": _notes(wanted, named, versions),
    }


def _notes(wanted: _Wanted, named: Collection[str], versions: Mapping[str, str]) -> list[str]:
    """What is not as the command has it, though nobody asked for it; in one line."""
    other = [
        f"{name} {versions[name]} (the command has {own})"
        for name, own in wanted.versions.items()
        if name in versions and name not in named and versions[name] != own
    ]
    if not other:
        return []
    what = ", ".join(each.typed for each in wanted.asked)
    where = f"{what} on Python {wanted.python.number}" if what else f"Python {wanted.python.number}"
    return [f"not the command's own versions, with {where}: {'; '.join(other)}"]
