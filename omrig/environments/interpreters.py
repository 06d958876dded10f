"""Which Python an environment is made with: one that is installed, by version or by path."""

import dataclasses
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from omrig.environments.refusals import NotInstallable
from omrig.model import interpreter

OLDEST = (3, 11)
"""The oldest Python that omrig runs with."""

_ASK = """
import json, sys, sysconfig
print(json.dumps([list(sys.version_info[:3]), sys.version, sys.implementation.cache_tag,
    sysconfig.get_platform(), sysconfig.get_config_var("EXT_SUFFIX"),
    sysconfig.get_path("include"), sys._base_executable]))
"""
_LONGEST_ANSWER_S = 10.0
_VERSION = re.compile(r"(?:python ?)?(\d+)(?:\.(\d+))?(?:\.(\d+))?")


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """A Python that is installed: its ``path``, ``version`` and what a C module is built for.

    ``base`` is the interpreter behind it where it is a virtual environment's.
    """

    path: Path
    version: tuple[int, ...]
    build: str
    tag: str
    platform: str
    suffix: str
    include: Path
    base: str

    @property
    def number(self) -> str:
        """Its version as people write it: ``3.12.1``."""
        return ".".join(map(str, self.version))

    @property
    def identity(self) -> list[str]:
        """What makes an environment made with another one another environment."""
        return [self.build, self.tag, self.platform, self.suffix, os.path.realpath(self.base)]


def own() -> Interpreter:
    """The Python that this process runs with."""
    return Interpreter(
        Path(sys.executable),
        tuple(sys.version_info[:3]),
        sys.version,
        sys.implementation.cache_tag,
        sysconfig.get_platform(),
        sysconfig.get_config_var("EXT_SUFFIX"),
        Path(sysconfig.get_path("include")),
        getattr(sys, "_base_executable", sys.executable),
    )


def find(asked: str, uv: str | None) -> Interpreter:
    """The Python that ``--python`` names: ``3``, ``3.12``, ``3.12.1``, or a path of one.

    It is looked for as the one that runs this, on the PATH, among pyenv's, and among those of
    ``uv``, the path of that program where there is one. Nothing is downloaded. Raises
    :class:`NotInstallable`.
    """
    if not asked:
        return own()
    version = _VERSION.fullmatch(asked.strip())
    found = _of_version(version, asked, uv) if version else _at(asked)
    if found.version[:2] < OLDEST:
        raise NotInstallable(
            f"--python: {asked} is Python {found.number}, and omrig needs"
            f" {'.'.join(map(str, OLDEST))} or later"
        )
    return found


def _at(asked: str) -> Interpreter:
    """The interpreter with this path, or with this name on the PATH."""
    path = shutil.which(asked) if "/" not in asked else str(Path(asked).expanduser().absolute())
    if path is None or not Path(path).exists():
        raise NotInstallable(
            f"--python: there is no {asked}; give a version, such as 3.12, or the path of an"
            " interpreter"
        )
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise NotInstallable(f"--python: {asked} is no interpreter: it cannot be executed")
    found = look(Path(path))
    if found is None:
        raise NotInstallable(f"--python: {asked} is no interpreter of Python: it does not answer")
    return found


def _of_version(version: "re.Match[str]", asked: str, uv: str | None) -> Interpreter:
    wanted = tuple(int(part) for part in version.groups() if part is not None)
    if (len(wanted) > 1 and wanted[:2] < OLDEST) or wanted[0] < OLDEST[0]:
        raise NotInstallable(
            f"--python: omrig needs Python {'.'.join(map(str, OLDEST))} or later, not {asked}"
        )
    others: set[str] = set()
    for path in _candidates(wanted, uv):
        found = look(path)
        if found and found.version[: len(wanted)] == wanted and found.version[:2] >= OLDEST:
            return found
        if found and found.version[:2] >= OLDEST:
            others.add(found.number)
    known = sorted(others, key=lambda each: [int(part) for part in each.split(".")])
    raise NotInstallable(
        f"--python: there is no Python {asked} here, on the PATH, among pyenv's or uv's;"
        f" there is {', '.join(known) or 'none'}. Install it, or give the path of an interpreter"
    )


def _candidates(wanted: tuple[int, ...], uv: str | None) -> Iterator[Path]:
    """Interpreters that may have the version, the nearest first."""
    yield Path(sys.executable)
    name = ".".join(map(str, wanted[:2]))
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    for folder in folders:
        yield from (folder / each for each in (f"python{name}", "python3", "python"))
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(root.glob("versions/*/bin/python"), key=_by_number, reverse=True)
    yield from sorted(Path("/usr/local/bin").glob("python3.*"), reverse=True)
    if uv:
        asked = ".".join(map(str, wanted))
        done = subprocess.run(
            [uv, "python", "find", "--no-python-downloads", "--managed-python", asked],
            capture_output=True,
            text=True,
            env={**interpreter.without_options(), "UV_PYTHON_DOWNLOADS": "never"},
            cwd="/",
        )
        if done.returncode == 0:
            yield Path(done.stdout.strip())


def _by_number(path: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", path.parts[-3])]


@functools.cache
def look(path: Path) -> Interpreter | None:
    """The interpreter at ``path``; None where that is none."""
    if not (path.is_file() and os.access(path, os.X_OK)):
        return None
    clean = {n: v for n, v in interpreter.without_options().items() if n != "PYTHONPATH"}
    try:
        done = subprocess.run(
            [str(path), "-I", "-S", "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=_LONGEST_ANSWER_S,
            env=clean,
            stdin=subprocess.DEVNULL,
        )
        version, build, tag, platform, suffix, include, base = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Interpreter(path, tuple(version), build, tag, platform, suffix, Path(include), base)
