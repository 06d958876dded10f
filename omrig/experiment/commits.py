"""Commits of a checkout: those between two, each as what pip installs. git is only asked.

Nothing in the checkout is touched: neither its files nor its index nor HEAD.
"""

import dataclasses
import os
import re
import subprocess
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from omrig.model import redaction
from omrig.model.errors import UsageError

_SHORT = 9
"""Characters of a commit's hash by which people know it."""

_URL = re.compile(r"(?:git\+)?(?:[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:)")


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit: its whole hash, the first line of its message, and when its author made it."""

    sha: str
    subject: str
    authored_at: str

    @property
    def short(self) -> str:
        """The beginning of its hash."""
        return self.sha[:_SHORT]


def opened(source: str, copy: Path) -> Path:
    """The repository of ``source``: of a path that itself, of a URL a bare ``copy``.

    A copy that is there is used as it is. Raises ``UsageError`` where it is no repository.
    """
    if _URL.match(source):
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            url = source.removeprefix("git+")
            _git(["clone", "--quiet", "--bare", "--", url, str(copy)], "--source")
        return copy.absolute()
    path = Path(source).expanduser().absolute()
    if not path.is_dir():
        raise UsageError(f"--source: {source} is no folder; give a checkout of git, or a git URL")
    where = _git(["-C", str(path), "rev-parse", "--path-format=absolute", "--git-dir"], "--source")
    top = ["-C", str(path), "rev-parse", "--show-toplevel"]
    bare = _git(["-C", str(path), "rev-parse", "--is-bare-repository"], "--source") == "true"
    return Path(where) if bare else Path(_git(top, "--source"))


def commit(repository: Path, revision: str, option: str) -> Commit:
    """The commit that a branch, tag, hash or ``HEAD~3`` names; ``option`` is named in errors.

    Raises ``UsageError`` where there is none.
    """
    if not revision or revision.startswith("-"):
        raise UsageError(f"{option}: {revision!r} is no revision; give a branch, a tag or a commit")
    sha = _asked(repository, ["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"])
    if not sha:
        # A branch that is only at the place that was cloned.
        remote = f"refs/remotes/origin/{revision}^{{commit}}"
        sha = _asked(repository, ["rev-parse", "--verify", "--quiet", remote])
    if not sha:
        raise UsageError(
            f"{option}: {repository} knows no revision {revision!r}; give a branch, a tag or a"
            " commit of it"
        )
    return _described(repository, ["--no-walk", sha])[0]


def between(repository: Path, good: Commit, bad: Commit) -> list[Commit]:
    """``good``, the commits from it to ``bad`` by first parents, and ``bad``, in this order.

    The newer may be either. Raises ``UsageError`` where neither comes from the other.
    """
    if comes_from(repository, bad, good):
        return _ascending(repository, good, bad)
    if comes_from(repository, good, bad):
        return _ascending(repository, bad, good)[::-1]
    base = _asked(repository, ["merge-base", good.sha, bad.sha])
    advice = f"; bisect from where they part: --good {base[:_SHORT]}" if base else ""
    raise UsageError(f"--good: {good.short} is no ancestor of {bad.short}, nor the reverse{advice}")


def comes_from(repository: Path, new: Commit, old: Commit) -> bool:
    """Whether the ``old`` one is among the ancestors of the ``new`` one."""
    command = ["git", "-C", str(repository), "merge-base", "--is-ancestor", old.sha, new.sha]
    return _run(command).returncode == 0


def requirement(repository: Path, sha: str) -> str:
    """What pip installs that commit by."""
    return f"git+file://{urllib.parse.quote(str(repository))}@{sha}"


def _ascending(repository: Path, old: Commit, new: Commit) -> list[Commit]:
    asked = ["--first-parent", "--reverse", f"{old.sha}..{new.sha}"]
    return [old, *_described(repository, asked)]


def _described(repository: Path, asked: Sequence[str]) -> list[Commit]:
    form = "--format=%H%x00%aI%x00%s"
    text = _git(["-C", str(repository), "log", form, *asked, "--"], "--source")
    parts = [line.split("\0", 2) for line in text.splitlines()]
    return [Commit(sha, subject, authored_at) for sha, authored_at, subject in parts]


def _asked(repository: Path, arguments: Sequence[str]) -> str:
    """What git answers; nothing where it knows none."""
    ended = _run(["git", "-C", str(repository), *arguments])
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _git(arguments: Sequence[str], option: str) -> str:
    ended = _run(["git", *arguments])
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"git ended with {ended.returncode}"]
        fatal = next((line for line in lines if line.startswith("fatal:")), lines[-1])
        raise UsageError(f"{option}: git: {redaction.redact(fatal.removeprefix('fatal: '))}")
    return ended.stdout.strip()


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    # Nobody answers a question, and what another git says of itself is not for this one.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    environment |= kept | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("--source: there is no git on this machine; install it") from error


_KEPT = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_CONFIG_GLOBAL", "GIT_ASKPASS")
"""How git gets in is this machine's; which repository it is about is not."""
