"""Nothing is imported from the folder in which omrig is started, in any of its processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.conftest import result_of

PACKAGES = ("amqp", "eventlet", "json", "kombu", "memray", "numpy", "oslo_messaging", "plotly")
MODULES = (
    "conftest",
    "pathlib",
    "psutil",
    "sampling",
    "selectors",
    "sitecustomize",
    "usercustomize",
)

DECOY = """\
import os, sys
with open({marker!r}, "a") as marker:
    print(__name__, os.getpid(), sys.argv, file=marker)
raise RuntimeError("a decoy was imported")
"""


def put_decoys(folder: Path, *packages: str) -> Path:
    """Modules that note in the file returned that somebody imported them."""
    marker = folder / "imported"
    decoy = DECOY.format(marker=str(marker))
    for name in packages:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(decoy)
    for name in MODULES:
        (folder / f"{name}.py").write_text(decoy)
    return marker


def test_no_process_of_a_run_imports_from_the_working_directory(tmp_path):
    marker = put_decoys(tmp_path, "omrig", *PACKAGES)
    # The command as it is installed, and a broker of its own: all processes that there are.
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("omrig"), "run", "-m", "100", "-w", "4"),
            *("--profile", "stages,memray", "--output", "r"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not marker.exists(), marker.read_text()
    assert done.returncode == 0, done.stderr
    assert result_of(tmp_path / "r")["complete"] is True
    assert (tmp_path / "r/producer/memray.html").exists()


@pytest.mark.parametrize("arguments", [("--version",), ("targets",), ("report", "nowhere")])
def test_python_m_omrig_does_not_either(run, tmp_path, arguments):
    marker = put_decoys(tmp_path, *PACKAGES)
    status, _, err = run(*arguments)
    assert not marker.exists(), marker.read_text()
    assert status == (2 if "nowhere" in arguments else 0), err


def test_a_decoy_is_noticed(tmp_path):
    marker = put_decoys(tmp_path, *PACKAGES)
    subprocess.run([sys.executable, "-c", "import amqp"], cwd=tmp_path, check=False)
    assert marker.read_text().startswith("amqp ")
