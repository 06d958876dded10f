"""The command line: what it takes, and the one line it fails with."""

import json
import re
import subprocess
import sys

import pytest

from omrig import cli
from omrig.cli import run
from omrig.cli.main import execute, parser_of
from omrig.model.errors import UsageError
from omrig.model.plan import SIDES
from omrig.model.profiling import SAMPLE


@pytest.fixture
def plan(monkeypatch):
    """The plan that one side's options come to."""

    def plan(*arguments):
        made = []
        monkeypatch.setattr(run, "measure_and_show", lambda plan, _: made.append(plan) or 0)
        execute("", arguments)
        return made[0]

    return plan


@pytest.mark.parametrize(
    ("arguments", "sides", "messages"),
    [
        (["-c", "100000"], ("consumer",), 100000),
        (["-c"], ("consumer",), None),
        (["-c", "-m", "7"], ("consumer",), 7),
        (["-p", "20000"], ("producer",), 20000),
        (["-p", "-m", "20000"], ("producer",), 20000),
        (["-p"], ("producer",), 10000),
        (["-p", "5", "-m", "5"], ("producer",), 5),
    ],
)
def test_sides_and_counts(plan, arguments, sides, messages):
    made = plan(*arguments)
    assert (made.sides, made.load.messages) == (sides, messages)


@pytest.mark.parametrize("spelling", ["--worker_count", "--worker-count"])
def test_both_spellings_of_long_options(plan, spelling):
    assert plan("-p", spelling, "7").load.workers == 7
    assert plan("-p", f"{spelling}=8").load.workers == 8


@pytest.mark.parametrize(
    ("arguments", "sample"),
    [
        (["-p", "250000"], 1),
        (["-p", "-m", "10000000"], 64),
        (["-c"], 1),
        (["-c", "10000000"], 1),
        (["-p", "-m", "10000000", "--sample", "1/1"], 1),
        (["-p", "5", "--sample", "1/4"], 4),
    ],
)
def test_of_many_messages_some_keep_their_stages(plan, arguments, sample):
    assert plan(*arguments).profiling.value(SAMPLE) == sample


def test_sizes_are_in_kilobytes(plan):
    assert plan("-p").load.size_bytes == 10 * 1024
    assert plan("-p", "-s", "0.5").load.size_bytes == 512


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no side given"),
        (["-p", "-c"], "-p and -c"),
        (["-p", "5", "-m", "6"], "the counts differ"),
        (["-p", "-5"], "-p/--producer.*-5 is not"),
        (["-p", "-m", "many"], "--message_count.*'many' is not"),
        (["-p", "-m", "0"], "--message_count.*0 is not"),
        (["-p", "-s", "-1"], "--message_size.*-1 is not"),
        (["-p", "-s", "nan"], "--message_size"),
        (["-p", "-s", "0.001"], "--message_size"),
        (["-p", "-w", "0"], "--worker_count"),
        (["-p", "--pattern", "shout"], "--pattern"),
        (
            ["-p", "--profile", "gprof"],
            "--profile: unknown mode 'gprof'; known modes: .*none, .*stages, .*yappi",
        ),
        (["-p", "--profile", "scalene"], "'scalene' is not offered: it breaks under eventlet"),
        (["-p", "--gil"], "--gil: only py-spy takes it; add pyspy to --profile"),
        (["-p", "--native", "--profile", "yappi"], "--native: only py-spy takes it"),
        (["-p", "--frobnicate"], "--frobnicate"),
        (["run", "-p"], "-p"),
        (["report", "/absent"], "/absent holds no run"),
        (["-p", "--transport-url", "nonsense"], "--transport-url"),
        (["-p", "--transport-url", "fake://"], "one side alone"),
        (["-p", "--config-file", "/absent.conf"], "--config-file"),
        (["-p", "--output", "/proc/omrig"], "--output"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.startswith("omrig: ")
    assert re.search(said, captured.err), captured.err
    assert not list(tmp_path.rglob("*.json"))


def test_a_folder_that_cannot_be_used_is_refused(tmp_path, capsys):
    (tmp_path / "run.json").write_text("{}")
    assert cli.main(["-p", "--output", str(tmp_path)]) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_contradicting_counts_raise_before_anything_starts(plan):
    with pytest.raises(UsageError):
        plan("-c", "5", "-m", "6")


def test_help_shows_the_original_flags_and_imports_nothing_heavy():
    code = (
        "import sys, omrig.cli\n"
        "try:\n    omrig.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'oslo_messaging', 'oslo_config', 'rich', 'numpy', 'eventlet', 'stevedore',"
        " 'plotly'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    for flag in ("--debug", "--message_count", "--message_size", "--worker_count", "--producer"):
        assert flag in shown.stdout


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("pattern", ["call", "cast"])
def test_function_check_in_memory(executor, pattern, tmp_path, capsys):
    arguments = [
        "--executor",
        executor,
        "--pattern",
        pattern,
        "-m",
        "30",
        "-w",
        "4",
        "--json",
        "--quiet",
    ]
    status = cli.main(
        ["run", *arguments, "--transport-url", "kombu+memory://", "--output", str(tmp_path / "run")]
    )
    captured = capsys.readouterr()
    assert status == 0, captured.err
    assert captured.err == ""
    result = json.loads(captured.out)
    assert result["messages"]["received"] == result["messages"]["sent"] == 30
    assert result["is_measurement"] is False
    assert cli.main(["report", str(tmp_path / "run")]) == 0
    assert "not a measurement" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["report", "RUN"], ["compare", "A", "B"], ["ab"], ["clean"], ["run"]],
    ids=" ".join,
)
@pytest.mark.parametrize("said", ["", "interrupted before the load; nothing measured"])
def test_an_interrupt_is_told_as_who_was_interrupted_tells_it(monkeypatch, capsys, arguments, said):
    def interrupted(_arguments):
        raise KeyboardInterrupt(*[said] * bool(said))

    monkeypatch.setattr(f"omrig.cli.{arguments[0]}.run", interrupted)
    assert cli.main(arguments) == 130
    assert capsys.readouterr().err == f"omrig: {said or 'interrupted'}\n"


def test_an_empty_folder_and_an_empty_project_are_as_if_not_given():
    _, parser = parser_of("run", [])
    plan = run.make_plan(parser.parse_args(["--output", "", "--project", ""]), SIDES)
    assert plan.output.folder.startswith("omrig-runs/")
    assert plan.transport.project == "nova"


INTERRUPTED_IN_EXEC = """
import sys
import omrig.cli
main = sys.modules["omrig.cli.main"]
main._dispatch = lambda _: exec("raise KeyboardInterrupt")
sys.exit(main.main([]))
"""


def test_an_interrupt_while_a_dataclass_is_made_has_the_status_of_an_interrupt(tmp_path):
    # Not with -c, which ends before CPython looks whether there was an interrupt.
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IN_EXEC)
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "omrig: interrupted\n")
