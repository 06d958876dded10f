"""How long a file and a function may be, and what the file of a package may hold."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILES = sorted(
    str(path.relative_to(ROOT))
    for room in ("omrig", "tools")
    for path in (ROOT / room).rglob("*.py")
)

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60


def functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_read_in_one_sitting(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= MOST_LINES


def test_a_function_is_seen_whole() -> None:
    long = [
        f"{path}: {function.name}"
        for path in FILES
        for function in functions(path)
        if length(function) > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith("__init__.py")])
def test_the_file_of_a_package_does_nothing(path: str) -> None:
    assert not [function.name for function in functions(path)]
