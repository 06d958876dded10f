"""What threads of omrig's own begin with is there: profilers name them by it."""

import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from omrig.measured.profilers import pyspy

ROOT = Path(__file__).parents[3]
OWN = [(file, name) for file, name, _ in pyspy._BEGINNINGS if file.startswith("/omrig/")]


def qualified(code: types.CodeType) -> Iterator[str]:
    yield code.co_qualname
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from qualified(each)


@pytest.mark.parametrize(("file", "name"), OWN)
def test_a_beginning_is_there(file: str, name: str) -> None:
    path = ROOT / file.lstrip("/")
    assert name in set(qualified(compile(path.read_text(), str(path), "exec")))


def test_workers_the_display_and_the_main_thread_are_known() -> None:
    files = {file.rpartition("/")[2] for file, _ in OWN}
    assert files == {"workers.py", "progress.py", "process.py"}
