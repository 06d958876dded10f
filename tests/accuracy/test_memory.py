"""Memory of known size, planted in a measured process, is found where and when it was planted."""

import json
import re
import subprocess
import sys

import mprof
import pytest

from tests.accuracy import injection
from tests.accuracy.bench import EXECUTORS

both = pytest.mark.parametrize("executor", EXECUTORS)

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20


@pytest.fixture
def plant(bench, tmp_path):
    """Run omrig with something planted; the run folder and its result."""

    def run(what, executor, profile, *arguments):
        command = [sys.executable, "-m", "omrig", "run", "--quiet", "--json", "--output", "run"]
        command += ["--transport-url", bench.broker.url, "--executor", executor, "-w", "2"]
        command += ["--profile", f"planted,{profile}", "-s", "0", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**bench.environment, injection.PLANTED: json.dumps(what)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return tmp_path / "run", json.loads(done.stdout)

    return run


@both
def test_a_leak_of_a_kibibyte_a_message(plant, executor):
    _, result = plant(
        # The stamps of each message would be growth, too.
        {"leak": KIBIBYTE, "side": "producer"}, executor, "none,memory",
        "--pattern", "cast", "-m", "4000", "--warmup", "500",
    )  # fmt: skip
    leaking, other = (result["profiles"][side]["memory"] for side in ("producer", "consumer"))
    assert leaking["grows"] is True
    assert leaking["growth_bytes_per_message"] == pytest.approx(KIBIBYTE, rel=0.1)
    assert leaking["standard_error_bytes"] < 0.2 * KIBIBYTE
    assert other["growth_bytes_per_message"] < 0.5 * KIBIBYTE


@both
def test_fifty_mebibytes_at_once(plant, executor):
    taken = 50 * MEBIBYTE
    folder, result = plant(
        {"burst": taken, "seq": 250}, executor, "memory,memory-lines",
        "-m", "500", "--target", "omrig_faults:Planted._burst",
    )  # fmt: skip
    assert_in_time(folder / "consumer", taken)
    assert_on_its_line(folder / "consumer", taken)
    (line, *_) = result["profiles"]["consumer"]["memory-lines"]["lines"]
    assert line["increment_bytes"] == pytest.approx(taken, rel=0.02)
    assert line["hits"] == 1
    assert result["profiles"]["producer"]["memory-lines"]["functions_hit"] == 0
    assert result["profiles"]["consumer"]["memory"]["peak_rss_bytes"] > taken


def assert_in_time(folder, taken):
    """The step in memory.dat is between the samples around the moment."""
    began, ended = json.loads((folder / injection.TAKEN).read_text())
    profile = mprof.read_mprofile_file(str(folder / "memory.dat"))
    samples = list(zip(profile["timestamp"], profile["mem_usage"], strict=True))
    before = max(sample for sample in samples if sample[0] < began - 0.01)
    after = min(sample for sample in samples if sample[0] > ended + 0.01)
    assert after[1] - before[1] == pytest.approx(taken / MEBIBYTE, rel=0.1)


def assert_on_its_line(folder, taken):
    """memory_profiler's table has it on the line that took it, and every call was seen."""
    text = (folder / "memory_lines.txt").read_text()
    assert "omrig_faults:Planted._burst: 1 functions found, 1 called" in text
    rows = re.findall(r"^ +\d+ +[\d.]+ MiB +(-?[\d.]+) MiB +(\d+) +(\S.*)$", text, re.MULTILINE)
    found = {source: (float(increment), int(hits)) for increment, hits, source in rows}
    increment, hits = found['self._kept = b"x" * self._planted["burst"]']
    assert increment == pytest.approx(taken / MEBIBYTE, rel=0.02)
    assert hits == 1
    assert found['if seq == self._planted["seq"]:'][1] == 500
