"""omrig ab: the order of the runs, and what its command line takes."""

import pytest

from omrig import cli
from omrig.cli import ab
from omrig.cli.main import parser_of
from omrig.model.errors import UsageError
from omrig.supervisor import interleaved


def test_each_is_first_as_often_as_the_other():
    assert list(interleaved.order(3)) == [
        (1, "a"),
        (1, "b"),
        (2, "b"),
        (2, "a"),
        (3, "a"),
        (3, "b"),
    ]


def test_options_of_both_become_plans():
    one, other = ab._split(["--", "-m", "20", "--", "--executor", "threading"])
    assert ab._plan("A", one).load.messages == 20
    assert ab._plan("B", other).load.executor == "threading"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "two configurations are needed"),
        (["--", "-m", "5"], "two configurations are needed"),
        (["--", "--", "--"], "two configurations are needed"),
        (["--", "-m", "x", "--"], "A: -m/--message_count"),
        (["--", "--", "--executor", "fibres"], "B: --executor: unknown 'fibres'"),
        (["--", "--output", "x", "--"], "A: --output: goes before the first --"),
        (["--", "--", "--json"], "B: --json: goes before the first --"),
        (["-n", "0", "--", "--"], "-n/--pairs"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments, words, capsys):
    assert cli.main(["ab", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_folder_with_runs_is_not_added_to(tmp_path):
    (tmp_path / "b").mkdir()
    plan = ab._plan("A", [])
    with pytest.raises(UsageError, match="already holds runs"):
        interleaved.run((plan, plan), 1, tmp_path, *[pytest.fail] * 3)


def test_outputs_and_gates_go_to_the_comparison():
    options = parser_of("ab", [])[1].parse_args(
        ["--gate", "p99<=+5%", "--gate=mean<=+1%", "--json", "--html", "x.html"]
    )
    assert ab._passed(options) == [
        "--gate=p99<=+5%",
        "--gate=mean<=+1%",
        "--json",
        "--html=x.html",
    ]


def test_an_interrupt_before_there_is_a_pair_does_not_deny_what_was_measured(monkeypatch, capsys):
    monkeypatch.setattr("omrig.supervisor.interleaved.run", lambda *_: (0, True))
    assert cli.main(["ab", "--", "-m", "5", "--", "-m", "5"]) == 130
    assert capsys.readouterr().err == "omrig: interrupted before there was a pair to compare\n"
