"""A comparison on the terminal: the call first, then the figures, then what they rest on."""

import io
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.compare import decided
from omrig.compare.comparison import Comparison
from omrig.compare.conclusion import worse
from omrig.compare.runs import RunSet
from omrig.compare.table import Row, by_name
from omrig.report import comparison_text
from omrig.report.terminal import functions
from omrig.report.terminal.console import grid_of_notes, printing

_WITH_INTERVALS = 56
"""Width in columns from which stages have room for intervals."""

_WITH_VALUES = 72
"""Width from which the tables have room for the figures of both sides."""

_WITH_MEDIANS = 96
"""Width from which stages have room for the ratio of their medians."""

_OF_STAGES = "mean and p50: ratios of NEW to BASE of a stage's mean and median\n"
_OF_MEANS = "mean: ratio of NEW to BASE of a stage's mean\n"

_STYLES = {"slower": "red", "faster": "green", "mixed": "yellow", "resources": "yellow"}
_OUTCOMES = {"met": "green", "failed": "bold red", "undecided": "yellow"}


def show(comparison: Comparison, file: TextIO | None = None, width: int | None = None) -> None:
    """Print ``comparison`` on ``file`` (standard output), ``width`` columns wide."""
    with printing(file, width) as console:
        for part in _parts(comparison, console.width):
            console.print(part)


def text(comparison: Comparison, width: int | None = None) -> str:
    """The comparison as plain text."""
    file = io.StringIO()
    show(comparison, file, width)
    return file.getvalue()


def _parts(comparison: Comparison, width: int) -> list[RenderableType]:
    rows = comparison.rows
    parts: list[RenderableType] = [_verdict(comparison), _sides(comparison)]
    headline = [row for row in rows if row.metric.family == "headline"]
    parts.append(_headline(headline, width))
    stages = [row for row in rows if row.metric.statistic == "mean" and (row.base or row.new)]
    if stages:
        parts.append(_stages(stages, rows, width))
        parts.append(Text(_OF_STAGES if width >= _WITH_MEDIANS else _OF_MEANS, "dim"))
    if counted := comparison_text.counted(rows):
        parts.append(_counts(counted))
    parts += functions.render(comparison, width)
    notes = _notes(comparison)
    if notes.row_count:
        parts.append(notes)
    return parts


def _verdict(comparison: Comparison) -> RenderableType:
    style = f"bold {_STYLES.get(comparison.call.word, '')}".strip()
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row()
    grid.add_row(Text(">", style), Text(comparison.call.text, style))
    if comparison.decision and not comparison.is_sequential:
        grid.add_row("", Text(comparison.decision.text))
    kinds = dict.fromkeys(each.kind for each in comparison.instabilities)
    if kinds:
        grid.add_row(Text("!", "yellow"), Text(f"unstable: {', '.join(kinds)}", "yellow"))
    return grid


def _sides(comparison: Comparison) -> RenderableType:
    grid = grid_of_notes()
    grid.add_row()
    grid.add_row("BASE", Text(_named(comparison.base)))
    grid.add_row("NEW", Text(_named(comparison.new)))
    return grid


def _named(side: RunSet) -> str:
    first = side.runs[0]
    count = f"{len(side.runs)} runs from " if len(side.runs) > 1 else ""
    return f"{count}{first.folder}, {first.run.started_at}"


def _headline(rows: Sequence[Row], width: int) -> RenderableType:
    values = width >= _WITH_VALUES
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("NEW to BASE")
    for name in ("BASE", "NEW") if values else ():
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(
            row.metric.label,
            *(_values(row) if values else ()),
            _ratio(row),
            comparison_text.interval(row.ratio),
            _call(row),
            style=_emphasis(row),
        )
    return table


def _stages(means: Sequence[Row], rows: Sequence[Row], width: int) -> RenderableType:
    intervals, values = width >= _WITH_INTERVALS, width >= _WITH_VALUES
    medians = width >= _WITH_MEDIANS
    named = by_name(rows)
    # The box parts its columns by a blank, and there is room for no more.
    table = Table(box=box.SIMPLE, pad_edge=False, padding=0)
    table.add_column("stage", no_wrap=True)
    for name in ("BASE", "NEW") if values else ():
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    if intervals:
        table.add_column("95 % interval", justify="right", no_wrap=True)
    if medians:
        table.add_column("p50", justify="right", no_wrap=True)
        table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column(" ", no_wrap=True)
    for row in means:
        median = named[f"{row.metric.name}.p50"]
        told = row if row.significant or not median.significant else median
        of_median = (_ratio(median), comparison_text.interval(median.ratio) if median.ratio else "")
        table.add_row(
            str(row.metric.stage),
            *(_values(row) if values else ()),
            _ratio(row),
            *((comparison_text.interval(row.ratio) if row.ratio else "",) if intervals else ()),
            *(of_median if medians else ()),
            _call(told),
            style=_emphasis(told),
        )
    return table


def _counts(rows: Sequence[Row]) -> RenderableType:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("counts a message")
    for name in ("BASE", "NEW"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        told = _call(row) if row.exact else Text("not exact")
        table.add_row(row.metric.label, *_values(row), told, style=_emphasis(row))
    return table


def _values(row: Row) -> tuple[str, str]:
    return comparison_text.value(row.metric, row.base), comparison_text.value(row.metric, row.new)


def _ratio(row: Row) -> str:
    if row.ratio:
        return comparison_text.ratio(row.ratio.value)
    return comparison_text.ratio(row.new / row.base) if row.base > 0 else ""


def _call(row: Row) -> Text:
    told = comparison_text.verdict(row)
    if not row.significant:
        return Text(told, "yellow" if row.only else "")
    of_median = " (p50)" if row.metric.statistic == "p50" else ""
    return Text(f"{told}{of_median}", "red" if worse(row) else "green")


def _emphasis(row: Row) -> str:
    return "" if row.significant else "dim"


def _notes(comparison: Comparison) -> Table:
    grid = grid_of_notes()
    groups = [
        ("by chance", [comparison_text.by_chance(comparison.rows) or ""]),
        ("differs", [comparison_text.difference(each) for each in comparison.differences]),
        ("rounds", [decided.NOTE if comparison.is_sequential else ""]),
        ("duet", [decided.DUET_NOTE if comparison.is_duet else ""]),
        ("not in all", [", ".join(comparison.not_compared)]),
        ("unstable", [each.text for each in comparison.instabilities]),
    ]
    for label, lines in groups:
        for number, line in enumerate(line for line in lines if line):
            grid.add_row("" if number else label, Text(line))
    for number, ruling in enumerate(comparison.rulings):
        style = _OUTCOMES[ruling.outcome]
        grid.add_row("" if number else "gates", Text(comparison_text.ruling(ruling), style))
    return grid
