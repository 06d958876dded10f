"""What runs first in every Python of a service: next to nothing, and what it hides."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omrig.cli import environment

BOOT = Path(environment.settings("", "")[environment.BOOT])

PYTHONS = sorted(
    {
        Path(sys.executable),
        *Path("/usr/bin").glob("python3.1[1-9]"),
        *Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python"),
    }
)
"""Every interpreter that is here and for which omrig is."""

DRIVER = "oslo_messaging/_drivers/impl_rabbit.py"
"""A driver of the tests' own: that of the service need not be installed."""


@pytest.fixture
def place(tmp_path):
    """A folder of a service's own modules."""
    driver = tmp_path / "modules" / DRIVER
    driver.parent.mkdir(parents=True)
    for folder in (driver.parent, driver.parent.parent):
        (folder / "__init__.py").touch()
    driver.write_text("HERE = __file__\nLOADER = type(__loader__).__name__\n")
    return tmp_path / "modules"


def run(place, code, *options, python=sys.executable, root="/nowhere", path=()):
    """What a Python of a service says, on both streams; it ends with 0."""
    values = environment.settings(str(place), "") | {environment.ROOT: str(root)}
    before = {"PYTHONPATH": os.pathsep.join(map(str, (*path, place)))}
    ended = subprocess.run(
        [python, *options, "-c", code],
        env=environment.merged(before, values),
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout, ended.stderr


def own_modules(place, python, *options):
    code = "import sys; print(*sys.modules, sep='\\n')"
    with_it, err = run(place, code, *options, python=python)
    plain = subprocess.run(
        [python, *options, "-c", code],
        env={"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not err
    return set(with_it.splitlines()) - set(plain.stdout.splitlines())


@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_before_the_driver_nothing_is_imported(place, python) -> None:
    assert own_modules(place, python) <= {"sitecustomize"}


@pytest.mark.parametrize("option", ["-E", "-I", "-S"])
def test_a_python_that_is_not_to_look_at_its_environment_does_nothing(place, option) -> None:
    assert own_modules(place, sys.executable, option) == set()


@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_the_hidden_one_is_run(place, python) -> None:
    (place / "sitecustomize.py").write_text("import sys\nsys.hidden = __name__, __file__\n")
    out, err = run(
        place, "import sys, sitecustomize as s; print(*sys.hidden, s.__file__)", python=python
    )
    hidden = str(place / "sitecustomize.py")
    assert (out.split(), err) == (["sitecustomize", hidden, hidden], "")


def test_the_hidden_one_fails_as_it_would(place) -> None:
    (place / "sitecustomize.py").write_text("raise ValueError('its own')\n")
    out, err = run(place, "print('goes on')")
    assert out == "goes on\n"
    assert err.startswith("Error in sitecustomize") and err.endswith("ValueError: its own\n")


def test_one_that_is_before_it_finds_it(place) -> None:
    # As tracers chain theirs.
    first = place / "first"
    first.mkdir()
    (first / "sitecustomize.py").write_text(
        "import sys\nsys.path.remove(__file__.rpartition('/')[0])\n"
        "mine = sys.modules.pop('sitecustomize')\nimport sitecustomize\n"
    )
    code = "import sys; print([type(each).__name__ for each in sys.meta_path])"
    values = environment.settings(str(place), "")
    path = os.pathsep.join(map(str, (first, values["PYTHONPATH"])))
    out = subprocess.run(
        [sys.executable, "-c", code], env={**values, "PYTHONPATH": path}, capture_output=True
    ).stdout
    assert b"OmrigFinder" in out


def test_what_cannot_be_attached_is_one_line(place) -> None:
    code = f"import {DRIVER[:-3].replace('/', '.')} as d, sys; print(d.HERE, d.LOADER)"
    out, err = run(place, code, root=place)
    assert out.split() == [str(place / DRIVER), "SourceFileLoader"]
    assert err.startswith("omrig: process ") and err.count("\n") == 1
    assert "cannot be recorded: FileNotFoundError" in err or "ModuleNotFoundError" in err


def test_a_process_of_omrigs_own_measures_itself(place) -> None:
    (place / "omrig").mkdir()
    (place / "omrig" / "__init__.py").touch()
    code = f"import omrig, {DRIVER[:-3].replace('/', '.')}"
    out, err = run(place, code, root=place)
    assert not out and err.count("\n") == 1
    assert "one of omrig's own" in err


def test_afterwards_it_finds_nothing_any_more(place) -> None:
    code = (
        f"import {DRIVER[:-3].replace('/', '.')}, sys;"
        "print([type(each).__name__ for each in sys.meta_path])"
    )
    out, _ = run(place, code, root=place)
    assert "OmrigFinder" not in out


def test_the_agent_is_given_the_real_functions_of_threads(place) -> None:
    attached = place / "omrig" / "measured" / "attached"
    attached.mkdir(parents=True)
    for folder in (attached, attached.parent, attached.parent.parent):
        (folder / "__init__.py").touch()
    (attached / "agent.py").write_text(
        "def begin(*told):\n import json; print(json.dumps([str(each) for each in told]))\n"
    )
    code = (
        "import _thread as t; lock = t.allocate_lock;"
        "t.start_new_thread = t.allocate_lock = lambda *given: lock();"
        f"import {DRIVER[:-3].replace('/', '.')}"
    )
    out, err = run(place, code, root=place)
    told = json.loads(out)
    assert told[0] == str(place) and not err
    assert "built-in function start_new_thread" in told[1]
    assert "built-in function allocate_lock" in told[2]


@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_by_a_pth_file_even_where_the_environment_is_not_looked_at(tmp_path, python) -> None:
    values = environment.settings(str(tmp_path), "")
    text = environment.FORMS["pth"](values)
    site = tmp_path / "site"
    site.mkdir()
    (site / "omrig_exec_startup.pth").write_text(text)
    code = (
        f"import site, sys; site.addsitedir({str(site)!r});"
        "print([type(each).__name__ for each in sys.meta_path][0])"
    )
    ended = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, env={})
    assert (ended.stdout, ended.stderr) == ("OmrigFinder\n", "")


def test_the_start_file_names_what_the_pth_file_runs(tmp_path) -> None:
    values = environment.settings(str(tmp_path), "")
    assert environment.FORMS["start"](values) == "omrig_exec_startup:begin\n"
    folder, line = environment.FORMS["pth"](values).splitlines()
    assert line == "import omrig_exec_startup; omrig_exec_startup.begin()"
    assert (Path(folder) / "omrig_exec_startup.py").exists()
