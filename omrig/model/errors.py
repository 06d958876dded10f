"""The ways in which omrig fails for a reason that a person can act on."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_TOO_FULL = "free some space there or name another place"
_NOT_OURS = "change its permissions or name another place"
_WHAT_TO_DO = {
    errno.ENOSPC: _TOO_FULL,
    errno.EDQUOT: _TOO_FULL,
    errno.EFBIG: "raise the limit (ulimit -f) or name another place",
    errno.EACCES: _NOT_OURS,
    errno.EPERM: _NOT_OURS,
    errno.EROFS: "name a place that can be written",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ENOENT: "name a path that exists",
    errno.ENOTDIR: "a part of the path is no folder; name another one",
    errno.EISDIR: "name a file, not a folder",
    errno.ELOOP: "its symbolic links lead nowhere; name another one",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the whole system has too many files open; try again",
    errno.ENOMEM: "free some memory",
    errno.EAGAIN: "raise the limit of processes and threads (ulimit -u)",
    errno.EIO: "look at the disk and at the kernel's log",
    errno.ESTALE: "mount the file system anew",
}


class UsageError(Exception):
    """What was asked cannot be done: exit status 2.

    The text is one line for a person: the option, what was wrong with it, what to do.
    """


class RunError(Exception):
    """The run itself failed: exit status 1. The text is one line for a person."""


class Losses:
    """What of a run in ``folder`` could not be written; the rest goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.paths: dict[str, list[str]] = {}
        """By what was refused and what to do: the files, relative to the folder."""

    def __bool__(self) -> bool:
        return bool(self.paths)

    def __str__(self) -> str:
        return "; ".join(f"{', '.join(paths)}: {why}" for why, paths in self.paths.items())

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """A block of which the failure to write is noted."""
        try:
            yield
        except OSError as error:
            path = _path(error)
            with contextlib.suppress(ValueError):
                path = str(Path(path).relative_to(self._folder))
            self.add({_why(error): [path or "a file"]})

    def add(self, paths: Mapping[str, Sequence[str]]) -> None:
        """Note what another process noted in its ``paths``."""
        for why, more in paths.items():
            known = self.paths.setdefault(why, [])
            known += [path for path in more if path not in known]


def in_words(error: OSError) -> str:
    """What the operating system refused, of which path, and what to do; one line for a person."""
    path = _path(error)
    return f"{path}: {_why(error)}" if path else _why(error)


def _path(error: OSError) -> str:
    path = error.filename2 or error.filename
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""


def _why(error: OSError) -> str:
    todo = _WHAT_TO_DO.get(error.errno or 0)
    return f"{reason(error)}; {todo}" if todo else reason(error)


def reason(error: OSError) -> str:
    """What the operating system says, without number and path."""
    return error.strerror or str(error) or type(error).__name__


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """What the operating system refuses in the block is the fault of ``option``.

    Raises :class:`UsageError` for it.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{option}: {in_words(error)}") from error
