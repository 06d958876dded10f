"""The hottest lines on the terminal."""

from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.results import lines as words

SHOWN = 15
"""So many lines are shown; the file beside has more."""


def render(summary: dict[str, Any], side: str, width: int) -> list[RenderableType]:
    """The hottest lines of a side, with what to know before they are believed."""
    heading = Text.assemble(
        "\n", ("lines", "bold"), f" of the {side}: {words.counts(summary)}; {words.total(summary)}"
    )
    notes: list[RenderableType] = [Text(f"  {note}", "dim") for note in words.notes(summary)]
    if not summary["lines"]:
        return [heading, *notes]
    return [heading, _table(summary, width), *notes]


def _table(summary: dict[str, Any], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, width=width)
    *figures, where = words.COLUMNS
    for column in figures:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(where, no_wrap=True)
    # What is left of the width; where that is little, the line's number is enough.
    table.add_column("source", no_wrap=True, overflow="ellipsis", ratio=1)
    for line in summary["lines"][:SHOWN]:
        table.add_row(*words.cells(line), Text(line["source"]))
    return table
