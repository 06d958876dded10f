"""The hosts of a fleet on the terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from omrig.model.result import Result
from omrig.model.run import Run
from omrig.report import hosts
from omrig.report.terminal.table import Column, fitting, sentence, table

_LEFT_OUT = ("members", "max", "CPU a message", "p50", "received", "sent", "clock")
"""The figures that go first where there is no room, in this order."""


def render(run: Run, result: Result, width: int) -> Iterator[RenderableType]:
    """A row a host, what was lost, and how they differ; nothing of a run that was no fleet's."""
    rows = hosts.rows(result)
    if not rows:
        return
    yield Text("\nhosts", "bold")
    told = [figures for _, figures in rows]
    columns = [
        Column(heading, [each[place] for each in told])
        for place, heading in enumerate(hosts.FIGURES)
    ]
    names = [part.name for part, _ in rows]
    columns = fitting(names, columns, _LEFT_OUT, width)
    yield table("host", names, columns, width)
    for name, what in hosts.lost(result):
        yield Text(f"! {name}: {what}", "yellow")
    for line in hosts.differences(run):
        yield Text(f"! {line}", "yellow")
    for line in hosts.notes(run, result):
        yield sentence(line)
    for name, line in hosts.clocks_of_their_own(result):
        yield Text(f"{name} keeps time by: {line}")
