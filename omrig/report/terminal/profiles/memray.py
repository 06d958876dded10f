"""What memray found, on the terminal: how much was allocated, and on which lines."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.report.terminal.table import Column, table

_ROWS = 8
"""So many lines are shown; ``result.json`` has more."""

_PLACE_WIDTH = 28

_WITH_PLACES = 60
"""Width in columns from which the places of lines have room."""


def render(summary: Mapping[str, Any], side: str, width: int) -> list[RenderableType]:
    """The table of one side for a terminal of so many columns, and what could not be made."""
    parts: list[RenderableType] = [
        Text(f"\n! memray, {side}: {trouble}", "yellow")
        for trouble in (summary["failed"], summary["skipped"])
        if trouble
    ]
    if summary["failed"]:
        return parts
    allocated = units.size(summary["allocated_bytes"])
    what = (
        f"{summary['allocations']:,} allocations of {allocated} from the system since the load"
        f" began, at most {units.size(summary['peak_bytes'])} at once"
    )
    parts.append(Text(f"\nmemray, {side}: {what}", "bold"))
    return [*parts, _lines(summary["lines"][:_ROWS], summary["allocated_bytes"], width)]


def _lines(rows: Sequence[Mapping[str, Any]], allocated_bytes: int, width: int) -> Table:
    places = [f"{PurePath(row['file']).name}:{row['line']}" if row["file"] else "" for row in rows]
    columns = [
        *([Column("line", places, _PLACE_WIDTH)] if width >= _WITH_PLACES else []),
        Column("allocated", [units.size(row["bytes"]) for row in rows]),
        Column("share", [f"{100 * row['bytes'] / max(1, allocated_bytes):.1f} %" for row in rows]),
    ]
    return table("function", [row["function"] for row in rows], columns, width)
