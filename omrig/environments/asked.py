"""What ``--with`` asks for: a release, a folder, a repository or a file, and what it holds now."""

import dataclasses
import hashlib
import os
import re
import zipfile
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from omrig.environments import git
from omrig.environments.refusals import NotInstallable, without_logins
from omrig.model.errors import UsageError, in_words

Kind = Literal["release", "range", "folder", "git", "file", "url"]

_NAMED = re.compile(r"([A-Za-z0-9][\w.\-]*(?:\[[\w,.\- ]*\])?)\s*@\s*(\S+)")
_URL = re.compile(r"[\w+.\-]+://")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2")
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")
_SHA = re.compile(r"[0-9a-f]{40}")
_SHOWN_COMMIT = 12


@dataclasses.dataclass(frozen=True)
class Asked:
    """One ``--with``: as ``typed``, and what it is.

    ``content`` is the same as long as what would be installed is. ``requirement`` is set for a
    release or a range, ``path`` for a folder or a file, ``url`` and ``commit`` for a repository.
    ``extras`` are of the package; ``subdirectory`` is where in a repository it lies. ``source`` is
    how a record names what is no release of the index.
    """

    typed: str
    kind: Kind
    content: str
    requirement: Requirement | None = None
    path: Path | None = None
    url: str = ""
    commit: str = ""
    subdirectory: str = ""
    extras: str = ""
    source: str = ""

    def refused(self, why: str) -> NotInstallable:
        """The error that says ``why`` this cannot be had."""
        return NotInstallable(f"--with: {without_logins(self.typed)}: {why}")


def read(typed: str) -> Asked:
    """What a value of ``--with`` asks for, as it is now.

    Raises ``UsageError`` for what is no requirement, :class:`NotInstallable` for what is not there.
    """
    text = typed.strip()
    _refuse_login(text)
    named = _NAMED.fullmatch(text)
    extras, place = "", text
    if named:
        place = named[2]
        extras = named[1][named[1].index("[") :] if "[" in named[1] else ""
    if place.startswith("git+"):
        return _repository(typed, place.removeprefix("git+"), extras)
    if place.startswith("file://"):
        place = unquote(urlsplit(place).path)
        return _place(typed, place, extras)
    if _URL.match(place):
        shown = place.partition("#")[0].rpartition("/")[2]
        return Asked(typed, "url", place, url=place, extras=extras, source=shown)
    bare, bracket, rest = place.partition("[")
    # As with pip, a name alone is never the folder of that name.
    is_path = place.startswith((".", "/", "~")) or "/" in bare or bare.endswith(_ARCHIVES)
    if is_path:
        if bracket and rest.endswith("]") and not Path(place).exists():
            place, extras = bare, f"[{rest}"
        return _place(typed, place, extras)
    return _release(typed, text)


def _refuse_login(text: str) -> None:
    """A login in a URL would be in files and in the list of processes."""
    for scheme, login in re.findall(r"([\w+.\-]+)://([^/\s]*)@", text):
        if scheme in ("git+ssh", "ssh") and ":" not in login:
            continue
        if not scheme.startswith(("git", "http", "ssh", "file")):
            raise UsageError(
                f"--with: {without_logins(text)} is the URL of a broker; give it with"
                " --transport-url"
            )
        raise UsageError(
            f"--with: {without_logins(text)}: a login in a URL would be kept in files; let git know"
            " it (git help credentials), or clone it and give the folder"
        )


def _release(typed: str, text: str) -> Asked:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        why = str(error).splitlines()[0]
        raise UsageError(
            f"--with: {typed!r} is no requirement: {why}; give oslo.messaging==18.1.0, a checkout's"
            " folder, git+file:///src@branch or a wheel"
        ) from error
    pins = [each for each in requirement.specifier if each.operator in ("==", "===")]
    is_pinned = any(not each.version.endswith(".*") for each in pins)
    name = canonicalize_name(requirement.name)
    content = f"{name}{sorted(requirement.extras)}{requirement.specifier}{requirement.marker or ''}"
    kind: Kind = "release" if is_pinned else "range"
    return Asked(typed, kind, content, requirement=requirement)


def _place(typed: str, place: str, extras: str) -> Asked:
    path = Path(place).expanduser().absolute()
    try:
        if path.is_dir():
            return _folder(typed, path, extras)
        if path.is_file():
            return _file(typed, path, extras)
    except OSError as error:
        raise NotInstallable(f"--with: {in_words(error)}") from error
    raise NotInstallable(
        f"--with: {typed}: there is no such path; give the folder of a checkout, or a release as"
        " in oslo.messaging==18.1.0"
    )


def _folder(typed: str, path: Path, extras: str) -> Asked:
    if not any((path / name).exists() for name in _PROJECT):
        raise NotInstallable(
            f"--with: {typed}: there is no Python project in it: no pyproject.toml and no setup.py"
        )
    try:
        top = git.top(path)
        if top is None:
            content = digest(path, _all_files(path))
            return Asked(typed, "folder", content, path=path, extras=extras, source=str(path))
        described = git.describe(path)
        names = git.files(top)
        source = f"{described} dirty" if git.is_dirty(top) else described
        content = f"{digest(top, names)} {path.relative_to(top.resolve())} {described}"
    except git.GitError as error:
        raise NotInstallable(f"--with: {typed}: git: {error}") from error
    except ValueError:
        content = f"{digest(top or path, names)} {path} {described}"
    return Asked(typed, "folder", content, path=path, extras=extras, source=source)


def _file(typed: str, path: Path, extras: str) -> Asked:
    if path.suffix == ".whl":
        try:
            parse_wheel_filename(path.name)
        except InvalidWheelFilename as error:
            raise NotInstallable(f"--with: {typed} is no wheel: {error}") from error
        if not zipfile.is_zipfile(path):
            raise NotInstallable(f"--with: {typed} is no wheel: it is not a zip file")
    elif not path.name.endswith(_ARCHIVES):
        raise NotInstallable(
            f"--with: {typed} is neither a wheel nor an archive of sources (.whl, .tar.gz, .zip)"
        )
    content = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return Asked(typed, "file", content, path=path, extras=extras, source=path.name)


def _repository(typed: str, place: str, extras: str) -> Asked:
    url, _, fragment = place.partition("#")
    options = dict(part.partition("=")[::2] for part in fragment.split("&") if part)
    # The name of a branch may have slashes in it.
    found = re.fullmatch(r"([\w+.\-]+://[^/]*/[^@]*)@(.+)", url)
    url, name = (found[1], found[2]) if found else (url, "")
    commit = _commit(typed, url, name)
    subdirectory = options.get("subdirectory", "")
    return Asked(
        typed,
        "git",
        f"{url} {commit} {subdirectory}",
        url=url,
        commit=commit,
        subdirectory=subdirectory,
        extras=extras,
        source=f"{url}@{commit[:_SHOWN_COMMIT]}",
    )


def _commit(typed: str, url: str, name: str) -> str:
    """Which commit a branch, a tag or the beginning of a commit's id is now."""
    local = Path(unquote(urlsplit(url).path)) if url.startswith("file://") else None
    try:
        if local and not local.exists():
            raise NotInstallable(f"--with: {typed}: there is no {local}")
        if local:
            git.ask("rev-parse", "--git-dir", at=local)
            return git.ask("rev-parse", "--verify", f"{name or 'HEAD'}^{{commit}}", at=local)
        if _SHA.fullmatch(name):
            return name
        listed = git.ask("ls-remote", url, *(_spellings(name) if name else ["HEAD"]))
    except git.GitError as error:
        if "Needed a single revision" in str(error):
            raise NotInstallable(_no_branch(typed, name)) from error
        raise NotInstallable(f"--with: {typed}: {error}") from error
    commits = {ref: sha for sha, ref in (line.split("\t") for line in listed.splitlines())}
    for ref in (*_spellings(name), "HEAD"):
        if ref in commits and (name or ref == "HEAD"):
            return commits[ref]
    raise NotInstallable(_no_branch(typed, name))


def _spellings(name: str) -> list[str]:
    return [f"refs/tags/{name}^{{}}", f"refs/tags/{name}", f"refs/heads/{name}", name]


def _no_branch(typed: str, name: str) -> str:
    return f"--with: {typed}: there is no branch, tag or commit {name or 'HEAD'} in it"


_LEFT_OUT = {"__pycache__", ".git", ".tox", ".venv", "build"}


def _all_files(folder: Path) -> list[str]:
    """The paths of the files in a folder that git knows nothing of, sorted."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in _LEFT_OUT and "egg-info" not in each]
        found += [os.path.relpath(os.path.join(place, name), folder) for name in names]  # noqa: PTH118
    return sorted(found)


def paths_of(folder: Path) -> tuple[Path, list[str]]:
    """The top of what ``folder`` belongs to, and the paths in it of what is there now.

    Raises :class:`omrig.environments.git.GitError`.
    """
    top = git.top(folder)
    return (folder, _all_files(folder)) if top is None else (top, git.files(top))


def digest(top: Path, names: list[str]) -> str:
    """A digest of the files ``names`` below ``top``, their contents and modes as they are now."""
    made = hashlib.sha256()
    for name in names:
        path = top / name
        made.update(os.fsencode(name) + b"\0")
        if path.is_symlink():
            made.update(os.fsencode(path.readlink()))
        elif path.is_file():
            made.update(bytes([os.access(path, os.X_OK)]) + path.read_bytes())
        made.update(b"\0")
    return made.hexdigest()
