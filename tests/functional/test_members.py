"""Runs whose sides have several processes, through a real RabbitMQ: counted to the last message."""

import itertools
import json
import shutil

import psutil
import pytest

from tests.functional.conftest import result_of

MESSAGES = 400


def by_name(result):
    return {row["name"]: row for row in result["members"]}


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("pattern", ["call", "cast", "fanout"])
def test_every_message_is_counted_whoever_had_it(run, broker, tmp_path, executor, pattern):
    status, out, err = run(
        "run", "-m", MESSAGES, "-w", 5, "--producers", 2, "--consumers", 2, "--pattern", pattern,
        "--executor", executor, "--transport-url", broker.url, "--output", "r", "--json",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    assert result == result_of(tmp_path / "r")
    messages, rows = result["messages"], by_name(result)
    copies = 2 if pattern == "fanout" else 1
    assert messages["sent"] == MESSAGES
    assert messages["received"] == MESSAGES * copies
    assert messages["lost"] == messages["duplicated"] == messages["out_of_range"] == 0
    assert messages.get("expected") == (2 * MESSAGES if copies == 2 else None)
    assert list(rows) == ["producer-1", "producer-2", "consumer-1", "consumer-2"]
    assert [rows[f"producer-{n}"]["sent"] for n in (1, 2)] == [MESSAGES // 2] * 2
    received = [rows[f"consumer-{n}"]["received"] for n in (1, 2)]
    assert sum(received) == MESSAGES * copies
    assert all(row["complete"] and row["cpu_seconds"] > 0 for row in rows.values())
    assert result["spread"]["consumers"]["most"] == max(received)
    assert result["latency"]["count"] == MESSAGES
    books = result["closure"]
    assert books["messages"] == books["matched"] == MESSAGES
    assert books["within_tolerance"] >= 0.99 * MESSAGES
    assert books["negative_stages"] <= 0.01 * MESSAGES * copies
    assert sum(step["messages"] for step in result["throughput"]["series"]) == MESSAGES


def test_members_in_folders_of_their_own_are_merged(run, broker, tmp_path):
    status, _, err = run(
        "run", "-m", 200, "-w", 5, "--producers", 2, "--consumers", 2, "--executor", "threading",
        "--transport-url", broker.url, "--output", "whole", "--quiet",
    )  # fmt: skip
    assert status == 0, err
    about = json.loads((tmp_path / "whole/run.json").read_text())
    folders = []
    for side, counted in (("producer", {"producers": 2}), ("consumer", {"consumers": 2})):
        folder = tmp_path / side
        folder.mkdir()
        plan = {**about["plan"], "producers": 1, "consumers": 1, **counted}
        told = {**about, "plan": plan, "sides": [side], "began": None}
        (folder / "run.json").write_text(json.dumps(told))
        for number in (1, 2):
            shutil.copytree(tmp_path / "whole" / f"{side}-{number}", folder / f"{side}-{number}")
        folders.append(folder)
    status, out, err = run("report", *folders, "--json")
    assert status == 0, err
    merged, whole = json.loads(out), result_of(tmp_path / "whole")
    for key in ("messages", "stages", "closure", "latency"):
        assert merged[key] == whole[key]
    status, _, err = run("report", folders[0], folders[0])
    assert status == 2 and "is given twice" in err


def test_a_consumer_that_is_killed_is_named_and_no_answered_call_is_lost(start, broker, tmp_path):
    omrig = start(
        "run", "-m", 6000, "-w", 5, "--producers", 2, "--consumers", 2, "--timeout", 5,
        "--executor", "threading", "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    said = itertools.takewhile(lambda line: " msg/s" not in line, omrig.stderr)
    assert not [line for line in said if "error" in line]
    (victim,) = [
        each
        for each in psutil.Process(omrig.pid).children(recursive=True)
        if "omrig.measured.process consumer-2" in " ".join(each.cmdline())
    ]
    victim.kill()
    out, err = omrig.communicate(timeout=120)
    assert omrig.returncode == 1, err
    result = result_of(tmp_path / "r")
    assert not result["complete"]
    row = by_name(result)["consumer-2"]
    assert not row["complete"] and row["received"] is None
    assert "consumer-2" in result["reason"]
    messages = result["messages"]
    assert messages["sent"] == messages["replied"] + sum(messages["errors"].values())
    assert messages["lost"] == messages["sent"] - messages["replied"]
    assert "! consumer-2: it left no results" in out
