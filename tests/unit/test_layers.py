"""Which room may import which: rooms are ordered by the process in which a line runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "omrig"

ALLOWED = {
    "model": (),
    "watcher": (),
    "formats": ("model",),
    "environments": ("model",),
    "drivers": ("model",),
    "broker": ("model", "drivers"),
    "recordings": ("model", "watcher.layout"),
    "measured": ("model", "drivers", "recordings.writer", "watcher.client", "formats"),
    "recorder": ("model", "recordings", "watcher", "drivers"),
    "accounting": ("model", "recordings"),
    "compare": ("model", "accounting.statistics", "recordings"),
    "fleet": ("model", "recordings", "supervisor"),
    "history": ("model", "recordings", "compare"),
    "experiment": ("model", "recordings", "compare", "supervisor"),
    "supervisor": (
        "model",
        "drivers",
        "broker",
        "recordings",
        "accounting.recent",
        "measured.profilers.registry",
    ),
    "report": ("model", "recordings", "compare", "experiment", "history", "formats"),
}
"""By room, what its modules may import of other rooms; the command line may import anything."""


def modules() -> Iterator[str]:
    for path in sorted(ROOT.rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(module: str) -> Iterator[str]:
    """What a module of omrig imports of omrig, wherever in it the import stands."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{each.name}" for each in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != "omrig" or len(parts) == 1:
                continue
            # What is not a module is a name in one.
            while not (at := ROOT.joinpath(*parts[1:])).with_suffix(".py").exists():
                if at.is_dir():
                    break
                parts.pop()
            yield ".".join(parts[1:])


def within(module: str, place: str) -> bool:
    return f"{module}.".startswith(f"{place}.")


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_what_it_may(room: str) -> None:
    crossing = {
        f"{module} -> {name}"
        for module in modules()
        if within(module, room)
        for name in imports(module)
        if name and not any(within(name, place) for place in (room, *ALLOWED[room]))
    }
    assert sorted(crossing) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: set(imports(module)) - {module} for module in modules()}
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    assert not graph


def test_every_room_is_in_the_table() -> None:
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert rooms == ALLOWED.keys() | {"cli"}
