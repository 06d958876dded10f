"""What a sweep found, on the terminal: the recommendation first, then the points it rests on."""

import io
from typing import TextIO

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model.sweep import Point, Sweep
from omrig.report import sweep_text
from omrig.report.terminal.console import bulleted, grid_of_notes, printing

_WITH_INTERVALS = 72
"""Width in columns from which there is room for the intervals of the throughput."""

_WITH_STAGES = 96
"""Width from which there is room for the stages that change most."""

_STYLES = {"best": "green", "same": "green", "worse": "", "undecided": "yellow", "failed": "red"}


def show(sweep: Sweep, folder: str, file: TextIO | None = None, width: int | None = None) -> None:
    """Print ``sweep``, whose runs are in ``folder``, on ``file`` (standard output)."""
    with printing(file, width) as console:
        for part in _parts(sweep, folder, console.width):
            console.print(part)


def text(sweep: Sweep, folder: str, width: int | None = None) -> str:
    """The sweep as plain text."""
    file = io.StringIO()
    show(sweep, folder, file, width)
    return file.getvalue()


def _parts(sweep: Sweep, folder: str, width: int) -> list[RenderableType]:
    style = "bold" if sweep.decided else "bold yellow"
    notes = grid_of_notes()
    for number, note in enumerate(sweep.notes):
        notes.add_row("" if number else "notes", Text(note))
    notes.add_row("levels", Text(f"of {sweep_text.factors(sweep)}"))
    notes.add_row("method", Text(sweep_text.method(sweep)))
    notes.add_row("results", Text(folder))
    return [Text(), bulleted([Text(sweep.text, style)], style), _points(sweep, width), notes]


def _points(sweep: Sweep, width: int) -> Table:
    intervals = width >= _WITH_INTERVALS
    stages = sweep_text.stages_that_change(sweep) if width >= _WITH_STAGES else []
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("level" if len(sweep.factors) == 1 else "levels", overflow="fold")
    table.add_column("msg/s", justify="right", no_wrap=True)
    if intervals:
        table.add_column("95 % interval", justify="right", no_wrap=True)
    for name in ("p50", "p99", "CPU/msg"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in stages:
        table.add_column("_\n".join(name.rsplit("_", 1)), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for point in sweep.points:
        row = [sweep_text.levels(point), sweep_text.rate(point.figures.get("throughput"))]
        if intervals:
            row.append(sweep_text.interval_of_rate(point.figures.get("throughput")))
        row += [sweep_text.duration(point.figures.get(name)) for name in ("p50", "p99", "cpu")]
        row += [sweep_text.share(point, name) for name in stages]
        table.add_row(*map(Text, row), _standing(sweep, point))
    return table


def _standing(sweep: Sweep, point: Point) -> Text:
    style = _STYLES[point.standing]
    if point.name == sweep.recommended:
        style = f"bold {style}"
    return Text(sweep_text.standing(sweep, point), style.strip())
