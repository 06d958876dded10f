"""What is installed: every package, and every file that the code reads."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]
IN_PLACE = {".py", ".pyc", ".so"}
"""What setuptools takes, or makes, by itself."""

CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")


def test_every_package_is_named() -> None:
    named = CONFIG["options"]["packages"].split()
    found = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "omrig").rglob("*.py")
    }
    assert found | {"omrig.profiles"} == set(named)


def test_every_other_file_is_data_of_a_package() -> None:
    data = CONFIG["options.package_data"]
    known = {
        path
        for package, patterns in data.items()
        for pattern in patterns.split(",")
        for path in ROOT.joinpath(*package.split(".")).glob(pattern.strip())
    }
    files = {
        path
        for path in (ROOT / "omrig").rglob("*")
        if path.is_file() and path.suffix not in IN_PLACE
    }
    assert files - known == set()
