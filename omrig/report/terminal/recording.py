"""How far a recording is, on standard error: on a terminal the processes, drawn once a second."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omrig.model.attached import Row

if TYPE_CHECKING:
    from rich.console import RenderableType


class Quiet:
    """Shows nothing but what has to be known."""

    def say(self, text: str) -> None:
        """A step that has been taken."""

    def tell(self, text: str) -> None:
        """What has to be known, whatever is shown otherwise: a line that stays."""
        sys.stderr.write(f"omrig: {text}\n")
        sys.stderr.flush()

    def rows(self, rows: Sequence[Row]) -> None:
        """The processes as they are now."""

    def close(self) -> None:
        """The recording has ended."""


class Lines(Quiet):
    """A line for each step."""

    def say(self, text: str) -> None:
        """See :class:`Quiet`."""
        self.tell(text)


class Live(Quiet):
    """A row for each process at the bottom of the terminal."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._title = title
        self._began = time.monotonic()
        self._rows: Sequence[Row] = ()
        self._counts: list[tuple[float, dict[int, tuple[int, int]]]] = []
        self._screen = Screen(
            console=Console(stderr=True),
            get_renderable=self.draw,
            transient=True,
            refresh_per_second=1,
        )
        self._screen.start()

    def tell(self, text: str) -> None:
        """See :class:`Quiet`."""
        from rich.text import Text

        # Above what is drawn, where it stays.
        self._screen.console.print(Text(f"omrig: {text}"), soft_wrap=True)

    def rows(self, rows: Sequence[Row]) -> None:
        """See :class:`Quiet`."""
        self._rows = rows
        counts = {each.pid: (each.sent, each.served) for each in rows}
        self._counts = [*self._counts[-1:], (time.monotonic(), counts)]

    def close(self) -> None:
        """See :class:`Quiet`."""
        self._screen.stop()

    def draw(self) -> "RenderableType":
        """The rows as they are now; drawn by a thread of its own."""
        from rich.table import Table
        from rich.text import Text

        rows, seconds = self._rows, time.monotonic() - self._began
        title = f"{self._title}   {seconds:,.0f} s   Ctrl-C ends it"
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        table.add_column("process", no_wrap=True, overflow="ellipsis")
        for heading in ("sent", "/s", "served", "/s", "overwritten"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("", overflow="ellipsis", no_wrap=True)
        for each in rows:
            sent, served = self._rates(each.pid)
            figures = (each.sent, sent, each.served, served, each.overwritten)
            cells = (f"{each.name} {each.pid}", *(f"{figure:,.0f}" for figure in figures))
            table.add_row(*map(Text, (*cells, each.note)))
        return table

    def _rates(self, pid: int) -> tuple[float, float]:
        """Messages a second that it sent and served between the last two readings."""
        if len(self._counts) < 2:
            return 0.0, 0.0
        (then, before), (now, after) = self._counts
        sent, served = after.get(pid, (0, 0))
        sent_before, served_before = before.get(pid, (sent, served))
        seconds = max(now - then, 1e-3)
        return (sent - sent_before) / seconds, (served - served_before) / seconds


def make(title: str, quiet: bool, debug: bool = False) -> Quiet:
    """The way to show it that suits the terminal; a debug log does not mix with live rows."""
    if quiet:
        return Quiet()
    if sys.stderr.isatty() and not debug:
        return Live(title)
    return Lines()
