"""Copies of what is to be built: no build writes into a folder of the user's."""

import os
import shutil
from pathlib import Path

from omrig.environments import asked, git
from omrig.environments.asked import Asked


def copied(wanted: Asked, to: Path) -> Path:
    """What to build for ``wanted``: a copy in ``to`` of a folder, the commit of a repository.

    A checkout's copy is one, too, with the commits and tags that its version is made from. An
    archive is built as it is. Raises :class:`omrig.environments.refusals.NotInstallable`.
    """
    try:
        if wanted.kind == "git":
            git.ask("clone", "--quiet", "--no-checkout", wanted.url, str(to))
            git.ask("checkout", "--quiet", "--detach", wanted.commit, at=to)
            source = to / wanted.subdirectory
            if not source.is_dir():
                raise wanted.refused(f"there is no folder {wanted.subdirectory} in it")
            return source
        if wanted.path and wanted.path.is_dir():
            return _copied_folder(wanted.path, to)
    except git.GitError as error:
        raise wanted.refused(f"git: {error}") from error
    assert wanted.path
    return wanted.path


def _copied_folder(folder: Path, to: Path) -> Path:
    top, names = asked.paths_of(folder)
    is_checkout = git.top(folder) is not None
    if is_checkout:
        git.ask("clone", "--quiet", "--shared", "--no-checkout", str(top), str(to))
    for name in names:
        path, target = top / name, to / name
        if not (path.is_symlink() or path.is_file()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    if is_checkout:
        # Files that the index knows are part of the project for pbr and setuptools-scm.
        git.ask("add", "--all", at=to)
        return to / os.path.relpath(folder.resolve(), top.resolve())
    return to
