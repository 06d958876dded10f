"""An environment in which the libraries' own tests can run, and those tests; made once, and kept.

It holds omrig as it is in this checkout and the libraries in the versions installed here.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

NEEDED = (
    *("oslotest", "testscenarios", "testtools", "fixtures", "pifpaf", "confluent-kafka", "webob"),
    *("pytest", "pytest-timeout", "hypothesis", "pytest-freezer", "pytz"),
)
"""What the tests import beyond what the libraries do."""

SOURCES = ("kombu", "amqp")
"""Packages whose tests come with their source distributions only, in a folder ``t``."""

_COMPLETE = "complete"


@dataclasses.dataclass(frozen=True)
class Home:
    """The environment in ``folder``."""

    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "venv/bin/python")

    def tests(self, package: str) -> Path:
        """The folder that holds the tests of a package, in ``t``."""
        return self.folder / "tests" / package

    def modules(self, *, functional: bool) -> list[str]:
        """The test modules of oslo.messaging, by their names under its ``tests``."""
        (tests,) = self.folder.glob("venv/lib/python*/site-packages/oslo_messaging/tests")
        names = [
            ".".join(path.relative_to(tests).with_suffix("").parts)
            for path in tests.rglob("test_*.py")
        ]
        return sorted(name for name in names if name.startswith("functional.") == functional)


def home() -> Home:
    """The environment for what is installed here; made now if it is not there yet."""
    installed = {each.metadata["Name"].lower(): each.version for each in metadata.distributions()}
    pins = "".join(f"{name}=={installed[name]}\n" for name in sorted(installed) if name != "omrig")
    made_of = "\n".join([str(ROOT), sys.version, pins, *NEEDED])
    key = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = Home(cache / "omrig" / f"own-tests-{key}")
    if not (place.folder / _COMPLETE).exists():
        print(f"making {place.folder}", file=sys.stderr)
        shutil.rmtree(place.folder, ignore_errors=True)
        _make(place, pins)
        for package in SOURCES:
            _fetch_tests(place, package, installed[package])
        (place.folder / _COMPLETE).touch()
    return place


def _make(place: Home, pins: str) -> None:
    place.folder.mkdir(parents=True)
    constraints = place.folder / "constraints.txt"
    constraints.write_text(pins)
    subprocess.run([sys.executable, "-m", "venv", place.folder / "venv"], check=True)
    _pip(place, "install", "-c", str(constraints), *NEEDED, "-e", str(ROOT))


def _fetch_tests(place: Home, package: str, version: str) -> None:
    """Take the tests, and nothing else: the package is to be the installed one."""
    where = place.tests(package)
    source = ["--no-deps", "--no-binary", ":all:", "-d", str(where)]
    _pip(place, "download", *source, f"{package}=={version}")
    (archive,) = where.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        for member in files.getmembers():
            _, _, member.name = member.name.partition("/")
            if member.name.startswith("t/") or member.name == "setup.cfg":
                files.extract(member, where, filter="data")
    archive.unlink()


def _pip(place: Home, command: str, *arguments: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([place.python, "-m", "pip", command, *quiet, *arguments], check=True)
