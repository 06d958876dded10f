"""The members of a side, where there are several, on the terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from omrig.model.result import Result
from omrig.report import members
from omrig.report.terminal.table import Column, fitting, sentence, table

_LEFT_OUT = ("CPU", "CPU a message", "p50")
"""The figures that go first where there is no room, in this order."""


def render(result: Result, width: int) -> Iterator[RenderableType]:
    """A row a member, then how far they are apart; nothing where no side has several."""
    rows = result.members
    if not rows:
        return
    # A table of latencies above ends with an empty line.
    yield Text("members" if result.latency else "\nmembers", "bold")
    told = [members.figures(row) for row in rows]
    columns = [
        Column(heading, [each[place] for each in told])
        for place, heading in enumerate(members.FIGURES)
    ]
    names = [row.name for row in rows]
    columns = fitting(names, columns, _LEFT_OUT, width)
    yield table("member", names, columns, width)
    for name, reason in members.incomplete(result):
        yield Text(f"! {name}: {reason}", "yellow")
    for line in members.spread(result):
        yield sentence(line)
