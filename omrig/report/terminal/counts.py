"""What a message takes that can be counted, for the terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model.result import Result
from omrig.report import message_counts


def render(result: Result) -> Iterator[RenderableType]:
    """Nothing where mode ``counts`` was not on."""
    if not result.counts:
        return
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("counts a message", no_wrap=True)
    for side in result.counts:
        table.add_column(side, justify="right")
    for label, values in message_counts.rows(result.counts):
        table.add_row(label, *values)
    yield Text()
    yield table
    for line in message_counts.notes(result.counts):
        yield Text(line, "dim")
