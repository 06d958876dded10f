"""What is sampled from the parent process, in real runs."""

import csv
import json

import numpy
import pytest

from omrig.recordings import series
from omrig.supervisor import sampler
from tests.functional.conftest import result_of


@pytest.fixture(scope="module")
def loaded(broker, tmp_path_factory):
    """The folder of a run that asks for the modes by name."""
    import subprocess
    import sys

    home = tmp_path_factory.mktemp("resources")
    arguments = "run -m 1500 -w 20 --executor threading --profile none,resources,memory --quiet"
    command = [sys.executable, "-m", "omrig", *arguments.split(), "--output", "r"]
    done = subprocess.run(
        [*command, "--transport-url", broker.url],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return home / "r", done.stdout


def test_every_process_has_its_series(loaded, broker):
    folder, _ = loaded
    run = json.loads((folder / "run.json").read_text())
    assert run["broker_process"] == {"pid": broker.beam_pid, "name": "beam.smp", "reason": None}
    assert run["sampling"]["failure"] is None
    for name in ("producer", "consumer", "broker"):
        with (folder / name / series.PROCESS).open(newline="") as file:
            assert tuple(next(csv.reader(file))) == series.PROCESS_COLUMNS
        samples = series.read(folder / name / series.PROCESS)
        # As many as there was time for, but for turns that came late on a busy machine.
        lasted = run["sampling"]["wall_seconds"]
        assert 0.4 * lasted < len(samples["monotonic_ns"]) * sampler.INTERVAL_S <= 1.1 * lasted
        for column in series.PROCESS_COLUMNS:
            assert numpy.nanmax(samples[column]) > 0
    machine = series.read(folder / series.MACHINE)
    assert tuple(machine) == series.MACHINE_COLUMNS


def test_the_samples_agree_with_the_processes_own_readings(loaded):
    folder, _ = loaded
    result = result_of(folder)
    own = sampled = 0.0
    with numpy.load(folder / "producer/messages.npz") as times:
        lasted = (int(times["end_ns"].max()) - int(times["start_ns"].min())) / 1e9
    for side in result["sides"]:
        used = result["resources"][side]
        own += used["cpu_user_seconds"] + used["cpu_system_seconds"]
        sampled += used["sampled"]["cpu_share_mean"] * lasted
        # The process knows its peak between two samples, and while it shut down, too.
        assert 0.7 < used["sampled"]["peak_rss_bytes"] / used["peak_rss_bytes"] <= 1.01
    assert sampled == pytest.approx(own, rel=0.1)


def test_the_broker_and_the_machine_are_in_the_result_and_shown(loaded):
    folder, out = loaded
    result = result_of(folder)
    used = result["resources"]["broker"]
    assert used["cpu_user_seconds"] > 0
    assert used["sampled"]["cpu_share_mean"] > 0
    assert used["process"] == "beam.smp"
    (machine,) = result["machines"]
    assert 0 < machine["busy_share"] <= 1
    assert "broker    " in out and "in the busiest second" in out
    assert "machine   " in out


def test_memory_is_fitted_and_shown(loaded):
    folder, out = loaded
    found = result_of(folder)["profiles"]
    assert set(found) == {"producer", "consumer"}
    for side in found:
        assert found[side]["memory"]["samples"] > 0
        assert (folder / side / series.MPROF).read_text().startswith("CMDLINE ")
        assert f"memory of the {side}:" in out
    assert "mprof plot " in out


def test_lines_need_targets(run, broker, tmp_path):
    status, _, err = run(
        "run", "--profile", "memory-lines", "--transport-url", broker.url, "--output", "m"
    )
    assert status == 2
    assert "--target MODULE:FUNCTION" in err
    assert not (tmp_path / "m").exists()
    status, _, err = run(
        "run", "--profile", "memory-lines", "--target", "omrig.measured.load.consumer:Endpoint.no",
        "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 2
    assert "omrig.measured.load.consumer has no function 'Endpoint.no'" in err
    status, _, err = run("run", "--profile", "memory-lines,lines", "--target", "impl_rabbit")
    assert status == 2
    assert "both need the trace function of every thread" in err
