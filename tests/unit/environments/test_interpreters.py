"""Which Python ``--python`` names."""

import json
import os
import sys
from pathlib import Path

import pytest

from omrig.environments import interpreters
from omrig.environments.refusals import NotInstallable

OWN = ".".join(map(str, sys.version_info[:3]))
MINOR = ".".join(map(str, sys.version_info[:2]))


def fake(path: Path, version: str) -> Path:
    """A program that answers like a Python of another version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [int(part) for part in version.split(".")]
    answer = json.dumps([parts, version, "tag", "linux", ".so", "/include", str(path)])
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))


@pytest.mark.parametrize("asked", ["", "3", MINOR, OWN])
def test_the_own_one_comes_first(asked):
    assert interpreters.find(asked, None).path == Path(sys.executable)


def test_a_path_is_taken_as_it_is():
    found = interpreters.find(sys.executable, None)
    assert found.number == OWN
    assert found.identity == interpreters.own().identity


def test_one_is_found_on_the_path_and_among_those_of_pyenv(tmp_path):
    on_path = fake(tmp_path / "bin" / "python3.97", "3.97.2")
    of_pyenv = fake(tmp_path / "pyenv" / "versions" / "3.98.1" / "bin" / "python", "3.98.1")
    assert interpreters.find("3.97", None).path == on_path
    assert interpreters.find("3.97.2", None).number == "3.97.2"
    assert interpreters.find("3.98", None).path == of_pyenv
    assert interpreters.find("python3.97", None).path == on_path


def test_one_that_uv_has_is_found_and_none_is_downloaded(tmp_path):
    of_uv = fake(tmp_path / "uv-python", "3.96.0")
    uv = tmp_path / "uv"
    uv.write_text(
        '#!/bin/sh\ntest "$UV_PYTHON_DOWNLOADS" = never || exit 9\n'
        f'case "$*" in *--no-python-downloads*3.96) echo {of_uv} ;; *) exit 2 ;; esac\n'
    )
    uv.chmod(0o755)
    assert interpreters.find("3.96", str(uv)).path == of_uv
    with pytest.raises(NotInstallable, match=r"there is no Python 3\.95 here"):
        interpreters.find("3.95", str(uv))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("3.95", f"there is no Python 3.95 here, .* there is {OWN}"),
        ("3.10", "needs Python 3.11 or later, not 3.10"),
        ("2", "needs Python 3.11 or later, not 2"),
        ("banana", "there is no banana; give a version"),
        ("/nosuch/python", "there is no /nosuch/python"),
        ("/etc/passwd", "is no interpreter: it cannot be executed"),
        ("/bin", "is no interpreter: it cannot be executed"),
        ("/bin/true", "is no interpreter of Python: it does not answer"),
    ],
)
def test_what_there_is_not_is_refused(asked, why):
    with pytest.raises(NotInstallable, match=f"^--python: .*{why}"):
        interpreters.find(asked, None)


def test_a_path_of_an_old_one_is_refused(tmp_path):
    old = fake(tmp_path / "old", "3.9.1")
    with pytest.raises(NotInstallable, match=r"is Python 3\.9\.1, and omrig needs 3\.11 or later"):
        interpreters.find(str(old), None)


def test_a_program_that_hangs_is_no_interpreter(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreters, "_LONGEST_ANSWER_S", 0.2)
    path = tmp_path / "hangs"
    path.write_text("#!/bin/sh\nexec /bin/sleep 5\n")
    path.chmod(0o755)
    assert os.access(path, os.X_OK)
    assert interpreters.look(path) is None
