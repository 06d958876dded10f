"""The lines in which memory grew, on the terminal."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model import units

SHOWN = 10
"""So many lines are shown; the file beside has all."""


def render(summary: dict[str, Any], side: str, width: int) -> list[RenderableType]:
    """The lines with the largest increments, and what to know before they are believed."""
    heading = Text.assemble(
        "\n",
        ("memory-lines", "bold"),
        f" of the {side}: {', '.join(summary['targets'])}:"
        f" {summary['functions_registered']:,} functions found,"
        f" {summary['functions_hit']:,} called",
    )
    notes: list[RenderableType] = [Text(f"  {note}", "dim") for note in summary["notes"]]
    rows = [line for line in summary["lines"] if line["increment_bytes"] > 0][:SHOWN]
    if not rows:
        return [heading, Text("  no line took memory"), *notes]
    return [heading, _table(rows, width), *notes]


def _table(rows: list[dict[str, Any]], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, width=width)
    for column in ("increment", "hits", "a hit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("line", no_wrap=True)
    # What is left of the width; where that is little, the line's number is enough.
    table.add_column("source", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(
            units.size(row["increment_bytes"]),
            f"{row['hits']:,}",
            units.size(row["increment_bytes"] / row["hits"]),
            f"{Path(row['file']).name}:{row['line']}",
            Text(row["source"]),
        )
    return table
