"""Scenarios: what a file may say, who wins, and what is said of a wrong one."""

import pytest

from omrig.cli import run, scenarios
from omrig.cli.main import parsed
from omrig.model.errors import UsageError
from omrig.model.plan import SIDES


@pytest.fixture
def plan(tmp_path):
    """The plan that ``omrig run`` makes of a scenario's text and of arguments."""

    def plan(text, *arguments):
        file = tmp_path / "own.toml"
        file.write_text(text)
        _, options = parsed("run", ["--scenario", str(file), *arguments])
        return run.make_plan(options, SIDES)

    return plan


FULL = """
title = "everything"
message_count = 70
message-size = 0.5
pattern = "call"
endpoint = ["cpu:1ms", "error:1%"]
yes = true
debug = false
"""


def test_a_file_says_what_the_command_line_would(plan):
    made = plan(FULL)
    assert (made.load.messages, made.load.size_bytes, made.load.pattern) == (70, 512, "call")
    assert made.load.endpoint == ("cpu:1ms", "error:1%")
    assert made.transport.yes and not made.output.debug
    assert made.load.scenario and made.load.scenario.endswith("own.toml")
    assert made.public()["scenario"] == made.load.scenario


@pytest.mark.parametrize("count", [["-m", "7"], ["-m7"], ["--message-count=7"]])
def test_the_command_line_wins(plan, count):
    made = plan(FULL, *count, "--endpoint", "sleep:2ms")
    assert made.load.messages == 7
    assert made.load.endpoint == ("sleep:2ms",)
    assert made.load.size_bytes == 512


def test_a_mode_of_another_package_may_be_named(plan):
    assert plan('title = "t"\nprofile = "yappi"').profiling.modes[-1] == "yappi"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "wroker_count = 3",
            "wroker_count: there is no option --wroker_count; the nearest is work",
        ),
        ("w = 3", "w: there is no option --w; the nearest is"),
        ('scenario = "x"', "scenario: there is no option --scenario; the nearest is"),
        ("help = true", "help: there is no option --help"),
        (
            'message_count = "many"',
            "message_count: -m/--message_count: 'many' is not a whole number",
        ),
        ("message_count = -3", "message_count: -m/--message_count: -3 is not a whole number"),
        ("message_count = true", "message_count: True is not a text or a number"),
        ("message_count = [1, 2]", r"message_count: \[1, 2\] is not a text or a number"),
        ("endpoint = [[1]]", r"endpoint: .* is not a text or a number, or a list of them"),
        ("endpoint = {a = 1}", "endpoint: .* is not a text or a number, or a list"),
        ("yes = 1", "yes: 1 is not true or false"),
        ('pattern = "shout"', "pattern: --pattern: unknown 'shout'"),
        ('endpoint = "cpu:1"', "endpoint: --endpoint: cpu:1 is not a time"),
        ("message_size = 1e9", "message_size: --message_size: "),
        ("x = ", "is no TOML"),
    ],
)
def test_what_is_wrong_names_the_file_and_the_key(plan, line, said):
    with pytest.raises(UsageError, match=rf"^--scenario: .*own\.toml:? {said}"):
        plan(f'title = "t"\n{line}\n')


def test_what_the_command_line_says_wrongly_is_not_blamed_on_the_file(plan):
    with pytest.raises(UsageError, match=r"^--pattern: unknown 'shout'"):
        plan(FULL, "--pattern", "shout")


@pytest.mark.parametrize("text", ["", "title = 3", 'title = " "'])
def test_it_has_a_title(plan, text):
    with pytest.raises(UsageError, match="title: say in one line what it is"):
        plan(text)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "nova-bot",
            r"there is no 'nova-bot' \(is it nova-boot\?\); give one of .*, or a TOML file",
        ),
        ("gone.toml", "gone.toml: No such file"),
        ("/", "Is a directory"),
    ],
)
def test_one_that_is_not_there_is_named(name, said):
    with pytest.raises(UsageError, match=f"^--scenario: .*{said}"):
        parsed("run", ["--scenario", name])


@pytest.mark.parametrize("name", scenarios.titles())
def test_those_of_omrig_make_a_plan_and_are_in_the_help(name, capsys):
    _, options = parsed("run", ["--scenario", name])
    made = run.make_plan(options, SIDES)
    assert made.load.scenario == name
    with pytest.raises(SystemExit):
        parsed("run", ["--help"])
    line = next(line for line in capsys.readouterr().out.splitlines() if f"  {name}  " in line)
    assert scenarios.titles()[name] in line
    assert len(line) <= 80


def test_ab_takes_them():
    from omrig.cli.configurations import configuration

    made = configuration("a", ["--scenario", "nova-boot", "-m", "9"])
    assert made.plan.load.messages == 9
