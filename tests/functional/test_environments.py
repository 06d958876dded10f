"""A run in an environment of its own: what it records, what it leaves alone, what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.conftest import result_of
from tests.unit.environments import repositories

RELEASE = "14.9.1"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def omrig(cache, tmp_path):
    def omrig(*arguments):
        return subprocess.run(
            [Path(sys.executable).with_name("omrig"), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return omrig


def test_a_run_measures_the_release_that_was_asked_for(omrig, broker, tmp_path):
    done = omrig(
        *("run", "-m", "30", "-w", "2", "--transport-url", broker.url, "--output", "r"),
        *("--executor", "threading", "--with", f"oslo.messaging=={RELEASE}"),
    )
    assert done.returncode == 0, done.stderr
    assert result_of(tmp_path / "r")["complete"] is True
    run = json.loads((tmp_path / "r" / "run.json").read_text())
    assert run["environment"]["oslo.messaging"] == RELEASE
    assert run["plan"]["requirements"] == [f"oslo.messaging=={RELEASE}"]
    assert run["stamps"] == {"producer": "c", "consumer": "c"}
    assert f"oslo.messaging {RELEASE}" in done.stdout
    assert "omrig: the consumer is ready" in done.stderr
    listed = omrig("environments").stdout
    assert f"oslo.messaging=={RELEASE}: oslo" in listed
    assert "omrig's own files" in listed


def test_a_checkout_is_measured_as_it_is_now_and_left_alone(omrig, tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    (folder / "omrig_sample" / "new.py").write_text("")
    before = repositories.git(folder, "status", "--porcelain", "--ignored")
    done = omrig(
        *("run", "-m", "30", "-w", "2", "--transport-url", "fake://", "--output", "r"),
        *("--executor", "threading", "--with", folder),
    )
    assert done.returncode == 0, done.stderr
    environment = json.loads((tmp_path / "r" / "run.json").read_text())["environment"]
    assert environment["sources"] == {"omrig-sample": "1.2 dirty"}
    assert environment["omrig-sample"] == "1.2"
    assert repositories.git(folder, "status", "--porcelain", "--ignored") == before


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--with", "oslo.messaging==99"), "there is no such release; the newest is "),
        (("--with", "oslo.messaging==12.0"), "omrig itself needs oslo.messaging>=14.0"),
        (("--with", "./nosuch"), "there is no such path"),
        (("--with", "git+https://u:secret@h/x@main"), "a login in a URL would be kept in files"),
        (("--python", "3.10"), "omrig needs Python 3.11 or later"),
    ],
)
def test_what_cannot_be_had_is_one_line(omrig, tmp_path, options, why):
    done = omrig("run", "-m", "30", "--output", "never", "--quiet", *options)
    assert done.returncode == 2
    (line,) = [each for each in done.stderr.splitlines() if "making an environment" not in each]
    assert line.startswith(f"omrig: {options[0]}: ")
    assert why in line
    assert "secret" not in line
    assert not (tmp_path / "never").exists()
