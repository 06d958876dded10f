"""The programs that make environments: uv where there is one, else venv and pip."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name

from omrig.environments import pip_settings
from omrig.environments.interpreters import Interpreter
from omrig.environments.refusals import NotInstallable, sentence
from omrig.model import interpreter

_BUILD = {"SKIP_GENERATE_AUTHORS": "1", "SKIP_WRITE_GIT_CHANGELOG": "1"}
"""pbr would read the whole history of a checkout for files that nobody asked for."""

_MOST_TRIES = 12


class Refused(Exception):
    """The installer cannot do it; the text is all that it said."""


class Installer(Protocol):
    """What makes an environment, step by step; each raises :class:`Refused`."""

    name: str

    def create(self, folder: Path, python: Interpreter) -> None:
        """Make an empty environment in ``folder``."""

    def build(self, source: Path, out: Path, folder: Path) -> Path:
        """The wheel that is built of a folder or an archive with the environment's Python."""

    def install(self, requirements: Sequence[str], wanted: Mapping[str, str], folder: Path) -> None:
        """Install, with everything else in the ``wanted`` versions where that can be done."""

    def newest(self, requirements: Sequence[str], python: Interpreter) -> dict[str, str]:
        """The versions of the packages named, by themselves, that would be installed now."""


def uv_program() -> str | None:
    """The path of uv: that of the package of this name, else the one on the PATH."""
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return str(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def choose(uv: str | None) -> Installer:
    """uv, the path of which is given, else venv and pip."""
    return Uv(uv) if uv else Pip()


class Uv:
    """uv: seconds for an environment."""

    name = "uv"

    def __init__(self, program: str) -> None:
        self._program = program

    def create(self, folder: Path, python: Interpreter) -> None:
        """See :class:`Installer`."""
        self._run("venv", "--relocatable", "--python", str(python.path), str(folder))

    def build(self, source: Path, out: Path, folder: Path) -> Path:
        """See :class:`Installer`."""
        own = ("--wheel", "--python", str(_python(folder)), "--out-dir", str(out))
        self._run("build", *own, str(source))
        return _wheel(out)

    def install(self, requirements: Sequence[str], wanted: Mapping[str, str], folder: Path) -> None:
        """See :class:`Installer`."""
        python = str(_python(folder))
        with tempfile.TemporaryDirectory(prefix="omrig-environment-") as place:
            own = [f"{name}=={version}" for name, version in wanted.items()]
            limits, pins = _write(Path(place, "own.txt"), own), str(Path(place, "pins.txt"))
            asked = _write(Path(place, "asked.txt"), requirements)
            command = ("pip", "compile", "--python", python, *_SHORT, asked, "-o", pins)
            try:
                self._run(*command, "--constraints", limits)
            except Refused:
                # What is in the output already is kept wherever it can be.
                _write(Path(pins), own)
                self._run(*command)
            self._run("pip", "install", "--no-deps", "--python", python, "-r", pins)

    def newest(self, requirements: Sequence[str], python: Interpreter) -> dict[str, str]:
        """See :class:`Installer`."""
        with tempfile.TemporaryDirectory(prefix="omrig-environment-") as place:
            asked = _write(Path(place, "asked.txt"), requirements)
            own = ("--no-deps", "--python", str(python.path), *_SHORT)
            found = self._run("pip", "compile", *own, asked)
        pins = (line.split(";")[0].strip().partition("==") for line in found.splitlines())
        return {canonicalize_name(name): version for name, equals, version in pins if equals}

    def _run(self, *arguments: str) -> str:
        # Not in the working directory: a project there may have settings for uv.
        environment = {**_environment(), **pip_settings.for_uv(), **_BUILD}
        return _run([self._program, *arguments], environment)


_SHORT = ("--no-header", "--no-annotate", "--quiet")


_QUIET = ("--quiet", "--disable-pip-version-check", "--no-input")


class Pip:
    """venv and pip: half a minute and more for an environment."""

    name = "pip"

    def create(self, folder: Path, python: Interpreter) -> None:
        """See :class:`Installer`."""
        try:
            _run([str(python.path), "-I", "-m", "venv", str(folder)], _environment())
        except Refused as error:
            if re.search(r"ensurepip|No module named", str(error)):
                raise NotInstallable(
                    "--with: there is neither uv nor Python's venv module: pip install"
                    " 'omrig[versions]', or install the package python3-venv"
                ) from error
            raise

    def build(self, source: Path, out: Path, folder: Path) -> Path:
        """See :class:`Installer`."""
        self._run(_python(folder), "wheel", "--no-deps", "--wheel-dir", str(out), str(source))
        return _wheel(out)

    def install(self, requirements: Sequence[str], wanted: Mapping[str, str], folder: Path) -> None:
        """See :class:`Installer`.

        pip says with which constraint it cannot go on: that one is left out, and it tries again.
        """
        kept: dict[str, str] = dict(wanted)
        for tries_left in reversed(range(_MOST_TRIES)):
            try:
                return self._install(requirements, kept, folder)
            except Refused as error:
                in_the_way = _constraints_in(str(error), kept)
                if not kept or not (in_the_way or "constraint" in str(error)):
                    raise
                several = in_the_way and tries_left > 1
                kept = {n: v for n, v in kept.items() if n not in in_the_way} if several else {}
        return None

    def _install(self, requirements: Sequence[str], kept: Mapping[str, str], folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="omrig-environment-") as place:
            pins = _write(Path(place, "pins.txt"), [f"{n}=={v}" for n, v in kept.items()])
            asked = _write(Path(place, "asked.txt"), requirements)
            self._run(_python(folder), "install", "-c", pins, "-r", asked)

    def newest(self, requirements: Sequence[str], python: Interpreter) -> dict[str, str]:
        """See :class:`Installer`."""
        with tempfile.TemporaryDirectory(prefix="omrig-environment-") as place:
            asked, report = _write(Path(place, "asked.txt"), requirements), Path(place, "report")
            own = ("--dry-run", "--ignore-installed", "--no-deps", "--report", str(report))
            command = [sys.executable, "-P", "-m", "pip", "--python", str(python.path), "install"]
            _run([*command, *_QUIET, *own, "-r", asked], _environment())
            found = json.loads(report.read_text())["install"]
        named = [each["metadata"] for each in found]
        return {canonicalize_name(each["name"]): each["version"] for each in named}

    def _run(self, python: Path, *arguments: str) -> str:
        own = [str(python), "-P", "-m", "pip", arguments[0], *_QUIET, *arguments[1:]]
        return _run(own, {**_environment(), **_BUILD})


def _constraints_in(said: str, kept: Mapping[str, str]) -> set[str]:
    """The packages whose constraints pip names as in its way."""
    named = re.findall(r"\(constraint\) ([\w.\-]+)", said)
    named += re.findall(r"Could not find a version that satisfies the requirement ([\w.\-]+)", said)
    named += re.findall(r"No matching distribution found for ([\w.\-]+)", said)
    return {str(canonicalize_name(name)) for name in named} & kept.keys()


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _wheel(out: Path) -> Path:
    return next(iter(out.glob("*.whl")))


def _write(path: Path, lines: Sequence[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def _environment() -> dict[str, str]:
    """The environment of an installer: the user's, without what would have it look elsewhere."""
    without = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
    own = {n: v for n, v in interpreter.without_options().items() if n not in without}
    return {
        **own,
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """What the program prints; raises :class:`Refused` where it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            env=environment,
            cwd=tempfile.gettempdir(),
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise NotInstallable(
            f"--with: {command[0]} cannot be started: {sentence(error.strerror or str(error))}"
        ) from error
    if done.returncode:
        # pip tells of some failures on standard output.
        said = done.stderr.decode(errors="replace") or done.stdout.decode(errors="replace")
        raise Refused(said)
    return done.stdout.decode(errors="replace")
