"""omrig ab: what its command line takes, and what it shows of runs that are made of numbers."""

import json

import pytest

from omrig import cli
from omrig.cli import ab, experiments
from omrig.cli.configurations import configuration, split
from omrig.cli.main import parser_of
from omrig.experiment import journal
from omrig.model.errors import UsageError
from tests.unit.experiment.measured import Measured

URL = ("--transport-url", "rabbit://elsewhere/")
BOTH = ("--", "-m", "5", *URL, "--", "-m", "5", *URL, "--executor", "threading")


@pytest.fixture
def measured(monkeypatch):
    """Runs made of numbers in place of those of ``omrig run``."""
    made = Measured()
    monkeypatch.setattr("omrig.cli.run.measure", made)
    return made


def content(folder):
    return json.loads((folder / "experiment.json").read_text())


def test_options_of_both_become_plans():
    one, other = split(["--", "-m", "20", "--", "--executor", "threading"])
    assert configuration("a", one).plan.load.messages == 20
    assert configuration("b", other).plan.load.executor == "threading"
    assert configuration("b", other).arguments == ("--executor", "threading")


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
        (["--", "--", "--find-rate", "p99<1s"], "B: --find-rate: a configuration is measured as"),
        (["-n", "0", "--", "--"], "-n/--rounds/--pairs"),
        (["--until", "never", "--", "--"], "--until"),
        (["--margin", "0%", "--", "--"], "--margin: 0% is not a percentage between 0 and 100"),
        (["--margin", "much", "--", "--"], "--margin: 'much' is not a percentage"),
        (["--max-minutes", "0", "--", "--"], "--max-minutes: 0 is not minutes, above 0"),
        (["--metric", "p50", "--", "--"], "--metric: nothing is decided by it"),
        (["--until", "decided", "--metric", "p5", "--", "--"], "--metric: there is no metric 'p5'"),
        (["--until", "decided", "-n", "161", "--", "--"], "-n/--rounds: --until decided looks for"),
        (["--gate", "p99", "--", "--"], "--gate: 'p99' is no gate"),
        (["--duet", "--", "-m", "5", "--", "-m", "5"], "--duet: both loads have to last as long"),
        (
            ["--duet", "--", "--duration", "1", "--", "--duration", "2"],
            "--duet: both loads have to last as long",
        ),
        (
            ["--duet", "--", "--duration", "1", "--", "--duration", "1", "-m", "5"],
            "--duet: -m would end a load before its --duration",
        ),
        (["--duet", "--resume", "/nowhere"], "--duet: with --resume an experiment goes on as it"),
        (["--resume", "/nowhere"], "--resume: /nowhere/experiment.json: No such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments, words, capsys):
    assert cli.main(["ab", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_outputs_and_gates_go_to_the_comparison(tmp_path):
    options = parser_of("ab", [])[1].parse_args(
        ["--gate", "p99<=+5%", "--gate=mean<=+1%", "--json", "--html", "x.html"]
    )
    assert ab._passed(options, journal.new(tmp_path, "ab")) == [
        "--gate=p99<=+5%",
        "--gate=mean<=+1%",
        "--json",
        "--html=x.html",
    ]


def test_a_folder_with_runs_is_not_added_to(tmp_path, capsys, measured):
    (tmp_path / "b").mkdir()
    assert cli.main(["ab", "--output", str(tmp_path), *BOTH]) == 2
    assert "already holds runs" in capsys.readouterr().err
    assert not measured.plans


def test_both_are_measured_so_many_times_and_compared(tmp_path, capsys, measured):
    folder = tmp_path / "ab"
    assert cli.main(["ab", "-n", "4", "--output", str(folder), *BOTH]) == 0
    said = capsys.readouterr()
    assert "4 interleaved pairs" in said.out
    assert said.err.count("omrig: round ") == 8
    assert "omrig: round 4 of 4: B " in said.err
    about = content(folder)
    assert about["rule"]["rounds"] == 4
    assert (about["decision"], about["complete"]) == (None, True)
    assert len(measured.plans) == 8
    assert about["configurations"][1]["arguments"][-2:] == ["--executor", "threading"]


def test_the_number_of_rounds_is_a_default_or_a_limit(tmp_path):
    parser = parser_of("ab", [])[1]

    def rule(*arguments):
        return experiments.rule(parser.parse_args(arguments), [], ab.DEFAULT_ROUNDS)

    assert rule().rounds == 10
    assert rule("--pairs", "3").rounds == 3
    assert rule("--until", "decided").rounds == experiments.MOST_ROUNDS
    assert rule("--until", "decided", "--rounds", "7").rounds == 7
    assert rule("--margin", "2").margin == 0.02
    assert rule("--until=decided").metrics == ("throughput", "p50", "cpu")
    open_loop = configuration("a", ["--rate", "10", "-m", "5"])
    options = parser.parse_args(["--until", "decided"])
    assert experiments.rule(options, [open_loop], 10).metrics == ("p50", "p99", "cpu")


def test_until_it_is_decided_the_decision_is_the_first_line(tmp_path, capsys, measured):
    measured.factors = {"b": {"factor": 1.2, "cpu": 1.2}}
    folder = tmp_path / "ab"
    arguments = ["--until", "decided", "--gate", "p50<=+5%", "--gate", "p50<=+90%"]
    assert cli.main(["ab", *arguments, "--output", str(folder), *BOTH]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("> NEW is different: throughput -1")
    assert "rounds went on until it was decided" in out
    assert "met: p50<=+90%" in out
    about = content(folder)
    assert about["decision"]["word"] == "different"
    assert about["rule"]["gates"] == ["p50<=+5%", "p50<=+90%"]
    # The same later, whoever asks.
    sides = [str(folder / name) for name in "ab"]
    assert cli.main(["compare", *sides, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decision"] == about["decision"]
    assert found["call"]["word"] == "slower"
    assert found["call"]["head"] == about["decision"]["text"]
    assert cli.main(["compare", *reversed(sides), "--json"]) == 0
    assert "decision" not in json.loads(capsys.readouterr().out)


def test_what_is_not_decided_is_not_called_by_the_comparison(tmp_path, capsys, measured):
    measured.noise = 0.3
    folder = tmp_path / "ab"
    arguments = ["-n", "5", "--until", "decided", "--output", str(folder)]
    assert cli.main(["ab", *arguments, *BOTH]) == 0
    assert capsys.readouterr().out.lstrip().startswith("> undecided after 4 rounds: ")
    about = content(folder)
    assert about["complete"]
    # After the fifth nobody would look.
    assert len(about["rounds"]) == 4
    assert about["reason"] == "undecided after as many rounds as there may be"
    # More rounds are the rest of the same experiment.
    measured.noise = 0.001
    seed = about["seed"]
    assert cli.main(["ab", "--resume", str(folder), "-n", "6"]) == 0
    assert capsys.readouterr().out.lstrip().startswith("> undecided after 6 rounds: ")
    assert (content(folder)["seed"], len(content(folder)["rounds"])) == (seed, 6)


def test_a_margin_is_answered_of_a_fixed_number_too(tmp_path, capsys, measured):
    measured.noise = 0.005
    page = tmp_path / "c.html"
    arguments = ["-n", "5", "--margin", "5%", "--html", str(page)]
    assert cli.main(["ab", *arguments, "--output", str(tmp_path / "ab"), *BOTH]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("> no significant change: throughput")
    assert "NEW is the same within 5 %: throughput" in out
    assert "rounds went on" not in out
    assert "NEW is the same within 5 %: throughput" in page.read_text()


def test_what_failed_is_gone_on_with(tmp_path, capsys, measured):
    folder = tmp_path / "ab"
    measured.fails = {"a/02"}
    assert cli.main(["ab", "-n", "3", "--output", str(folder), *BOTH]) == 1
    err = capsys.readouterr().err
    assert "run a of round 2 failed: the consumer died" in err
    assert f"omrig ab --resume {folder} goes on" in err
    assert cli.main(["ab", "--resume", str(folder)]) == 0
    assert len(content(folder)["rounds"]) == 3
    runs = len(measured.plans)
    # What is over is shown again, and not measured.
    assert cli.main(["ab", "--resume", str(folder)]) == 0
    assert "3 interleaved pairs" in capsys.readouterr().out
    assert len(measured.plans) == runs
    assert (folder / "a" / "02.incomplete").is_dir()


def test_interrupted_it_shows_what_there_is(tmp_path, capsys, measured):
    folder = tmp_path / "ab"
    measured.raises = {"a/04": KeyboardInterrupt()}
    assert cli.main(["ab", "-n", "9", "--output", str(folder), *BOTH]) == 130
    assert "throughput" in capsys.readouterr().out
    assert (content(folder)["complete"], content(folder)["reason"]) == (False, "interrupted")


def test_an_interrupt_before_there_is_a_round_does_not_deny_what_was_measured(
    tmp_path, capsys, measured
):
    measured.raises = {"a/01": KeyboardInterrupt()}
    assert cli.main(["ab", "--quiet", "--output", str(tmp_path / "ab"), *BOTH]) == 130
    said = "omrig: interrupted before there was a round to compare\n"
    assert capsys.readouterr().err == said


def test_there_is_no_round_that_time_does_not_allow(tmp_path, capsys, measured):
    folder = tmp_path / "ab"
    arguments = ["--max-minutes", "0.0000001", "--output", str(folder)]
    assert cli.main(["ab", *arguments, *BOTH]) == 1
    assert "omrig: nothing was measured: --max-minutes 1e-07" in capsys.readouterr().err
    assert not measured.plans
    about = content(folder)
    assert about["reason"] == "--max-minutes 1e-07: there was no time for another round"


def test_a_password_is_not_kept_and_asked_for_again(tmp_path, capsys, measured):
    folder = tmp_path / "ab"
    secret = ("--transport-url", "rabbit://u:hush@elsewhere/")
    both = ("--", "-m", "5", *secret, "--", "-m", "5", *URL)
    assert cli.main(["ab", "-n", "3", "--output", str(folder), *both]) == 0
    assert "hush" not in (folder / "experiment.json").read_text()
    assert cli.main(["ab", "--resume", str(folder), "-n", "4"]) == 2
    assert "holds a password, which was not kept" in capsys.readouterr().err
    others = ("--", "-m", "6", *secret, "--", "-m", "5", *URL)
    assert cli.main(["ab", "--resume", str(folder), "-n", "4", *others]) == 2
    assert "other configurations than it began with" in capsys.readouterr().err
    assert cli.main(["ab", "--resume", str(folder), "-n", "4", *both]) == 0
    assert len(content(folder)["rounds"]) == 4
    assert measured.plans[-1].transport.url in (secret[1], URL[1])


@pytest.mark.parametrize("option", ["--margin=3%", "--until=decided", "--metric=p50", "--output=x"])
def test_an_experiment_goes_on_as_it_began(option, tmp_path, capsys, measured):
    folder = tmp_path / "ab"
    assert cli.main(["ab", "-n", "3", "--output", str(folder), *BOTH]) == 0
    assert cli.main(["ab", "--resume", str(folder), option]) == 2
    assert "goes on as it began; leave it out" in capsys.readouterr().err


def test_one_of_another_kind_is_refused(tmp_path):
    about = journal.new(tmp_path, "sweep")
    about.write()
    options = parser_of("ab", [])[1].parse_args(["--resume", str(tmp_path)])
    with pytest.raises(UsageError, match="is of omrig sweep"):
        experiments.resumed(options, "ab")


def test_a_duet_says_what_its_figures_are(tmp_path, capsys, measured, monkeypatch):
    monkeypatch.setattr("omrig.cli.duet.measure", measured.at_once)
    measured.noise = 0.005
    folder, page = tmp_path / "ab", tmp_path / "c.html"
    arguments = ["--duet", "--until", "decided", "--output", str(folder), "--html", str(page)]
    both = ("--", "--duration", "1", *URL, "--", "--duration", "1", *URL)
    assert cli.main(["ab", *arguments, *both]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("> NEW is the same within 5 %: throughput ")
    assert "both ran at once and shared one core" in out
    assert "Both ran at once" in page.read_text()
    assert content(folder)["rule"]["duet"]
    assert len(measured.duets) == 4
    # A fixed number of rounds, of which nothing is decided, says it, too.
    assert cli.main(["ab", "--duet", "-n", "2", "--output", str(tmp_path / "n"), *both]) == 0
    assert "both ran at once" in " ".join(capsys.readouterr().out.split())
