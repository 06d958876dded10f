"""What yappi found, on the terminal: time by role, by package and by function."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model import units
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


def render(summary: Mapping[str, Any], side: str, width: int) -> list[RenderableType]:
    """The tables of one side for a terminal of so many columns."""
    whole = units.duration(summary["total_ns"])
    clock = _CLOCKS[summary["clock"]]
    parts: list[RenderableType] = [Text(f"\nyappi, {side}: {whole} in functions, {clock}", "bold")]
    if width >= _BESIDE:
        grid = Table.grid(padding=(0, 4, 0, 0))
        half = (width - 4) // 2
        grid.add_row(_roles(summary["roles"], half), _packages(summary["packages"], half))
        parts.append(grid)
    else:
        parts += [_roles(summary["roles"], width), _packages(summary["packages"], width)]
    return [*parts, _rig(summary["packages"]), _functions(summary["functions"][:_ROWS], width)]


def _roles(rows: Sequence[Mapping[str, Any]], width: int) -> Table:
    contexts = [Column("contexts", [f"{row['contexts']:,}" for row in rows])]
    more = contexts if width >= _WITH_MORE else []
    return table("role", [row["role"] for row in rows], [*more, *_own(rows)], width)


def _packages(rows: Sequence[Mapping[str, Any]], width: int) -> Table:
    shown = [row for row in rows if row["share"] >= _SEEN]
    if rest := rows[len(shown) :]:
        together = {
            name: sum(row[name] for row in rest) for name in ("self_ns", "builtins_ns", "share")
        }
        shown.append({"package": f"{len(rest)} more", **together})
    builtins = [units.duration(row["builtins_ns"]) if row["builtins_ns"] else "" for row in shown]
    own, share = _own(shown)
    more = [Column("builtins", builtins)] if width >= _WITH_MORE else []
    columns = [own, *more, share]
    return table("package", [row["package"] for row in shown], columns, width)


def _functions(rows: Sequence[Mapping[str, Any]], width: int) -> Table:
    columns = []
    if width >= _WITH_ROLES:
        columns.append(Column("role", [row["role"] for row in rows], 16))
    if width >= _WITH_PLACES:
        columns.append(Column("package", [row["package"] for row in rows], 16))
        columns.append(Column("where", [_place(row) for row in rows], 24))
    if width >= _WITH_CALLS:
        columns.append(Column("calls", [f"{row['calls']:,}" for row in rows]))
    own, share = _own(rows)
    cumulative = [units.duration(row["cumulative_ns"]) for row in rows]
    more = [Column("with callees", cumulative)] if width >= _WITH_MORE else []
    columns += [own, *more, share]
    return table("function", [row["function"] for row in rows], columns, width)


def _own(rows: Sequence[Mapping[str, Any]]) -> tuple[Column, Column]:
    return (
        Column("own", [units.duration(row["self_ns"]) for row in rows]),
        Column("share", [f"{100 * row['share']:.1f} %" for row in rows]),
    )


def _place(row: Mapping[str, Any]) -> str:
    return f"{PurePath(row['file']).name}:{row['line']}" if row["file"] else ""


def _rig(rows: Sequence[Mapping[str, Any]]) -> Text:
    share = sum(row["share"] for row in rows if row["package"].partition(".")[0] == _RIG)
    return Text(f"omrig.* is the rig itself, load and probes: {100 * share:.1f} %", "dim")
