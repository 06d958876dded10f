"""The hottest lines on the terminal."""

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.formats import lines as words
from omrig.model.result import Summary

SHOWN = 15
"""So many lines are shown; the file beside has more."""

_WITH_ALL_COLUMNS = 90
"""Width in columns of the terminal from which the source has room beside all figures."""

_FEW_COLUMNS = ("share", "time", "line")


def render(summary: Summary, side: str, width: int) -> list[RenderableType]:
    """The hottest lines of a side, with what to know before they are believed."""
    found = words.Found.from_json(summary)
    heading = Text.assemble(
        "\n", ("lines", "bold"), f" of the {side}: {words.counts(found)}; {words.total(found)}"
    )
    notes: list[RenderableType] = [Text(f"  {note}", "dim") for note in words.notes(found)]
    if not found.lines:
        return [heading, *notes]
    return [heading, _table(found, width), *notes]


def _table(found: words.Found, width: int) -> Table:
    columns = words.COLUMNS if width >= _WITH_ALL_COLUMNS else _FEW_COLUMNS
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), width=width)
    for column in columns:
        figures = column != words.COLUMNS[-1]
        table.add_column(column, justify="right" if figures else "left", no_wrap=True)
    table.add_column("source", no_wrap=True, overflow="ellipsis", ratio=1)
    for line in found.lines[:SHOWN]:
        cells = dict(zip(words.COLUMNS, words.cells(line), strict=True))
        table.add_row(*(cells[column] for column in columns), Text(line.source))
    return table
