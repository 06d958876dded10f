"""Where a report is printed: the terminal, or a file that gets no more blanks than it needs."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 100


@contextlib.contextmanager
def console(file: TextIO | None, width: int | None) -> Iterator[Console]:
    """A console that prints on ``file`` (standard output), in ``width`` columns (the terminal's).

    Without a terminal nobody wants the blanks that fill its lines: they are cut in the end.
    """
    file = file or sys.stdout
    paper = None if file.isatty() else io.StringIO()
    yield Console(
        file=paper or file,
        width=width or (_WIDTH_WITHOUT_TERMINAL if paper else None),
        highlight=False,
        soft_wrap=False,
    )
    if paper:
        file.writelines(f"{line.rstrip()}\n" for line in paper.getvalue().splitlines())
