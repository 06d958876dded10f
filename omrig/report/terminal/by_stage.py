"""Which code had the time of the verdict's stage, for the terminal: a table a side and mode."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model.by_stage import Code, Kind
from omrig.model.result import Result
from omrig.report import by_stage
from omrig.report.terminal.table import Column, table

_ROWS = 6
"""So many functions or lines are shown; ``result.json`` has more."""

_LEADING = 2
"""So many of the lines that lead on to other stages are told."""

_PLACE_WIDTH = 28

_WITH_PLACES = 60
"""Width in columns from which the places of code have room."""


def render(result: Result, width: int) -> Iterator[RenderableType]:
    """What each mode found in the stage that matters most of those of its side."""
    for each in by_stage.joined(result):
        yield Text(f"\n{by_stage.heading(each)}", "bold")
        if each.stage and each.stage.code:
            yield _table(each.stage.code[:_ROWS], each.found.kind, width)
        leading = (each.stage.leading_on or ()) if each.stage else ()
        for code in leading[:_LEADING]:
            yield Text(f"  {by_stage.leading_on(code)}", "dim", no_wrap=True, overflow="ellipsis")
        for note in by_stage.notes(each):
            yield Text(f"  {note}", "dim")


def _table(rows: Sequence[Code], kind: Kind, width: int) -> Table:
    places = Column("place", [by_stage.place(row) for row in rows], _PLACE_WIDTH)
    columns = [
        *([places] if width >= _WITH_PLACES else []),
        Column("share", [f"{100 * row.share:.1f} %" for row in rows]),
    ]
    return table(by_stage.CODE[kind], [by_stage.name(row) for row in rows], columns, width)
