"""omrig sweep: what its command line takes, and how points are measured."""

import json

import pytest

from omrig import cli
from omrig.cli import experiments, factors, sweep
from omrig.cli.main import parser_of
from omrig.experiment import journal
from omrig.model.errors import RunError
from tests.unit.experiment.measured import Measured

SLOW = {"factor": 1.5}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--"], "sweep: nothing is varied; give --set NAME=A,B"),
        (["--set", "rpc_conn_pool_size=4", "--"], "--set: rpc_conn_pool_size has one level only"),
        (
            ["--set", "rpc_con_pool_size=4,8", "--"],
            "has no option 'rpc_con_pool_size'; the nearest: [oslo_messaging_rabbit]"
            " rpc_conn_pool_size",
        ),
        (["--set", "rpc_conn_pool_size=4,x", "--"], "rpc_conn_pool_size takes a whole number"),
        (["--set", "rpc_conn_pool_size=4,4", "--"], "has the level 4 twice"),
        (
            ["--set", "rpc_conn_pool_size=4,8", "--", "--set", "rpc_conn_pool_size=5"],
            "--set: rpc_conn_pool_size is varied and set",
        ),
        (
            ["--set", "rpc_conn_pool_size=4,8", "--set", "rpc_conn_pool_size=2,3", "--"],
            "rpc_conn_pool_size is varied twice",
        ),
        (
            ["--set", "executor_thread_pool_size=4,8", "--", "--executor-pool-size", "5"],
            "executor_thread_pool_size does nothing beside --executor-pool-size",
        ),
        (["--vary", "executer=a,b", "--"], "no option --executer; the nearest: executor"),
        (["--vary", "executor=eventlet,fibres", "--"], "executor=fibres: --executor: unknown"),
        (["--vary", "twin=a,b", "--"], "--vary: --twin takes no value"),
        (["--vary", "set=a,b", "--"], "--vary: set: give --set OPTION=A,B"),
        (
            ["--vary", "worker_count=1,2", "--", "-w", "5"],
            "--vary: worker_count is varied and set",
        ),
        (["--set", "rpc_conn_pool_size=4,8", "--", "-m", "x"], "sweep: -m/--message_count"),
        (["--set", "rpc_conn_pool_size=4,8", "--metric", "speed", "--"], "no metric 'speed'"),
        (["--set", "rpc_conn_pool_size=4,8", "--", "--json"], "sweep: --json: goes before"),
        (["-n", "0", "--set", "rpc_conn_pool_size=4,8", "--"], "-n/--rounds"),
        (["--resume", "nowhere"], "--resume: nowhere/experiment.json"),
        (["--resume", "x", "--set", "a=1,2"], "leave --set and --vary out"),
        (["--html", "nowhere/x.html", "--set", "rpc_conn_pool_size=4,8", "--"], "--html: "),
    ],
)
def test_what_is_wrong_is_said_in_a_line_before_anything_is_measured(
    arguments, words, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_not_varied(capsys):
    assert cli.main(["sweep", "--set", "ssl_client_key_password=hunter,geheim", "--"]) == 2
    err = capsys.readouterr().err
    assert "ssl_client_key_password is a secret" in err
    assert "hunter" not in err


def test_levels_and_defaults_become_factors_and_configurations():
    found = factors.read(["rpc_conn_pool_size=30,4"], ["executor=threading,eventlet"], ["-m", "20"])
    assert [each.name for each in found] == ["rpc_conn_pool_size", "executor"]
    assert found[0].levels == ("4", "30")
    assert (found[0].default, found[1].default) == ("30", "eventlet")
    points = factors.points(found, ["-m", "20"])
    assert [each.name for each in points][:2] == [
        "rpc_conn_pool_size=4,executor=threading",
        "rpc_conn_pool_size=4,executor=eventlet",
    ]
    assert points[0].plan.load.executor == "threading"
    assert points[0].plan.load.messages == 20
    assert points[0].plan.transport.assigned == ("rpc_conn_pool_size=4",)


@pytest.fixture
def measuring(monkeypatch):
    """The command with synthetic runs; a level of 4 threads is slower than others."""
    measured = Measured({"executor_thread_pool_size=4": SLOW}, noise=0.01)
    monkeypatch.setattr(experiments, "tools", lambda *_: measured.tools)
    return measured


OPTIONS = ["--", "-m", "20", "--transport-url", "rabbit://elsewhere/"]


def swept(folder, *arguments, levels="4,8,16", options=OPTIONS):
    given = ["--set", f"executor_thread_pool_size={levels}", "--output", str(folder)]
    return cli.main(["sweep", *given, *arguments, *options])


def read(folder, name="sweep.json"):
    return json.loads((folder / name).read_text())


def test_all_points_are_measured_in_rounds_and_the_best_is_told(measuring, tmp_path, capsys):
    folder = tmp_path / "s"
    assert swept(folder, "-n", "5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == read(folder)
    assert found["rounds"] == 5
    assert (found["knee"], found["decided"]) == ("8", True)
    assert found["points"][0]["standing"] == "worse"
    assert sorted(measuring.order)[:5] == [f"executor_thread_pool_size=16/0{at}" for at in
                                           range(1, 6)]  # fmt: skip
    about = read(folder, journal.NAME)
    assert about["kind"] == "sweep"
    assert about["factors"][0]["levels"] == ["4", "8", "16"]
    assert about["complete"]
    assert "elsewhere" in json.dumps(about["configurations"])
    assert "<html" in (folder / "sweep.html").read_text()
    # Measured already: it is shown again.
    assert cli.main(["sweep", "--resume", str(folder)]) == 0
    assert "executor_thread_pool_size=8 is recommended" in capsys.readouterr().out
    assert len(measuring.plans) == 15


def test_until_decided_it_ends_when_every_point_is(measuring, tmp_path, capsys):
    assert swept(tmp_path / "s", "--until", "decided", "--margin", "10%") == 0
    found = read(tmp_path / "s")
    assert found["decided"]
    assert found["rounds"] < 40
    assert found["margin"] == 0.1
    assert "executor_thread_pool_size=8 is recommended" in capsys.readouterr().out


def test_a_level_that_fails_is_left_out_and_the_rest_goes_on(measuring, tmp_path, capsys):
    measuring.fails = {"executor_thread_pool_size=16/02"}
    assert swept(tmp_path / "s", "-n", "4") == 0
    found = read(tmp_path / "s")
    last = found["points"][-1]
    assert last["standing"] == "failed"
    assert "the consumer died" in last["failed"]
    assert last["rounds"] == 1
    assert found["rounds"] >= 4
    assert "executor_thread_pool_size=16 is left out" in " ".join(capsys.readouterr().out.split())
    assert any("is left out from now on" in line for line in measuring.said)


def test_fewer_than_two_points_are_no_sweep(measuring, tmp_path, capsys):
    measuring.raises = {f"executor_thread_pool_size={level}/01": RunError(f"no {level}")
                        for level in (4, 16)}  # fmt: skip
    assert swept(tmp_path / "s", "-n", "3") == 1
    err = capsys.readouterr().err
    assert "fewer than two points could be measured" in err
    assert "no 16" in err
    assert not read(tmp_path / "s", journal.NAME)["complete"]


def test_interrupted_it_shows_what_there_is_and_goes_on(measuring, tmp_path, capsys):
    folder = tmp_path / "s"
    measuring.raises = {"executor_thread_pool_size=8/03": KeyboardInterrupt()}
    assert swept(folder, "-n", "4") == 130
    assert read(folder)["rounds"] == 2
    assert "executor_thread_pool_size" in capsys.readouterr().out
    assert cli.main(["sweep", "--resume", str(folder), *OPTIONS]) == 0
    assert read(folder)["rounds"] == 4
    assert len([run for run in measuring.order if run.endswith("=8/03")]) == 2
    assert cli.main(["sweep", "--resume", str(folder), "--", "-m", "21"]) == 2
    assert "other options than it began with" in capsys.readouterr().err


def test_interrupted_before_there_is_a_round_it_says_so(measuring, tmp_path, capsys):
    measuring.raises = {f"executor_thread_pool_size={level}/01": KeyboardInterrupt()
                        for level in (4, 8, 16)}  # fmt: skip
    assert swept(tmp_path / "s") == 130
    assert capsys.readouterr().err == ("omrig: interrupted before there was a round to compare\n")


def test_an_open_loop_goes_by_the_mean_latency(measuring, tmp_path):
    options = ["--", "--rate", "50", *OPTIONS[1:]]
    assert swept(tmp_path / "s", "-n", "3", options=options) == 0
    found = read(tmp_path / "s")
    assert found["metric"] == "mean"
    assert "an open loop of 50 messages/s" in found["load"]


def test_the_help_names_both_kinds_of_factors():
    text = parser_of("sweep", [])[1].format_help()
    assert "--set" in text
    assert "--vary" in text
    assert sweep.DEFAULT_ROUNDS == 6
