"""What yappi found, on the terminal: time by role, by package and by function."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.result import Summary
from omrig.model.values import Value
from omrig.report.terminal.table import Column, table

_ROWS = 15
"""So many functions are shown; ``result.json`` has more."""

_SEEN = 0.005
"""Packages below this share are shown together."""

_BESIDE = 96
"""Width in columns from which roles and packages fit beside each other."""

_WITH_PLACES = 120
"""Width from which a function's package and place have room; below, its calls, its role, and all
that is not its own time."""
_WITH_CALLS = 88
_WITH_ROLES = 64
_WITH_MORE = 46

_CLOCKS = {
    "cpu": "CPU time",
    "wall": "wall clock: waiting counts, and what waits at the same time adds up",
}

_RIG = "omrig"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Own(Value):
    """Time without callees, and its share of all."""

    self_ns: int
    share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Role(_Own):
    """The functions of threads of one role."""

    role: str
    contexts: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Package(_Own):
    """The functions of one package."""

    package: str
    builtins_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Function(_Own):
    """One function in one role."""

    function: str
    package: str
    role: str
    file: str | None
    line: int | None
    calls: int
    cumulative_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found(Value):
    """What is told of a side."""

    total_ns: int
    clock: str
    roles: tuple[_Role, ...]
    packages: tuple[_Package, ...]
    functions: tuple[_Function, ...]


def render(summary: Summary, side: str, width: int) -> list[RenderableType]:
    """The tables of one side for a terminal of so many columns."""
    found = _Found.from_json(summary)
    whole = units.duration(found.total_ns)
    clock = _CLOCKS[found.clock]
    parts: list[RenderableType] = [Text(f"\nyappi, {side}: {whole} in functions, {clock}", "bold")]
    if width >= _BESIDE:
        grid = Table.grid(padding=(0, 4, 0, 0))
        half = (width - 4) // 2
        grid.add_row(_roles(found.roles, half), _packages(found.packages, half))
        parts.append(grid)
    else:
        parts += [_roles(found.roles, width), _packages(found.packages, width)]
    return [*parts, _rig(found.packages), _functions(found.functions[:_ROWS], width)]


def _roles(rows: Sequence[_Role], width: int) -> Table:
    contexts = [Column("contexts", [f"{row.contexts:,}" for row in rows])]
    more = contexts if width >= _WITH_MORE else []
    return table("role", [row.role for row in rows], [*more, *_own(rows)], width)


def _packages(rows: Sequence[_Package], width: int) -> Table:
    shown = [row for row in rows if row.share >= _SEEN]
    if rest := rows[len(shown) :]:
        shown.append(
            _Package(
                package=f"{len(rest)} more",
                self_ns=sum(row.self_ns for row in rest),
                builtins_ns=sum(row.builtins_ns for row in rest),
                share=sum(row.share for row in rest),
            )
        )
    builtins = [units.duration(row.builtins_ns) if row.builtins_ns else "" for row in shown]
    own, share = _own(shown)
    more = [Column("builtins", builtins)] if width >= _WITH_MORE else []
    columns = [own, *more, share]
    return table("package", [row.package for row in shown], columns, width)


def _functions(rows: Sequence[_Function], width: int) -> Table:
    columns = []
    if width >= _WITH_ROLES:
        columns.append(Column("role", [row.role for row in rows], 16))
    if width >= _WITH_PLACES:
        columns.append(Column("package", [row.package for row in rows], 16))
        columns.append(Column("where", [_place(row) for row in rows], 24))
    if width >= _WITH_CALLS:
        columns.append(Column("calls", [f"{row.calls:,}" for row in rows]))
    own, share = _own(rows)
    cumulative = [units.duration(row.cumulative_ns) for row in rows]
    more = [Column("with callees", cumulative)] if width >= _WITH_MORE else []
    columns += [own, *more, share]
    return table("function", [row.function for row in rows], columns, width)


def _own(rows: Sequence[_Own]) -> tuple[Column, Column]:
    return (
        Column("own", [units.duration(row.self_ns) for row in rows]),
        Column("share", [f"{100 * row.share:.1f} %" for row in rows]),
    )


def _place(row: _Function) -> str:
    return f"{PurePath(row.file).name}:{row.line}" if row.file else ""


def _rig(rows: Sequence[_Package]) -> Text:
    share = sum(row.share for row in rows if row.package.partition(".")[0] == _RIG)
    return Text(f"omrig.* is the rig itself, load and probes: {100 * share:.1f} %", "dim")
