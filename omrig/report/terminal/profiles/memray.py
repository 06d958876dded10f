"""What memray found, on the terminal: how much was allocated, and on which lines."""

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

_ROWS = 8
"""So many lines are shown; ``result.json`` has more."""

_PLACE_WIDTH = 28

_WITH_PLACES = 60
"""Width in columns from which the places of lines have room."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line(Value):
    """A line, and how much was allocated on it."""

    file: str | None
    line: int | None
    function: str
    bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found(Value):
    """What is told of a side; where all of it ``failed``, only that."""

    failed: str | None = None
    skipped: str | None = None
    allocations: int = 0
    allocated_bytes: int = 0
    peak_bytes: int = 0
    lines: tuple[_Line, ...] = ()


def render(summary: Summary, side: str, width: int) -> list[RenderableType]:
    """The table of one side for a terminal of so many columns, and what could not be made."""
    found = _Found.from_json(summary)
    parts: list[RenderableType] = [
        Text(f"\n! memray, {side}: {trouble}", "yellow")
        for trouble in (found.failed, found.skipped)
        if trouble
    ]
    if found.failed:
        return parts
    allocated = units.size(found.allocated_bytes)
    what = (
        f"{found.allocations:,} allocations of {allocated} from the system since the load"
        f" began, at most {units.size(found.peak_bytes)} at once"
    )
    parts.append(Text(f"\nmemray, {side}: {what}", "bold"))
    return [*parts, _lines(found.lines[:_ROWS], found.allocated_bytes, width)]


def _lines(rows: Sequence[_Line], allocated_bytes: int, width: int) -> Table:
    places = [f"{PurePath(row.file).name}:{row.line}" if row.file else "" for row in rows]
    columns = [
        *([Column("line", places, _PLACE_WIDTH)] if width >= _WITH_PLACES else []),
        Column("allocated", [units.size(row.bytes) for row in rows]),
        Column("share", [f"{100 * row.bytes / max(1, allocated_bytes):.1f} %" for row in rows]),
    ]
    return table("function", [row.function for row in rows], columns, width)
