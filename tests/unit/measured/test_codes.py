"""What `--target` names is found without being imported, or refused in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from omrig import cli
from omrig.drivers import maps
from omrig.measured.profilers import registry
from omrig.measured.profilers.targets import codes
from omrig.model.errors import UsageError

SOURCE = """
class Class:
    def method(self):
        pass

def function():
    def nested():
        pass
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A package and its modules on the path, and the folder they are in."""
    package = tmp_path / "somepackage"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__", "inner/__init__", "inner/module", "other"):
        (package / f"{name}.py").write_text(
            SOURCE if name == "inner/module" else "raise SystemExit"
        )
    (tmp_path / "broken.py").write_text("def function(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", maps.known())
def test_the_name_of_a_map_means_its_modules(name):
    assert [place.module for place in codes.locate(name)] == list(maps.known()[name].modules)


def test_a_driver_without_a_map_means_its_module(monkeypatch):
    monkeypatch.setattr(maps, "known", dict)
    (place,) = codes.locate("impl_kafka")
    assert place.module == "oslo_messaging._drivers.impl_kafka"


@pytest.mark.parametrize(
    ("target", "function"),
    [
        ("somepackage.inner.module", ""),
        ("somepackage.inner.module:function", "function"),
        ("somepackage.inner.module:function.<locals>.nested", "function.<locals>.nested"),
        ("somepackage.inner.module:Class", "Class"),
        ("somepackage.inner.module:Class.method", "Class.method"),
    ],
)
def test_a_module_and_a_function_of_it(project, target, function):
    (place,) = codes.locate(target)
    assert place == codes.Place(
        target, "somepackage.inner.module", str(project / "somepackage/inner/module.py"), function
    )


def test_a_file_is_the_module_that_is_imported_from_it(project, monkeypatch):
    file = project / "somepackage/inner/module.py"
    (place,) = codes.locate(str(file))
    assert (place.module, place.file) == ("somepackage.inner.module", str(file))
    monkeypatch.chdir(file.parent)
    (place,) = codes.locate("module.py")
    # From its own folder it is a module of its own, as for Python itself.
    assert (place.module, place.file) == ("module", str(file))


def test_the_working_directory_is_on_the_path_of_the_measured_process(project, monkeypatch):
    monkeypatch.setattr(
        sys, "path", [entry for entry in sys.path if entry not in ("", str(project))]
    )
    with pytest.raises(UsageError):
        codes.locate("somepackage.inner.module")
    monkeypatch.chdir(project)
    assert codes.locate("somepackage.inner.module")


def test_the_file_of_a_map_means_the_modules_it_lists(tmp_path):
    text = 'schema = 3\nname = "mine"\ntitle = "mine"\npackage = "kombu"\n'
    (tmp_path / "with.toml").write_text(f'{text}modules = ["kombu.message"]\n')
    (tmp_path / "without.toml").write_text(text)
    (place,) = codes.locate(str(tmp_path / "with.toml"))
    assert place.module == "kombu.message"
    assert not codes.has_code(str(tmp_path / "without.toml"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("impl_rabit", "no module 'impl_rabit'.*did you mean impl_rabbit"),
        ("kombu.mesage", "no module 'kombu.mesage'; did you mean kombu.message"),
        ("absent.module", "no module 'absent.module'; omrig targets lists"),
        ("kombu..message", "no module 'kombu..message'"),
        ("kombu.message:", "names no function"),
        (
            "kombu.message:Mesage.ack",
            r"kombu.message has no function 'Mesage.ack'; did you mean Message.ack",
        ),
        ("somepackage.inner.module:Clas", "no function 'Clas'; did you mean Class"),
        ("somepackage.inner.module:function.nested", "no function 'function.nested'"),
        ("/absent/file.py", "no file /absent/file.py"),
        ("absent.py", "no file absent.py"),
        ("absent.toml", "absent.toml: No such file or directory"),
        ("somepackage", "'somepackage' has no functions; name a module in it: inner, other"),
        ("somepackage.other", "'somepackage.other' has no functions$"),
        ("broken", "'broken' cannot be read"),
        ("time", "time has no Python source"),
        ("", "no module ''"),
    ],
)
def test_what_cannot_be_found_is_refused_with_what_is_near(project, target, said):
    with pytest.raises(UsageError, match=said) as refusal:
        codes.locate(target)
    assert str(refusal.value).startswith("--target: ")
    assert "\n" not in str(refusal.value)


def test_a_file_that_no_module_is_imported_from(tmp_path):
    (tmp_path / "no-module.py").write_text(SOURCE)
    with pytest.raises(UsageError, match="no file that the measured process can import"):
        codes.locate(str(tmp_path / "no-module.py"))


def test_without_a_target_it_is_the_driver_and_the_executor(monkeypatch):
    common = {"executor", "notify"}
    assert set(codes.default_targets("rabbit")) == {"impl_rabbit", "amqpdriver", *common}
    assert set(codes.default_targets("fake")) == {"impl_fake", *common}
    monkeypatch.setattr(maps, "for_scheme", lambda _scheme: [])
    driver = "oslo_messaging._drivers.impl_rabbit"
    assert codes.default_targets("rabbit") == [driver, "executor"]
    with pytest.raises(UsageError, match="no driver for smoke://"):
        codes.default_targets("smoke")


MAP = 'schema = 3\nname = "mine"\ntitle = "mine"\npackage = "kombu"\n'


@pytest.mark.parametrize(
    ("modes", "targets"),
    [
        (["lines"], ["impl_rabbit", "kombu.message:Message.ack"]),
        (["lines", "stages"], ["impl_rabbit", "map.toml"]),
        (["stages"], ["map.toml"]),
        (["yappi"], []),
    ],
)
def test_targets_that_a_mode_looks_at(tmp_path, monkeypatch, modes, targets):
    monkeypatch.chdir(tmp_path)
    Path("map.toml").write_text(MAP)
    registry.check_targets(modes, targets)


@pytest.mark.parametrize(
    ("modes", "targets", "unused"),
    [
        (["stages"], ["impl_rabbit"], "impl_rabbit"),
        (["stages", "yappi"], ["map.toml", "kombu.message"], "kombu.message"),
        (["yappi"], ["map.toml"], "map.toml"),
        # It has probes for the stages, at most.
        (["lines"], ["map.toml"], "map.toml"),
        (["none"], ["impl_rabbit"], "impl_rabbit"),
    ],
)
def test_a_target_that_no_mode_looks_at_is_refused(tmp_path, monkeypatch, modes, targets, unused):
    monkeypatch.chdir(tmp_path)
    Path("map.toml").write_text(MAP)
    with pytest.raises(UsageError, match=f"does not look at '{unused}'"):
        registry.check_targets(modes, targets)


@pytest.mark.parametrize("side", [["run"], ["-p"], ["-c"]])
def test_a_run_is_refused_before_anything_starts(side, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*side, "--profile", "lines", "--target", "impl_rabit"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "--target: there is no module 'impl_rabit'; did you mean impl_rabbit" in captured.err
    assert not list(tmp_path.iterdir())


def test_a_module_that_cannot_be_imported_ends_the_run_before_the_load(project):
    code = """
from omrig.measured.profilers.targets import codes
codes.instrument(codes.locate("exits"), lambda code: code)
"""
    (project / "exits.py").write_text(f"{SOURCE}\nimport a_module_that_is_missing\n")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert "--target: 'exits': exits cannot be imported (ModuleNotFoundError" in done.stderr


def test_a_function_that_is_gone_is_refused(project):
    code = """
from omrig.measured.profilers.targets import codes
codes.instrument(codes.locate("forgets"), lambda code: code)
"""
    (project / "forgets.py").write_text("def function():\n    pass\ndel function\n")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert "--target: 'forgets' holds no function that can be called" in done.stderr
