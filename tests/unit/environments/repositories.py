"""Small projects and checkouts for the tests of environments."""

import subprocess
import zipfile
from pathlib import Path

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "omrig-sample"
version = "1.2"
"""


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def project(folder: Path) -> Path:
    """A project that git knows nothing of."""
    (folder / "omrig_sample").mkdir(parents=True)
    (folder / "omrig_sample" / "__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


def checkout(folder: Path) -> Path:
    """A project with one commit that has the tag 1.2, and a branch with a slash."""
    project(folder)
    (folder / ".gitignore").write_text("*.egg-info\nbuild\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", "1.2")
    git(folder, "branch", "fix/one")
    return folder


def wheel(folder: Path, name: str = "omrig_sample", version: str = "1.2") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
    return path
