import os
import subprocess
import sys
import textwrap

import pytest

from omrig.measured.profilers import registry
from omrig.measured.profilers.base import Context, Profiler
from omrig.model.errors import UsageError
from omrig.model.profiling import BUILT_IN, OPTIONS, Profiling


def test_the_modes_of_omrig_itself_are_known():
    assert {"none", "yappi"} <= set(registry.known_modes())


def test_load_keeps_the_order():
    assert [found.name for found in registry.load(["yappi", "stages"])] == ["yappi", "stages"]
    assert [found.name for found in registry.load(["stages", "yappi"])] == ["stages", "yappi"]


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


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_none_is_nothing_in_the_measured_process(executor):
    assert registry.load(["none"], executor) == []


def test_a_mode_that_says_nothing_does_nothing(tmp_path):
    class Idle(Profiler):
        name = "idle"

    profiler = Idle(Context("eventlet", "producer"))
    profiler.install()
    profiler.start()
    assert profiler.recent() == {}
    profiler.stop()
    assert profiler.save(tmp_path) == profiler.report(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert profiler.pausable and profiler.is_slow
    assert profiler.check_targets(["x"]) == set()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pausible", "did you mean pausable?"),
        ("refuse_executors", "did you mean refused_executors?"),
        ("coexist_with", "did you mean coexists_with?"),
        ("statr", "did you mean start?"),
        ("check_target", "did you mean check_targets?"),
        ("totals_by_role", "begin it with an underscore: _totals_by_role"),
    ],
)
def test_a_public_name_that_no_mode_has_is_an_error(name, hint):
    with pytest.raises(TypeError) as error:
        type("Beads", (Profiler,), {"name": "beads", name: True})
    assert str(error.value) == f"Beads.{name} is nothing that a profiler mode has; {hint}"
    mixed_in = type("Mixin", (), {name: True})
    with pytest.raises(TypeError, match=hint.replace("?", "")):
        type("Beads", (mixed_in, Profiler), {"name": "beads"})


def test_names_of_its_own_begin_with_an_underscore():
    class Beads(Profiler):
        name = "beads"
        pausable = False
        _wires = 10

        def _move(self):
            pass

    assert Beads._wires == 10


@pytest.mark.parametrize("mode", sorted({*registry.known_modes()} - {*registry.OUTSIDE}))
def test_the_options_of_a_mode_are_those_in_every_help(mode):
    (found,) = registry.load([mode])
    assert found.options == OPTIONS.get(mode, ())
    assert {*found.options} <= {*BUILT_IN}


THIRD_PARTY = """
from omrig.measured.profilers.base import Profiler
from omrig.model.profiling import Option

WIRES = Option(
    flag="--wires", dest="wire_count", type=int, default=10, least=1, help="wires (10 % bent)"
)

class Beads(Profiler):
    name = "beads"
    coexists_with = frozenset({"yappi"})

class Abacus(Profiler):
    name = "abacus"
    coexists_with = frozenset()
    refused_executors = {"eventlet": "it counts threads"}
    refused_with = {"beads": "there is one table only", "memory": "it is wood"}

class Slate(Profiler):
    name = "slate"
    coexists_with = frozenset({"beads"})
    refused_with = {"chalk": "it would be wiped"}

class Chalk(Profiler):
    name = "chalk"
    coexists_with = frozenset({"slate"})

class Jealous(Profiler):
    name = "jealous"
    coexists_with = frozenset({"beads"})
    refused_with = {"stages": "it counts in the same functions"}

class Wired(Profiler):
    name = "wired"
    options = (WIRES,)

class Greedy(Profiler):
    name = "greedy"
    options = (Option(flag="--output", dest="beads", type=str, default="", help="mine"),)

class Samples(Profiler):
    name = "samples"
    options = (Option(flag="--every", dest="sample", type=int, default=1, help="mine"),)

class Loose:
    name = "loose"

def function():
    pass
"""

MISSPELT = """
from omrig.measured.profilers.base import Profiler

class Misspelt(Profiler):
    name = "misspelt"
    pausible = False
"""

ENTRY_POINTS = """
[omrig.profilers]
beads = dummy_plugin:Beads
abacus = dummy_plugin:Abacus
slate = dummy_plugin:Slate
chalk = dummy_plugin:Chalk
jealous = dummy_plugin:Jealous
wired = dummy_plugin:Wired
greedy = dummy_plugin:Greedy
samples = dummy_plugin:Samples
broken = dummy_broken:Broken
loose = dummy_plugin:Loose
function = dummy_plugin:function
misnamed = dummy_plugin:Beads
misspelt = dummy_misspelt:Misspelt
memory = dummy_plugin:Beads
"""


@pytest.fixture
def with_third_party(tmp_path):
    """Runs code in a fresh process in which another package provides modes."""
    (tmp_path / "dummy_plugin.py").write_text(THIRD_PARTY)
    (tmp_path / "dummy_misspelt.py").write_text(MISSPELT)
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
    assert "'abacus' goes with: resources; 'slate' goes with: beads, memory, resources" in out


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


@pytest.mark.parametrize("mode", ["loose", "function"])
def test_what_does_not_derive_from_the_base_is_refused(with_third_party, mode):
    entry_point = {"loose": "dummy_plugin:Loose", "function": "dummy_plugin:function"}[mode]
    assert with_third_party(refused([mode])) == (
        f"--profile: mode {mode!r} cannot be loaded: its entry point {entry_point} is no profiler"
        " mode; derive a class from omrig.measured.profilers.base.Profiler\n"
    )


def test_a_mode_has_the_name_of_its_entry_point(with_third_party):
    assert with_third_party(refused(["misnamed"])) == (
        "--profile: mode 'misnamed' cannot be loaded: its entry point dummy_plugin:Beads has the"
        " name 'beads'; give both the same\n"
    )


def test_a_misspelt_mode_is_refused_in_one_line(with_third_party):
    assert with_third_party(refused(["misspelt"])) == (
        "--profile: mode 'misspelt' cannot be loaded: TypeError: Misspelt.pausible is nothing that"
        " a profiler mode has; did you mean pausable?\n"
    )


def test_nobody_else_provides_a_mode_that_works_from_outside(with_third_party):
    assert with_third_party(refused(["memory"])) == (
        "--profile: mode 'memory' is provided more than once: by dummy_plugin,"
        " omrig.measured.profilers.registry\n"
    )


PLANNED = """
    from omrig.cli import run
    from omrig.cli.main import parser_of
    from omrig.model.errors import UsageError
    from omrig.model.plan import SIDES, Plan
    arguments = {arguments!r}
    try:
        options = parser_of("run", arguments)[1].parse_args(arguments)
        plan = Plan.from_json(run.make_plan(options, SIDES).to_json())
    except UsageError as error:
        print(error)
    else:
        print(plan.profiling.options.get("wire_count"), plan.public().get("mode_options"))
"""


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--profile", "wired"], "10 {'wire_count': 10}"),
        (["--profile=stages, wired", "--wires", "7"], "7 {'wire_count': 7}"),
        (["--profile", "stages"], "None None"),
        (["--wires", "7"], "unrecognized arguments: --wires 7; see omrig run --help"),
        (["--profile", "wired", "--wires=0"], "--wires: 0 is too small; give 1 or more"),
        (
            ["--profile", "wired", "--wires", "x"],
            "--wires: invalid literal for int() with base 10: 'x'; see omrig run --help",
        ),
        (
            ["--profile", "samples"],
            "--profile: mode 'samples' cannot be loaded: another option is called 'sample' as its"
            " --every is",
        ),
        (["--profile", "greedy"], "--profile: a mode's option --output is omrig's own"),
        (["--profile"], "--profile: expected one argument; see omrig run --help"),
    ],
)
def test_the_options_of_another_package_s_mode_are_on_the_command_line(
    with_third_party, arguments, printed
):
    assert with_third_party(PLANNED.format(arguments=arguments)) == f"{printed}\n"


MODES = """
    from omrig.cli import run
    from omrig.cli.main import parser_of
    from omrig.measured.profilers import registry
    from omrig.model.errors import UsageError
    from omrig.model.plan import SIDES, Plan
    arguments = ["--profile", {modes!r}]
    try:
        options = parser_of("run", arguments)[1].parse_args(arguments)
        plan = Plan.from_json(run.make_plan(options, SIDES).to_json())
        registry.load(plan.profiling.modes)
    except UsageError as error:
        print(error)
    else:
        print(*plan.public()["profile"], plan.public().get("stages_refused"))
"""


@pytest.mark.parametrize(
    ("modes", "printed"),
    [
        ("beads", "stages beads None"),
        ("beads, yappi", "stages beads yappi None"),
        ("jealous", "jealous mode 'jealous' refuses them: it counts in the same functions"),
        (
            "beads,jealous",
            "beads jealous mode 'jealous' refuses them: it counts in the same functions",
        ),
        (
            "jealous,stages",
            "--profile: modes 'stages' and 'jealous' cannot run at the same time, it counts in the"
            " same functions; 'stages' goes with: any mode; 'jealous' goes with: beads, memory,"
            " resources",
        ),
        (
            "none,jealous",
            "--profile: 'none' measures nothing and goes with no other mode; leave it out to use"
            " 'jealous'",
        ),
        ("beads,stages,stages", "--profile: mode 'stages' is given more than once"),
    ],
)
def test_another_package_s_mode_goes_with_stages_unless_it_refuses_them(
    with_third_party, modes, printed
):
    assert with_third_party(MODES.format(modes=modes)) == f"{printed}\n"


def test_two_modes_that_were_asked_for_are_refused_and_stages_not_named():
    modes = Profiling(modes=("yappi", "lines")).modes
    with pytest.raises(UsageError) as refusal:
        registry.load(modes)
    assert "'yappi' and 'lines' cannot run at the same time" in str(refusal.value)
    assert "stages" not in str(refusal.value)


@pytest.mark.parametrize("mode", sorted({*registry.known_modes()} - {"none"}))
def test_every_mode_of_omrig_s_own_runs_with_stages(mode):
    modes = Profiling(modes=(mode,)).modes
    assert next(each.name for each in registry.load(modes)) == "stages"


def test_they_are_in_the_help_where_the_mode_is_asked_for(with_third_party):
    help_of = """
        from omrig import cli
        try:
            cli.main({arguments!r})
        except SystemExit:
            pass
    """
    asked = with_third_party(help_of.format(arguments=["--profile", "wired", "--help"]))
    assert "--wires WIRES" in asked and "wires (10 % bent)" in asked
    assert "--wires" not in with_third_party(help_of.format(arguments=["--help"]))


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
@pytest.mark.parametrize(("other", "inside"), [("stages", ["stages"]), ("resources", [])])
def test_modes_that_look_at_different_things_run_together(mode, other, inside):
    assert [found.name for found in registry.load([mode, other])] == [mode, *inside]


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
