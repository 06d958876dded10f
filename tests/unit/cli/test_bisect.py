"""omrig bisect: what its command line takes, refuses in one line, and ends with."""

import json
import subprocess

import pytest
from packaging.version import Version

from omrig import cli
from omrig.cli import bisect, run
from omrig.environments import making
from omrig.experiment import releases
from omrig.model.errors import RunError, UsageError
from tests.unit.experiment.measured import Measured

TRANSPORT = ["--transport-url", "rabbit://nowhere/"]


class Measuring(Measured):
    """Measures what a plan asks for: ``slow`` are the versions that take twice as long."""

    def __init__(self, slow=(), noise=0.02):
        super().__init__({}, noise)
        self.slow = slow

    def __call__(self, plan, display, interrupts, broker=None):
        version = plan.software.requirements[0].rpartition("==")[2]
        name = plan.output.folder.rpartition("/")[0].rpartition("/")[2]
        self.factors[name] = {"factor": 2.0 if version in self.slow else 1.0}
        return super().__call__(plan, display, interrupts, broker)


@pytest.fixture(autouse=True)
def index(monkeypatch, tmp_path):
    """An index of six releases of p, and environments that need no making."""

    def listed(package, pre_releases=False):
        if package not in ("p", "oslo.messaging"):
            raise UsageError(f"no release of {package!r} on the package index")
        return [Version(f"{each}.0") for each in range(1, 7)]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(releases, "listed", listed)
    monkeypatch.setattr(making, "make", lambda *_: None)


@pytest.fixture
def measuring(monkeypatch):
    made = Measuring()
    monkeypatch.setattr(run, "measure", made)
    return made


def bisected(*arguments, rest=()):
    return cli.main(["bisect", *arguments, "--", *TRANSPORT, *rest])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "bisect: --good and --bad are needed; use omrig bisect --good A --bad B"),
        (["--good", "p==1.0"], "bisect: --good and --bad are needed"),
        (["--good", "nothing==1", "--bad", "2"], "no release of 'nothing'"),
        (["--good", "p==1.0", "--bad", "p==1"], "--bad: p==1 is the good one, too"),
        (["--good", "p==1.0", "--bad", "q==2"], "--bad: q==2 is of another package than p==1.0"),
        (["--good", "p>=1.0", "--bad", "2"], "--good: 'p>=1.0' is not one release"),
        (["--good", "p", "--bad", "2"], "--good: 'p' is not one release"),
        (["--good", "1", "--bad", "p==2.*"], "--bad: 'p==2.*' is not one release"),
        (["--good", "a b", "--bad", "2"], "--good: 'a b' is no release"),
        (["--good", "p==8", "--bad", "9"], "--bad: 6.0 is the only release near p==8 and 9"),
        (["--good", "1", "--bad", "5", "--gate", "p50"], "--gate: 'p50' is no gate"),
        (["--good", "1", "--bad", "5", "--gate", "p51<=+5%"], "there is no metric 'p51'"),
        (["--good", "1", "--bad", "5", "--gate", "p50<=-50%"], "the good one breaks it"),
        (["--good", "1", "--bad", "5", "-n", "3"], "-n: 3 rounds decide nothing; 4 are the least"),
        (
            ["--good", "1", "--bad", "5", "--margin", "5x"],
            "--margin: '5x' is not a percentage between",
        ),
        (["--good", "1", "--bad", "5", "--max-minutes", "0"], "--max-minutes: 0 is not minutes"),
        (
            ["--good", "1", "--bad", "3", "--versions", "2,5"],
            "--versions: 5 is not between 1 and 3",
        ),
        (["--good", "1", "--bad", "3", "--versions", "x"], "--versions: 'x' is no version"),
        (["--good", "1", "--bad", "2", "--source", "nowhere"], "--source: nowhere is no folder"),
        (["--good", "1", "--bad", "2", "--source", "."], "--source: git: not a git repository"),
        (
            ["--good", "1", "--bad", "2", "--source", "https://me:geheim@host/x.git"],
            "--source: holds a login",
        ),
        (
            ["--good", "1", "--bad", "2", "--source", "https://geheim@h/x"],
            "--source: holds a login",
        ),
        (["--resume", "nowhere"], "--resume: nowhere/bisect.json: No such file"),
        (["--resume", ".", "--good", "1"], "--resume: goes on with what was asked"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(arguments, said, capsys):
    assert bisected(*arguments) == cli.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert "geheim" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (["-m", "x"], "after --: -m/--message_count: 'x' is not a whole number"),
        (["--output", "here"], "after --: --output: goes before the first --"),
        (["--with", "P==2.0"], "--with: P==2.0: the search chooses which p is measured"),
    ],
)
def test_options_of_the_run_are_refused_before_anything_is_measured(rest, said, capsys):
    assert bisected("--good", "p==1.0", "--bad", "5.0", rest=rest) == cli.USAGE
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_empty_is_refused(tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    assert bisected("--good", "1", "--bad", "5", "--output", "there") == cli.USAGE
    assert "--output: there already holds runs" in capsys.readouterr().err


def test_a_search_names_the_first_bad_release(measuring, tmp_path, capsys):
    measuring.slow = ("4.0", "5.0")
    arguments = ["--good", "p==1.0", "--bad", "5.0", "--gate", "p50<=+50%", "--output", "found"]
    assert bisected(*arguments, "--json", "copy.json", rest=["-w", "3"]) == 0
    shown = capsys.readouterr()
    assert "4.0 is the first that breaks p50<=+50%, and 3.0 the last that keeps it" in shown.out
    assert "the search from 1.0 to 5.0 has 5 candidates" in shown.err
    about = json.loads((tmp_path / "found" / "bisect.json").read_text())
    assert about["answer"]["first_bad"] == {"name": "4.0", "requirement": "p==4.0"}
    assert about["complete"] and about == json.loads((tmp_path / "copy.json").read_text())
    experiment = json.loads((tmp_path / "found" / "experiment.json").read_text())
    assert experiment["kind"] == "bisect" and experiment["complete"]
    assert experiment["configurations"][1]["arguments"][:2] == ["--with", "p==5.0"]
    assert all(plan.load.workers == 3 for plan in measuring.plans)


def test_an_end_that_does_not_exist_is_replaced_and_that_is_said(measuring, capsys):
    measuring.slow = ("5.0", "4.0")
    arguments = ["--good", "p==0.5", "--bad", "4.5", "--gate", "p50<=+50%"]
    assert bisected(*arguments) == 0
    error = capsys.readouterr().err
    assert "--good: there is no 0.5 on the package index; 1.0 is the nearest" in error
    assert "--bad: there is no 4.5 on the package index; 5.0 is the nearest" in error


def test_an_older_one_may_be_the_bad_one(measuring, capsys):
    measuring.slow = ("1.0", "2.0")
    assert bisected("--good", "p==5.0", "--bad", "1.0", "--gate", "p50<=+50%") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "2.0 is the first going back that breaks p50<=+50%" in text
    assert "what changed came with 3.0" in text


def test_listed_versions_are_the_candidates(measuring, capsys):
    measuring.slow = ("4.0", "5.0")
    arguments = ["--good", "p==1.0", "--bad", "5.0", "--gate", "p50<=+50%"]
    assert bisected(*arguments, "--versions", "3.0,4.0", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["candidates"]] == ["1.0", "3.0", "4.0", "5.0"]


def test_ends_that_are_alike_end_with_3(measuring, capsys):
    assert bisected("--good", "p==1.0", "--bad", "5.0", "--gate", "p50<=+50%") == bisect.NOT_FOUND
    assert "nothing to bisect: 5.0, the bad one, keeps the gate" in capsys.readouterr().out


def test_a_search_that_was_broken_off_goes_on(measuring, tmp_path, capsys):
    measuring.slow = ("4.0", "5.0")
    measuring.raises = {"02-good/02": RunError("the broker died")}
    arguments = ["--good", "p==1.0", "--bad", "5.0", "--gate", "p50<=+50%", "--output", "found"]
    assert bisected(*arguments) == cli.INCOMPLETE
    assert "omrig bisect --resume found goes on" in capsys.readouterr().err
    assert cli.main(["bisect", "--resume", "found", "--", "-m", "7"]) == cli.USAGE
    assert "--resume: the options after -- were others" in capsys.readouterr().err
    assert cli.main(["bisect", "--resume", "found"]) == 0
    assert "4.0 is the first that breaks p50<=+50%" in capsys.readouterr().out
    runs = len(measuring.plans)
    assert cli.main(["bisect", "--resume", "found", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"]["stage"]
    assert len(measuring.plans) == runs


def test_more_rounds_may_decide_what_was_left_open(measuring, tmp_path, capsys):
    measuring.slow, measuring.noise = ("3.0", "4.0", "5.0"), 0.15
    arguments = ["--good", "p==1.0", "--bad", "5.0", "--gate", "p50<=+50%", "--output", "found"]
    assert bisected(*arguments, "-n", "4") == bisect.NOT_FOUND
    assert "is not decided after 4 rounds" in " ".join(capsys.readouterr().out.split())
    runs = len(measuring.plans)
    assert cli.main(["bisect", "--resume", "found"]) == bisect.NOT_FOUND
    assert len(measuring.plans) == runs
    measuring.noise = 0.02
    assert cli.main(["bisect", "--resume", "found", "-n", "9"]) == 0
    assert "3.0 is the first that breaks" in capsys.readouterr().out


def test_a_password_in_the_options_is_not_kept(measuring, tmp_path, capsys):
    login = ["--transport-url", "rabbit://me:geheim@nowhere/"]
    measuring.raises = {"01-good/02": RunError("the broker died")}
    arguments = ["--good", "p==1.0", "--bad", "5.0", "--gate", "p50<=+50%", "--output", "found"]
    cli.main(["bisect", *arguments, "--max-minutes", "60", "--", *login])
    cli.main(["bisect", "--resume", "found", "--", *login])
    shown = capsys.readouterr()
    files = [path.read_text() for path in (tmp_path / "found").glob("*.json")]
    assert len(files) == 2
    assert not any("geheim" in text for text in (*files, shown.out, shown.err))
    assert cli.main(["bisect", "--resume", "found"]) == cli.USAGE
    assert "held a password, which is not kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("slow", "refused", "status"), [((), None, 0), (("2",), None, 1), ((), "no wheel", 125)]
)
def test_one_candidate_ends_as_git_bisect_run_reads_it(
    measuring, monkeypatch, slow, refused, status
):
    def make(requirements, *_):
        if refused and requirements[0].endswith("==2"):
            raise UsageError(refused)

    monkeypatch.setattr(making, "make", make)
    measuring.slow = slow
    arguments = ["--test", "p==2", "--good", "p==1.0", "--gate", "p50<=+50%"]
    assert bisected(*arguments) == status


@pytest.mark.parametrize(
    "arguments",
    [
        ["--test", "."],
        ["--test", ".", "--good", "1.0"],
        ["--test", ".", "--good", "1.0", "--bad", "2.0", "--gate", "p50<=+5%"],
        ["--test=.", "--good", "1.0", "--gat", "p50<=+5%"],
        ["--test", ".", "--good", "1.0", "--gate", "p50"],
    ],
)
def test_a_mistake_is_not_taken_for_a_bad_one_by_git_bisect_run(arguments, capsys):
    assert bisected(*arguments) == cli.ABORTED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_good_one_that_fails_is_no_answer_for_git_bisect_run(measuring):
    measuring.raises = {"01-good/01": RunError("the broker died")}
    arguments = ["--test", "p==2", "--good", "p==1.0", "--gate", "p50<=+50%"]
    assert bisected(*arguments) == cli.ABORTED


def test_commits_of_a_checkout_are_candidates(measuring, tmp_path, capsys):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    for number in range(4):
        message = ["commit", "-q", "--allow-empty", "-m", f"number {number}"]
        subprocess.run([*git, *message], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD~1"], capture_output=True, check=True)
    sha = head.stdout.decode().strip()
    measuring.slow = ()
    arguments = ["--source", ".", "--good", "HEAD~3", "--bad", "HEAD", "--gate", "p50<=+50%"]
    assert bisected(*arguments, "--json") == bisect.NOT_FOUND
    found = json.loads(capsys.readouterr().out)["candidates"]
    assert [each["subject"] for each in found] == [f"number {each}" for each in range(4)]
    assert found[2]["requirement"] == f"git+file://{tmp_path}@{sha}"
    assert found[2]["name"] == sha[:9]
