"""Omrig's own copy of a library in a process that may have another: nobody else sees it."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType


@contextlib.contextmanager
def imported(name: str, folder: str) -> Iterator[None]:
    """Within the block the package ``name`` is imported from ``folder``; afterwards it is not
    known any more, and what the process had of that name is as it was.

    What is imported within keeps what it got.
    """
    before = _taken_out(name)
    finder = _Finder(name, folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _taken_out(name)
        sys.modules.update(before)


def _taken_out(name: str) -> dict[str, ModuleType]:
    names = [each for each in sys.modules if each == name or each.startswith(f"{name}.")]
    return {each: sys.modules.pop(each) for each in names}


class _Finder:
    """Finds one package in one folder."""

    def __init__(self, name: str, folder: str) -> None:
        self._name = name
        self._folder = folder

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """As ``importlib.abc.MetaPathFinder`` says."""
        if name != self._name:
            return None
        return spec_from_file_location(
            name, f"{self._folder}/__init__.py", submodule_search_locations=[self._folder]
        )
