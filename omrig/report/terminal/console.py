"""Where a report is printed: the terminal, or a file that gets no more blanks than it needs."""

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_WIDTH_WITHOUT_TERMINAL = 100


class _Paper(io.StringIO):
    """What is to go into a file of this encoding: no lines are drawn that it lacks."""

    encoding: str | None = None  # type: ignore[assignment]

    def __init__(self, encoding: str | None) -> None:
        super().__init__()
        self.encoding = encoding


@contextlib.contextmanager
def printing(file: TextIO | None, width: int | None) -> Iterator[Console]:
    """A console that prints on ``file`` (standard output), in ``width`` columns (the terminal's).

    Without a terminal nobody wants the blanks that fill its lines: they are cut in the end.
    """
    file = file or sys.stdout
    paper = None if file.isatty() else _Paper(file.encoding)
    yield Console(
        file=paper or file,
        width=width or (_WIDTH_WITHOUT_TERMINAL if paper else None),
        highlight=False,
        soft_wrap=False,
    )
    if paper:
        file.writelines(f"{line.rstrip()}\n" for line in paper.getvalue().splitlines())


def grid_of_notes() -> Table:
    """An empty grid of labels and texts, of which the texts are folded."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def labelled(lines: Sequence[tuple[str, str]]) -> Table:
    """The grid of these labels and texts; a label that is that of the line above is not told."""
    grid, above = grid_of_notes(), ""
    for label, text in lines:
        grid.add_row("" if label == above else escape(label), escape(text))
        above = label
    return grid


def bulleted(lines: Sequence[Text], style: str = "bold") -> Table:
    """What is to be read first, a paragraph each behind a mark."""
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for line in lines:
        grid.add_row(Text(">", style), line)
    return grid
