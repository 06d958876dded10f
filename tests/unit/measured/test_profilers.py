import os
import subprocess
import sys
import textwrap

import pytest

from omrig.measured.profilers import registry
from omrig.measured.profilers.none import NoProfiler
from omrig.model.errors import UsageError


def test_the_modes_of_omrig_itself_are_known():
    assert {"none", "yappi"} <= set(registry.known_modes())


def test_load_keeps_the_order():
    assert registry.load(["none"]) == [NoProfiler]
    assert [found.name for found in registry.load(["yappi"])] == ["yappi"]


def test_an_unknown_mode_is_refused_with_the_known_ones():
    with pytest.raises(UsageError) as refusal:
        registry.load(["x"])
    known = ", ".join(registry.known_modes())
    assert str(refusal.value) == f"--profile: unknown mode 'x'; known modes: {known}"


def test_a_mode_given_twice_is_refused():
    with pytest.raises(UsageError, match="'yappi' is given more than once"):
        registry.load(["yappi", "yappi"])


@pytest.mark.parametrize("modes", [["none", "yappi"], ["yappi", "none"]])
def test_none_goes_with_nothing(modes):
    with pytest.raises(UsageError, match="'none' measures nothing and goes with no other mode"):
        registry.load(modes)


def test_none_writes_nothing(tmp_path):
    profiler = NoProfiler(registry.ProfilerContext("eventlet", "producer"))
    profiler.install()
    profiler.start()
    profiler.stop()
    assert profiler.save(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


THIRD_PARTY = """
class Beads:
    name = "beads"
    coexists_with = frozenset({"yappi"})

class Abacus:
    name = "abacus"
    coexists_with = frozenset()
    refused_executors = {"eventlet": "it counts threads"}
    refused_with = {"beads": "there is one table only"}

class Slate:
    name = "slate"
    coexists_with = frozenset({"beads"})
    refused_with = {"chalk": "it would be wiped"}

class Chalk:
    name = "chalk"
    coexists_with = frozenset({"slate"})
"""

ENTRY_POINTS = """
[omrig.profilers]
beads = dummy_plugin:Beads
abacus = dummy_plugin:Abacus
slate = dummy_plugin:Slate
chalk = dummy_plugin:Chalk
broken = dummy_broken:Broken
"""


@pytest.fixture
def with_third_party(tmp_path):
    """Runs code in a fresh process in which another package provides modes."""
    (tmp_path / "dummy_plugin.py").write_text(THIRD_PARTY)
    (tmp_path / "dummy_broken.py").write_text("import a_module_that_is_missing")
    dist_info = tmp_path / "dummy-0.1.dist-info"
    dist_info.mkdir()
    (dist_info / "METADATA").write_text("Metadata-Version: 2.1\nName: dummy\nVersion: 0.1\n")
    (dist_info / "entry_points.txt").write_text(ENTRY_POINTS)

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def refused(modes, executor=None):
    return f"""
        from omrig.model import errors
        from omrig.measured.profilers import registry as profilers
        try:
            profilers.load({modes!r}, {executor!r})
        except errors.UsageError as refusal:
            print(refusal)
    """


def test_another_package_adds_a_mode(with_third_party):
    out = with_third_party("""
        import sys
        from omrig.measured.profilers import registry as profilers
        known = set(profilers.known_modes())
        print(known >= {"abacus", "beads", "broken", "stages"}, "dummy_plugin" in sys.modules)
        print([found.__name__ for found in profilers.load(["beads"])])
        print([found.__name__ for found in profilers.load(["yappi", "beads"])])
    """)
    assert out.splitlines() == [
        "True False",
        "['Beads']",
        "['YappiProfiler', 'Beads']",
    ]


def test_modes_that_do_not_coexist_are_refused_with_the_reason(with_third_party):
    out = with_third_party(refused(["abacus", "slate"]))
    assert "'abacus' and 'slate' cannot run at the same time" in out
    assert "each would measure the other" in out
    assert "'abacus' goes with: nothing; 'slate' goes with: beads" in out


@pytest.mark.parametrize("modes", [["abacus", "beads"], ["beads", "abacus"]])
def test_a_mode_says_itself_why_it_cannot_run_with_another(with_third_party, modes):
    out = with_third_party(refused(modes))
    assert "cannot run at the same time, there is one table only;" in out


def test_one_that_refuses_is_heard_before_one_that_agrees(with_third_party):
    assert "it would be wiped" in with_third_party(refused(["chalk", "slate"]))
    assert with_third_party(refused(["beads", "slate"])) == ""


def test_a_mode_that_breaks_under_an_executor_is_refused_with_its_reason(with_third_party):
    out = with_third_party(refused(["abacus"], "eventlet"))
    assert out == (
        "--profile: mode 'abacus' cannot run with --executor eventlet: it counts threads\n"
    )
    assert with_third_party(refused(["abacus"], "threading")) == ""
    assert with_third_party(refused(["beads"], "eventlet")) == ""


def test_a_mode_that_cannot_be_imported_is_named_with_the_reason(with_third_party):
    out = with_third_party(refused(["broken"]))
    assert "mode 'broken' cannot be loaded: ModuleNotFoundError" in out
    assert "a_module_that_is_missing" in out


@pytest.mark.parametrize("mode", ["pyinstrument", "scalene", "cProfile"])
def test_profilers_that_break_are_not_offered(mode):
    with pytest.raises(UsageError) as refusal:
        registry.load([mode])
    text = str(refusal.value)
    assert text.startswith(f"--profile: mode {mode!r} is not offered: it ")
    assert "use yappi" in text and "\n" not in text


@pytest.mark.parametrize(
    ("modes", "reason"),
    [
        (["memray", "yappi"], "memray takes the interpreter's profile hook"),
        (["memory", "memray"], "memray's own tables would count"),
        (["pyspy", "lines"], "py-spy would find the other one's work in the stacks"),
    ],
)
def test_modes_that_disturb_each_other(modes, reason):
    with pytest.raises(UsageError, match=reason):
        registry.load(modes)


@pytest.mark.parametrize("mode", ["pyspy", "memray"])
@pytest.mark.parametrize("other", ["stages", "resources"])
def test_modes_that_look_at_different_things_run_together(mode, other):
    assert [found.name for found in registry.load([mode, other])] == [mode, other]


@pytest.mark.parametrize(("mode", "package"), [("pyspy", "py-spy"), ("memray", "memray")])
def test_a_mode_whose_package_is_missing_says_what_to_install(mode, package):
    code = f"""
import shutil, sys
sys.modules["memray"] = None
shutil.which = lambda *_, **__: None
from omrig.model import errors
from omrig.measured.profilers import registry as profilers
assert {mode!r} in profilers.known_modes()
try:
    profilers.load([{mode!r}])
except errors.UsageError as refusal:
    print(refusal)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == (
        f"--profile: mode {mode!r} needs the package {package}: pip install omrig[{mode}]\n"
    ), done.stderr


def test_the_interface_imports_no_plugin_machinery():
    code = (
        "import sys, omrig.measured.profilers.registry;"
        " print({'stevedore', 'yappi', 'greenlet'} & {*sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
