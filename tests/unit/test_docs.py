"""What doc/architecture.rst says is where it says: rooms, modules, and the tests of its recipes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "doc" / "architecture.rst").read_text()
ROOMS = {path.name for path in (ROOT / "omrig").iterdir() if (path / "__init__.py").exists()}


def named(pattern: str) -> list[str]:
    return sorted(set(re.findall(rf"``({pattern})``", TEXT)))


@pytest.mark.parametrize("name", named(r"[a-z_]+/[a-z_/]+\.(?:py|toml)"))
def test_a_file_that_is_named_is_there(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "omrig" / name).exists()


@pytest.mark.parametrize("name", named(r"[a-z_]+\.py"))
def test_a_module_that_goes_by_its_name_alone_is_there(name: str) -> None:
    assert list((ROOT / "omrig").rglob(name))


def test_every_room_has_its_row() -> None:
    table = TEXT[TEXT.index("The rooms\n") : TEXT.index("The way of a message\n")]
    assert set(re.findall(r"^``(\w+)`` ", table, flags=re.MULTILINE)) == ROOMS


def test_every_recipe_names_its_test() -> None:
    recipes = TEXT[TEXT.index("A driver\n---") : TEXT.index("Rules of the measured process\n")]
    titles = re.findall(r"^(\w[\w ]+)\n-+$", recipes, flags=re.MULTILINE)
    assert titles == ["A driver", "A pattern", "A profiler mode", "A report"]
    parts = re.split(r"^\w[\w ]+\n-+$", recipes, flags=re.MULTILINE)[1:]
    assert all("\N{RIGHTWARDS ARROW} ``tests/" in part for part in parts)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.rst").read_text().splitlines()) <= 210
