"""The functions that changed, for the terminal: a table a side and mode."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from omrig.compare.comparison import Comparison
from omrig.report import functions
from omrig.report.functions import Row
from omrig.report.terminal.table import Column, table

_WITH_MODULES = 60
"""Width in columns from which the modules of functions have room."""

_MODULE_WIDTH = 24

_WITH_VALUES = 80
"""Width from which the figures of both sides have room."""

_WITH_INTERVALS = 110
"""Width from which intervals and calls have room, too."""


def render(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    """What surely changed, and what that rests on."""
    for found in comparison.functions:
        yield Text(f"\n{functions.heading(found)}", "bold")
        rows = functions.rows(found)
        if rows:
            names = [row.function for row in rows]
            yield table(functions.COLUMNS[0], names, _columns(rows, width), width)
        for note in functions.notes(found):
            yield Text(f"  {note}", "dim")


def _columns(rows: list[Row], width: int) -> list[Column]:
    made = [Column("change", [row.change for row in rows])]
    if width >= _WITH_MODULES:
        made.insert(0, Column("module", [row.module for row in rows], _MODULE_WIDTH))
    if width >= _WITH_VALUES:
        made[-1:-1] = [
            Column("BASE", [row.base for row in rows]),
            Column("NEW", [row.new for row in rows]),
        ]
    if width >= _WITH_INTERVALS:
        made.append(Column("95 % interval", [row.interval for row in rows]))
        if any(row.calls for row in rows):
            made.append(Column("calls", [row.calls for row in rows]))
    if any(row.stage for row in rows):
        made.append(Column("stage", [row.stage for row in rows]))
    return made
