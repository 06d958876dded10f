"""How an open loop went, on the terminal: its pace, and each rate of a ramp."""

from rich import box
from rich.console import RenderableType
from rich.table import Table

from omrig.model import units
from omrig.model.pacing import Ramp
from omrig.model.result import Result
from omrig.report import pacing as words
from omrig.report.terminal.console import grid_of_notes


def render(result: Result) -> list[RenderableType]:
    """The pace and the ramp; nothing of a closed loop."""
    if result.pacing is None:
        return []
    grid = grid_of_notes()
    lines = (
        ("rate", words.asked(result.pacing)),
        ("", words.counts(result.pacing)),
        ("", words.why_late(result.pacing)),
        ("omission", words.omitted(result)),
        ("", words.not_in_stages(result) if result.stages else ""),
    )
    for label, line in lines:
        if line:
            grid.add_row(label, line)
    return [grid, *(_ramp(result.ramp) if result.ramp else ())]


def _ramp(ramp: Ramp) -> list[RenderableType]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("asked/s", "sent/s", "msg/s", "late", "dropped", "failed", "p50", "p99"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in ramp.rows:
        table.add_row(
            f"{row.asked_per_second:,.1f}",
            f"{row.sent_per_second:,.1f}",
            f"{row.messages_per_second:,.1f}",
            f"{row.late:,}",
            f"{row.dropped:,}",
            f"{row.failed:,}",
            *("-" if ns is None else units.duration(ns) for ns in (row.p50_ns, row.p99_ns)),
        )
    grid = grid_of_notes()
    highest = max(row.asked_per_second for row in ramp.rows)
    grid.add_row("ramp", words.knee(ramp.knee, highest))
    return [table, grid]
