"""Environments with services of the package index, made once and kept in the user's cache."""

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent

UNWANTED = "numpy"
"""What no service needs, though websockify asks for it: omrig is to do without it there."""

MADE = "made.json"
"""Is there once a folder of the cache is whole, and says how many seconds that took."""


_asked: dict[str, "Environment"] = {}


@dataclasses.dataclass(frozen=True)
class Environment:
    """The virtual environment in ``folder`` that holds one service and what it needs."""

    service: str
    folder: Path

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.folder / "bin" / name)

    def seconds(self) -> float:
        """How long it took to make it."""
        return float(json.loads((self.folder / MADE).read_text())["seconds"])

    def holds(self, module: str) -> bool:
        """Whether ``module`` can be imported in it."""
        find = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({module!r}))"
        return not subprocess.run([self.program("python"), "-c", find], cwd="/").returncode


def environment(service: str) -> Environment:
    """The environment of a service, by ``SERVICE.constraints.txt``; made now if it is not there.

    Its name holds a digest of the constraints and of the interpreter, so that it is made anew where
    one of them changes.
    """
    constraints = HERE / f"{service}.constraints.txt"
    key = _digest(sys.version, constraints.read_text(), UNWANTED)
    folder = _cache() / f"service-{service}-{key}"

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-c", str(constraints), service], check=True)
        subprocess.run([*pip, "uninstall", "--yes", UNWANTED], check=True)

    _kept(folder, make)
    return _asked.setdefault(service, Environment(service, folder))


def told() -> list[str]:
    """A line for each environment that was asked for: where it is, and what it took to make."""
    return [
        f"{each.service} from the package index, made in {each.seconds():.0f} s, is kept in"
        f" {each.folder}"
        for each in _asked.values()
    ]


def state(of: Environment, make: Callable[[Path], None]) -> Path:
    """The folder with a service's empty database, for a copy: ``make(folder)`` fills it once.

    It depends on the service's ``.conf`` besides the environment. Nothing in it knows its place.
    """
    folder = of.folder / f"state-{_digest((HERE / f'{of.service}.conf').read_text())}"
    _kept(folder, make)
    return folder


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omrig"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _digest(*made_of: str) -> str:
    return hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:12]


def _kept(folder: Path, make: Callable[[Path], object]) -> None:
    with _locked(folder):
        if (folder / MADE).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        begin = time.monotonic()
        make(folder)
        seconds = round(time.monotonic() - begin, 1)
        (folder / MADE).write_text(json.dumps({"seconds": seconds}))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other tests from making the same."""
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
