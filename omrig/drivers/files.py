"""Which files of a service's configuration there are, and what stands in them.

oslo.config looks for them; here it is found out beforehand what it will find, what it would pass
over in silence, and what this user may not read.
"""

import os
from collections.abc import Callable
from pathlib import Path

from omrig.model import redaction
from omrig.model.errors import UsageError
from omrig.model.plan import Plan


def check_named(plan: Plan) -> None:
    """Raise ``UsageError`` for a file or folder of the command line that cannot be read."""
    for option, paths, is_right, kind in (
        ("--config-file", plan.transport.config_files, Path.is_file, "file"),
        ("--config-dir", plan.transport.config_dirs, Path.is_dir, "folder"),
    ):
        for path in paths:
            _check_path(option, path, is_right, kind)


def _check_path(option: str, path: str, is_right: Callable[[Path], bool], kind: str) -> None:
    try:
        # Python takes some errors for "no such path": they are told here.
        Path(path).stat()
        if is_right(Path(path)):
            _try_reading(path)
            return
        problem = f"is no {kind}"
    except FileNotFoundError:
        problem = f"no such {kind}"
    except PermissionError:
        problem = "may not be read"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "is no path"
    raise UsageError(
        f"{option}: {redaction.shown_argument(path)}: {problem}; give the path of a {kind} that"
        " may be read"
    )


def _try_reading(path: str) -> None:
    """Raise PermissionError for what may not be read: oslo.config passes over such a folder."""
    whole = Path(path)
    files = [each for each in whole.iterdir() if each.suffix == ".conf"] if whole.is_dir() else []
    for each in files if whole.is_dir() else [whole]:
        each.open("rb").close()


def find(project: str) -> tuple[list[str], list[str]]:
    """The readable files and folders of a project in the places where oslo.config looks."""
    from oslo_config import cfg

    # The same name twice, or oslo.config would look for files of the program's name as well.
    named = {"project": project, "prog": project}
    files = dict.fromkeys(cfg.find_config_files(**named))
    dirs = dict.fromkeys(cfg.find_config_dirs(**named))
    return [each for each in files if _is_readable(each)], [
        each for each in dirs if _is_readable(each)
    ]


def places(project: str) -> list[str]:
    """The folders in which oslo.config looks for a project's files, the first one wins."""
    home = Path("~").expanduser()
    found = [str(home / f".{project}"), str(home), f"/etc/{project}", "/etc"]
    for variable in ("SNAP_COMMON", "SNAP"):
        if root := os.environ.get(variable):
            found.append(str(Path(root) / "etc" / project))
    return found


def unreadable(project: str) -> list[str]:
    """What may hold the project's configuration and cannot be looked at.

    oslo.config takes the first place that has the file, and the first that has the folder: what
    comes after one that can be read counts for nothing.
    """
    found = []
    for name in (f"{project}.conf", f"{project}.conf.d"):
        for place in places(project):
            path = Path(place) / name
            try:
                path.stat()
                _try_reading(str(path))
            except PermissionError as error:
                found.append(str(error.filename or path))
            except OSError:
                continue
            else:
                break
    return list(dict.fromkeys(found))


def _is_readable(path: str) -> bool:
    try:
        _try_reading(path)
    except PermissionError:
        return False
    return True


def sections(path: str) -> dict[str, set[str]]:
    """The names of the options in each section of a file that has been read before."""
    from oslo_config import cfg

    parsed: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(path, parsed).parse()
    return {section: set(values) for section, values in parsed.items()}
