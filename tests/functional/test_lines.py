"""Mode `lines` in runs through a real RabbitMQ: a planted line has to be the hottest."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omrig.recordings import folder as run_folder
from tests.functional.conftest import result_of

MODULE = "oslo_messaging._drivers.impl_rabbit"

BURN_MS = 50
MESSAGES = 80

PLANTED = f"omrig_plant.burn({BURN_MS})"

PLANT = """
import time

def burn(milliseconds):
    end = time.perf_counter_ns() + milliseconds * 1_000_000
    while time.perf_counter_ns() < end:
        pass
"""

# Every Python imports it when it starts.
SITECUSTOMIZE = """
import importlib.util, sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            return importlib.util.spec_from_file_location(name, {file!r})

sys.meta_path.insert(0, Finder)
"""


@pytest.fixture
def planted(tmp_path):
    """An environment in which the driver is a copy with a line that takes 50 ms a message."""
    original = Path(importlib.util.find_spec("oslo_messaging").origin).parent
    source = (original / "_drivers/impl_rabbit.py").read_text()
    before, found, after = source.partition("    def topic_send(")
    signature, colon, body = after.partition("):\n")
    assert found and colon
    copy = tmp_path / "planted" / "impl_rabbit.py"
    copy.parent.mkdir()
    copy.write_text(
        f"{before.replace('import contextlib', 'import contextlib; import omrig_plant', 1)}"
        f"{found}{signature}{colon}        {PLANTED}\n{body}"
    )
    (copy.parent / "omrig_plant.py").write_text(PLANT)
    (copy.parent / "sitecustomize.py").write_text(
        SITECUSTOMIZE.format(module=MODULE, file=str(copy))
    )
    return {**os.environ, "PYTHONPATH": str(copy.parent)}, copy


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_a_planted_line_is_the_hottest(planted, broker, tmp_path, executor):
    environment, copy = planted
    done = subprocess.run(
        [
            *(sys.executable, "-m", "omrig", "run", "-m", str(MESSAGES), "-w", "10"),
            *("--profile", "lines", "--target", "impl_rabbit", "--executor", executor),
            *("--transport-url", broker.url, "--output", "r", "--quiet"),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    profiles = result_of(tmp_path / "r")["profiles"]
    hottest = profiles["producer"]["lines"]["lines"][0]
    assert (hottest["source"], hottest["file"]) == (PLANTED, str(copy))
    assert hottest["function"] == "Connection.topic_send"
    assert hottest["hits"] == MESSAGES
    assert hottest["time_ns"] >= MESSAGES * BURN_MS * 1_000_000
    # The consumer sends replies, which is another function.
    assert not [
        line for line in profiles["consumer"]["lines"]["lines"] if line["source"] == PLANTED
    ]
    for side in ("producer", "consumer"):
        assert profiles[side]["lines"]["functions_hit"] > 15
        for name in ("lines.lprof", "lines.txt"):
            assert (tmp_path / "r" / side / name).stat().st_size > 0
    assert PLANTED in done.stdout
    (command,) = [line for line in done.stdout.splitlines() if "producer/lines.lprof" in line]
    shown = subprocess.run(
        command.removeprefix("open").split(), cwd=tmp_path, capture_output=True, text=True
    )
    assert PLANTED in shown.stdout, shown.stderr


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_with_stages_and_on_one_side(start, run, broker, tmp_path, executor):
    where = ("--transport-url", broker.url, "--executor", executor)
    producer = start("-p", 200, "-w", 10, *where, "--output", "p", "--quiet", "--profile", "stages")
    status, out, err = run(
        "-c", 200, *where, "--output", "c", "--profile=lines,stages", "--target=impl_rabbit"
    )
    assert status == 0, err
    assert "lines of the consumer: impl_rabbit: " in out
    assert producer.wait(20) == 0
    assert set(result_of(tmp_path / "c")["profiles"]["consumer"]) == {"lines"}
    assert not list((tmp_path / "p").rglob("lines.*"))
    status, out, err = run("report", "p", "c", "--json")
    assert status == 0, err
    merged = run_folder.read_json(tmp_path / "c" / "result.json")
    assert merged["profiles"]["consumer"]["lines"]["functions_hit"] > 15
