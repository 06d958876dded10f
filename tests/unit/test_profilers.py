import os
import subprocess
import sys
import textwrap

import pytest

from omrig import profilers
from omrig.errors import UsageError
from omrig.profilers.none import NoProfiler


def test_the_modes_of_omrig_itself_are_known():
    assert {"none", "yappi"} <= set(profilers.known_modes())


def test_load_keeps_the_order():
    assert profilers.load(["none"]) == [NoProfiler]
    assert [found.name for found in profilers.load(["yappi"])] == ["yappi"]


def test_an_unknown_mode_is_refused_with_the_known_ones():
    with pytest.raises(UsageError) as refusal:
        profilers.load(["x"])
    known = ", ".join(profilers.known_modes())
    assert str(refusal.value) == f"--profile: unknown mode 'x'; known modes: {known}"


def test_a_mode_given_twice_is_refused():
    with pytest.raises(UsageError, match="'yappi' is given more than once"):
        profilers.load(["yappi", "yappi"])


@pytest.mark.parametrize("modes", [["none", "yappi"], ["yappi", "none"]])
def test_none_goes_with_nothing(modes):
    with pytest.raises(UsageError, match="'none' measures nothing and goes with no other mode"):
        profilers.load(modes)


def test_none_writes_nothing(tmp_path):
    profiler = NoProfiler(profilers.ProfilerContext("eventlet", "producer"))
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
"""

ENTRY_POINTS = """
[omrig.profilers]
beads = dummy_plugin:Beads
abacus = dummy_plugin:Abacus
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


def refused(modes):
    return f"""
        from omrig import errors, profilers
        try:
            profilers.load({modes!r})
        except errors.UsageError as refusal:
            print(refusal)
    """


def test_another_package_adds_a_mode(with_third_party):
    out = with_third_party("""
        import sys
        from omrig import profilers
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
    out = with_third_party(refused(["abacus", "beads"]))
    assert "'abacus' and 'beads' cannot run at the same time" in out
    assert "each would measure the other" in out
    assert "'abacus' goes with: nothing; 'beads' goes with: yappi" in out


def test_a_mode_that_cannot_be_imported_is_named_with_the_reason(with_third_party):
    out = with_third_party(refused(["broken"]))
    assert "mode 'broken' cannot be loaded: ModuleNotFoundError" in out
    assert "a_module_that_is_missing" in out


def test_the_interface_imports_no_plugin_machinery():
    code = "import sys, omrig.profilers; print({'stevedore', 'yappi', 'greenlet'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
