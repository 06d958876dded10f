"""A busy loop planted where messages are published is what the modes name first in ``publish``."""

import json
import subprocess
import sys

import pytest

from omrig.model.by_stage import ByStage
from tests.accuracy import injection

PLANTED_MS = 2.0


@pytest.mark.parametrize(
    ("mode", "executor"), [("yappi", "eventlet"), ("pyspy", "eventlet"), ("lines", "threading")]
)
def test_the_planted_loop_is_named_first(bench, tmp_path, executor, mode):
    command = [sys.executable, "-m", "omrig", "run", "--quiet", "--json", "--output", "run"]
    command += ["--transport-url", bench.broker.url, "--executor", executor, "-w", "2"]
    command += ["--profile", f"planted,{mode}", "-m", "800", "-s", "0"]
    if mode == "lines":
        command += ["--target", "omrig_faults:compute", "--target", "impl_rabbit"]
    planted = {"publish_ms": PLANTED_MS, "side": "producer"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**bench.environment, injection.PLANTED: json.dumps(planted)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    found = ByStage.of_summary(result["profiles"]["producer"][mode])
    publish = found.of("publish")
    assert sum(each.share for each in found.stages) + found.unassigned_share == pytest.approx(1)
    assert _is_planted(publish.code[0])
    assert not any(
        _is_planted(code) and code.share * stage.share > 0.02
        for stage in found.stages
        if stage.stage != "publish"
        for code in stage.code
    )
    # yappi tells what it calls apart.
    planted = [code.share for code in publish.code if _is_planted(code)]
    assert sum(planted) > 0.4


def _is_planted(code):
    return code.function in ("compute", "<built-in method builtins.sum>")
