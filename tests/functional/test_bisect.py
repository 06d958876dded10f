"""A real search: the commit of a package that makes each message slower."""

import json
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

BACKEND = """
import zipfile

NAME, DIST = "oslo_serialization-99.0-py3-none-any.whl", "oslo_serialization-99.0.dist-info"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    from pathlib import Path
    about = {
        "METADATA": "Metadata-Version: 2.1\\nName: oslo.serialization\\nVersion: 99.0\\n"
        + "".join(f"Requires-Dist: {each}\\n" for each in REQUIRES),
        "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(Path(wheel_directory) / NAME, "w") as wheel:
        for path in Path("oslo_serialization").rglob("*.py"):
            wheel.write(path)
        for name, text in about.items():
            wheel.writestr(f"{DIST}/{name}", text)
    return NAME
"""
"""Builds without anything from an index."""

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "oslo.serialization"
version = "99.0"
"""

SLOW = """

def dumps(*arguments, _dumps=dumps, **more):
    import time
    time.sleep(0.05)
    return _dumps(*arguments, **more)
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def checkout(folder: Path) -> Path:
    """oslo.serialization as it is installed, and two commits more: a slow one, and an empty one."""
    package = Path(str(metadata.distribution("oslo.serialization").locate_file("."))).resolve()
    shutil.copytree(
        package / "oslo_serialization",
        folder / "oslo_serialization",
        ignore=shutil.ignore_patterns("tests", "__pycache__"),
    )
    requires = metadata.requires("oslo.serialization") or []
    (folder / "backend.py").write_text(f"REQUIRES = {requires!r}\n{BACKEND}")
    (folder / "pyproject.toml").write_text(PROJECT)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "As it is")
    with (folder / "oslo_serialization" / "jsonutils.py").open("a") as file:
        file.write(SLOW)
    git(folder, "commit", "--quiet", "--all", "--message", "Wait before each dump")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    return folder


@pytest.mark.timeout(400)
def test_the_commit_that_made_messages_slower_is_found(run, broker, tmp_path):
    source = checkout(tmp_path / "source")
    before = git(source, "status", "--porcelain", "--branch"), git(source, "rev-parse", "HEAD")
    status, out, err = run(
        "bisect", "--source", "source", "--good", "HEAD~2", "--bad", "HEAD", "--output", "found",
        "--gate", "p50<=+100%", "--", "-m", 12, "-w", 2, "--warmup", 2,
        "--transport-url", broker.url,
        timeout=380,
    )  # fmt: skip
    assert status == 0, err
    first = git(source, "rev-parse", "HEAD~1")
    assert f"{first[:9]} (Wait before each dump) is the first that breaks p50<=+100%" in out
    found = json.loads((tmp_path / "found" / "bisect.json").read_text())
    assert found["answer"]["first_bad"]["revision"] == first
    assert found["answer"]["stage"] in ("serialize", "reply_serialize")
    assert [step["word"] for step in found["steps"]] == ["bad", "bad"]
    # On a busy machine the first look may be too early to be sure.
    assert found["runs"] >= 16
    assert broker.url.partition("@")[0].rpartition(":")[2] not in out + err
    after = git(source, "status", "--porcelain", "--branch"), git(source, "rev-parse", "HEAD")
    assert before == after
    both = [str(tmp_path / "found" / found["answer"][which]) for which in ("base", "new")]
    status, out, err = run("compare", *both, "--gate", "p50<=+100%")
    assert status == 3, err
    assert "interleaved pairs" in " ".join(out.split())
