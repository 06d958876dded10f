"""The lines in which memory grew, on the terminal."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.result import Summary
from omrig.model.values import Value

SHOWN = 10
"""So many lines are shown; the file beside has all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line(Value):
    """A line, and by how much memory grew in it."""

    file: str
    line: int
    hits: int
    increment_bytes: float
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found(Value):
    """What is told of a side."""

    targets: tuple[str, ...]
    functions_registered: int
    functions_hit: int
    notes: tuple[str, ...]
    lines: tuple[_Line, ...]


def render(summary: Summary, side: str, width: int) -> list[RenderableType]:
    """The lines with the largest increments, and what to know before they are believed."""
    found = _Found.from_json(summary)
    heading = Text.assemble(
        "\n",
        ("memory-lines", "bold"),
        f" of the {side}: {', '.join(found.targets)}:"
        f" {found.functions_registered:,} functions found,"
        f" {found.functions_hit:,} called",
    )
    notes: list[RenderableType] = [Text(f"  {note}", "dim") for note in found.notes]
    rows = [line for line in found.lines if line.increment_bytes > 0][:SHOWN]
    if not rows:
        return [heading, Text("  no line took memory"), *notes]
    return [heading, _table(rows, width), *notes]


def _table(rows: Sequence[_Line], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, width=width)
    for column in ("increment", "hits", "a hit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("line", no_wrap=True)
    # What is left of the width; where that is little, the line's number is enough.
    table.add_column("source", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(
            units.size(row.increment_bytes),
            f"{row.hits:,}",
            units.size(row.increment_bytes / row.hits),
            f"{Path(row.file).name}:{row.line}",
            Text(row.source),
        )
    return table
