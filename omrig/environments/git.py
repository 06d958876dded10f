"""What git knows of a checkout or of a repository, asked without changing either."""

import os
import subprocess
from pathlib import Path

from omrig.environments.refusals import sentence
from omrig.model import interpreter


class GitError(Exception):
    """git refused; the text is what it said, in one sentence."""


def ask(*arguments: str, at: Path | None = None) -> str:
    """What ``git`` prints; raises :class:`GitError` where it fails or is not installed."""
    return ask_bytes(*arguments, at=at).decode(errors="replace").strip()


def ask_bytes(*arguments: str, at: Path | None = None) -> bytes:
    """Like :func:`ask`, with what it prints as it is."""
    folder = ["-C", str(at)] if at else []
    try:
        done = subprocess.run(
            ["git", *folder, *arguments],
            capture_output=True,
            env=_environment(),
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    if done.returncode:
        raise GitError(_first_error(done.stderr.decode(errors="replace")))
    return done.stdout


def _environment() -> dict[str, str]:
    own = {n: v for n, v in interpreter.without_options().items() if not n.startswith("GIT_DIR")}
    # Nobody is asked for a password, and the index of a checkout is not written anew.
    return {**own, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _first_error(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("fatal: ")]
    return sentence(lines[0] if lines else said)


def top(folder: Path) -> Path | None:
    """The top of the checkout that ``folder`` is in; None where it is in none.

    Raises :class:`GitError` for a checkout that git will not look at.
    """
    try:
        return Path(ask("rev-parse", "--show-toplevel", at=folder))
    except GitError as error:
        if "not a git repository" in str(error) or "not installed" in str(error):
            return None
        raise


def files(top: Path) -> list[str]:
    """The paths of what a checkout holds now: tracked, and new but not ignored; sorted."""
    listed = ask_bytes("ls-files", "-z", "--cached", "--others", "--exclude-standard", at=top)
    return sorted({os.fsdecode(each) for each in listed.split(b"\0") if each})


def describe(folder: Path) -> str:
    """The commit by its nearest tag: ``18.3.1-4-gabc1234``."""
    return ask("describe", "--tags", "--always", at=folder)


def is_dirty(folder: Path) -> bool:
    """Whether anything differs from the commit."""
    return bool(ask("status", "--porcelain", at=folder))
