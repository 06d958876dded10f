"""The optional profiler modes in runs through a real RabbitMQ."""

import json
import re

import jsonschema
import pytest

from omrig.formats import stacks
from omrig.report.files import speedscope
from tests.functional.conftest import result_of
from tests.unit.formats.test_stacks import SCHEMA


def flame_graphs(path):
    """The profiles in a file, which is as speedscope wants it."""
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    return stacks.read_speedscope(path)


def opened(out):
    """What the report tells to open, by file."""
    return {line.rpartition(" ")[2]: line for line in out.splitlines() if line.startswith("open ")}


@pytest.mark.parametrize(
    ("mode", "messages", "quiet", "slowed"),
    [
        ("memory", 60, False, False),
        ("yappi", 440, True, False),
        ("lines", 440, True, False),
        ("pyspy", 440, True, False),
        ("memray", 60, False, True),
        ("memory-lines", 60, False, True),
    ],
)
def test_every_mode_has_a_verdict_and_says_what_it_is_on(
    run, broker, mode, messages, quiet, slowed
):
    target = ("--target", "omrig.measured.load.consumer:Endpoint.message")
    status, out, err = run(
        "run", "-m", messages, "-w", 10, "--profile", mode, "--transport-url", broker.url,
        *(target if mode == "memory-lines" else ()), "--json",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    verdict, sliced = result["verdict"], result["slices"] or {}
    assert verdict["owner"] != "unknown", verdict["text"]
    assert len(result["stages"]) > 20
    assert (sliced.get("stages_of") == "unprofiled") == quiet
    assert ("disturbance" in sliced) == ("profiled" in verdict["evidence_kinds"]) == slowed
    assert verdict["text"].startswith(f"under {mode}, ") == slowed
    if slowed:
        assert f"went under {mode}: stages, books and verdict include" in sliced["text"]


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_pyspy_beside_stages(run, broker, tmp_path, executor):
    status, out, err = run(
        "run", "-m", 400, "-w", 10, "--profile", "stages,pyspy", "--executor", executor,
        "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    folder = tmp_path / "r"
    result = result_of(folder)
    files = opened(out)
    for side, role in (("producer", "producer worker"), ("consumer", "executor worker")):
        summary = result["profiles"][side]["pyspy"]
        assert summary["failed"] is None
        assert summary["samples"] > 10
        assert role in [row["role"] for row in summary["roles"]]
        assert f"py-spy, {side}: {summary['samples']:,} samples" in out
        profiles = flame_graphs(folder / side / "pyspy.speedscope.json")
        assert sum(len(profile.stacks) for profile in profiles) == summary["samples"]
        assert "npx --yes speedscope" in files[f"r/{side}/pyspy.speedscope.json"]
        assert f"r/{side}/pyspy.collapsed" in files
    # The stages of a message, drawn out of the same run.
    mean, _ = flame_graphs(folder / speedscope.FILE)
    whole = sum(result["waterfall"]["mean"].values())
    assert sum(weight for _, weight in mean.stacks) == pytest.approx(whole, rel=0.001)
    assert f"r/{speedscope.FILE}" in files


def test_memray_on_both_sides(run, broker, tmp_path):
    status, out, err = run(
        "run", "-m", 200, "-w", 10, "-s", 100, "--profile", "memray", "--executor", "threading",
        "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    files = opened(out)
    for side, function in (("producer", "_send"), ("consumer", "_process_incoming")):
        summary = result["profiles"][side]["memray"]
        assert summary["failed"] is None and summary["skipped"] is None
        assert summary["peak_bytes"] > 0
        # Each message of 100 KB is allocated on its way.
        assert summary["allocated_bytes"] > 200 * 100_000
        assert summary["allocations"] > 200
        assert f"memray, {side}: {summary['allocations']:,} allocations" in out
        page = (tmp_path / "r" / side / "memray.html").read_text()
        assert re.search(rf"\b{function}\b", page)
        assert "xdg-open" in files[f"r/{side}/memray.html"]
        assert "memray tree" in files[f"r/{side}/memray.bin"]
    assert (tmp_path / "r" / speedscope.FILE).exists()
