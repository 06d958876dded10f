"""``omrig fleet`` as a user types it, on a cluster of its own on this host."""

import json
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.functional.conftest import result_of

MESSAGES = 300
CORE_SHARE = 0.005


@pytest.fixture
def spool(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OMRIG_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def runs(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_a_run_on_a_local_cluster(run, broker, spool, tmp_path) -> None:
    status, out, err = run(
        "fleet", "--local", 2, "--producers", 2, "--oversubscribe", "--",
        "--transport-url", broker.url, "-m", MESSAGES, "-w", 2, "--rate", 60,
        "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    result, about = result_of(tmp_path / "r"), runs(tmp_path / "r")
    assert result["complete"]
    assert result["messages"]["sent"] == result["messages"]["received"] == MESSAGES
    (host,) = about["fleet"]["hosts"]
    assert about["fleet"]["kind"] == "local"
    assert host["members"] == ["producer-1", "producer-2", "consumer"]
    assert host["address"] == "127.0.0.1"
    # One machine has one clock, and what was measured of the start is wrong by half at most.
    assert 2 * abs(host["offset_ns"]) <= host["round_trip_ns"]
    # Of two workers, each with members of its own.
    assert host["engine_cpu_seconds"] / host["engine_wall_seconds"] < 2 * CORE_SHARE
    assert host.get("left_in") is None
    assert list(spool.iterdir()) == []
    assert "AMQP" in out
    assert "s3cret" not in err


@pytest.fixture
def loaded(start, broker, spool):
    """A fleet in the middle of a load that would last minutes, and all of its processes."""
    process = start(
        "fleet", "--local", 2, "--",
        "--transport-url", broker.url, "-m", 20000, "-w", 2, "--rate", 50, "--output", "r",
    )  # fmt: skip
    said = ""
    for line in process.stderr:
        said += line
        if re.search(r" [1-9]\d*/[\d,]+ messages", line):
            break
    assert process.poll() is None, said
    all_of_it = descendants(process.pid)
    members = [each for each in all_of_it if "omrig.measured.process" in each.cmdline()]
    assert len(members) == 2
    return process, all_of_it


def are_gone(processes, within_s=15.0) -> bool:
    return not psutil.wait_procs(processes, timeout=within_s)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_measured_until_an_interrupt_is_shown(loaded, tmp_path, number) -> None:
    process, all_of_it = loaded
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    result = result_of(tmp_path / "r")
    assert 0 < result["messages"]["sent"] < 20000
    assert "AMQP" in out
    assert are_gone(all_of_it)


def test_what_a_killed_coordinator_left_is_fetched_later(loaded, run, spool, tmp_path) -> None:
    process, all_of_it = loaded
    process.kill()
    process.wait()
    assert are_gone(all_of_it)
    (host,) = runs(tmp_path / "r")["fleet"]["hosts"]
    assert Path(host["left_in"]).parent == spool
    status, out, err = run("fleet", "--local", 1, "--resume", "r")
    # The run was cut short, and all of it that there is, is there.
    assert status == 1, err
    result = result_of(tmp_path / "r")
    assert result["messages"]["sent"] > 0
    assert result["messages"]["received"] > 0
    assert "AMQP" in out
    assert list(spool.iterdir()) == []
    assert (tmp_path / "r/hosts" / host["name"] / "machine.csv").exists()
    status, _, err = run("fleet", "--local", 1, "--resume", "r")
    assert status == 2
    assert err.startswith("omrig: --resume: everything of the run was collected")


def test_a_fleet_that_cannot_be_writes_one_line_and_no_folder(run, broker, tmp_path) -> None:
    cores = len(os.sched_getaffinity(0))
    for arguments, said in (
        (["--on", "producers=elsewhere"], "there is no host 'elsewhere' in the fleet; it has"),
        (["--producers", str(cores + 1)], "--oversubscribe: "),
    ):
        began = time.monotonic()
        status, out, err = run(
            "fleet", "--local", 1, *arguments, "--", "--quiet", "--transport-url", broker.url,
            "-m", 100,
        )  # fmt: skip
        assert (status, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
        assert time.monotonic() - began < 60
    assert not (tmp_path / "omrig-runs").exists()
