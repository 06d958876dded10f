"""A comparison of two recordings of services on the terminal: method by method."""

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.compare.conclusion import worse
from omrig.compare.services.comparison import Comparison, Recorded, count_of
from omrig.compare.services.methods import LEAST_FOR_TAIL, Compared
from omrig.compare.table import Row
from omrig.model import units
from omrig.model.service import Method
from omrig.model.units import NS
from omrig.report import comparison_text
from omrig.report.terminal.console import grid_of_notes, printing

_WITH_TAILS = 88
"""Width in columns from which the table has room for medians and tails."""

_STAGES = 4
"""So many changed stages of a method are shown."""

_STYLES = {"met": "green", "failed": "bold red", "undecided": "yellow"}

_ADVICE = "record for longer"


def show(comparison: Comparison, file: TextIO | None = None, width: int | None = None) -> None:
    """Print ``comparison`` on ``file`` (standard output), ``width`` columns wide."""
    with printing(file, width) as console:
        for part in _parts(comparison, console.width):
            console.print(part)


def _parts(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    yield Text(f"\n> {comparison.text}", "bold")
    grid = grid_of_notes()
    grid.add_row()
    for name, side in (("BASE", comparison.base), ("NEW", comparison.new)):
        grid.add_row(name, Text(_named(side)))
    yield grid
    if comparison.methods:
        yield _methods(comparison, width)
        yield Text("BASE above, NEW below\n", "dim")
    for each in comparison.methods:
        if each.changed_stages:
            yield _stages(each)
    yield _notes(comparison)


def _named(side: Recorded) -> str:
    result = side.result
    return (
        f"{side.folder}, {result.started_at}, {units.duration(result.duration_ns)},"
        f" {len(result.processes)} processes"
    )


def _methods(comparison: Comparison, width: int) -> RenderableType:
    tails = width >= _WITH_TAILS
    drawn = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    drawn.add_column("method", overflow="fold")
    for name in ("n", "a second", "mean", *(("p50", "p99") if tails else ())):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("ratio of means", justify="right", no_wrap=True)
    drawn.add_column("")
    for each in comparison.methods:
        drawn.add_row(
            each.name.label,
            f"{count_of(each.base):,}\n{count_of(each.new):,}",
            _rates(comparison, each),
            *(_figures(each.row(name)) for name in ("mean", *(("p50", "p99") if tails else ()))),
            _ratio(each.row("mean")),
            _call(each),
            style="" if each.changed else "dim",
        )
    return drawn


def _rates(comparison: Comparison, each: Compared) -> str:
    sides = ((comparison.base, each.base), (comparison.new, each.new))
    found = [
        count_of(method) * side.result.sample / (max(1, side.result.duration_ns) / NS)
        for side, method in sides
    ]
    return f"{found[0]:,.3g}\n{found[1]:,.3g}"


def _figures(row: Row | None) -> str:
    """What it was, and below what it is."""
    if row is None:
        return "-"
    return "\n".join(comparison_text.value(row.metric, each) for each in (row.base, row.new))


def _ratio(row: Row | None) -> str:
    """The ratio, and below its interval where it was tested."""
    if row is None or row.base <= 0:
        return "-"
    told = comparison_text.ratio(row.ratio.value if row.ratio else row.new / row.base)
    return f"{told}\n{comparison_text.interval(row.ratio)}"


def _call(each: Compared) -> Text:
    if each.untested:
        return Text("not tested", "yellow")
    if not each.changed:
        return Text(comparison_text.NOT_SIGNIFICANT)
    row = each.changed[0]
    told = f"{comparison_text.verdict(row)} ({row.metric.name})"
    return Text(told, "red" if worse(row) else "green")


def _stages(each: Compared) -> RenderableType:
    lines = [f"{each.name.label}: stages that changed most"]
    lines += [
        f"  {row.metric.stage}: {comparison_text.value(row.metric, row.base)} to"
        f" {comparison_text.value(row.metric, row.new)}{_interval(row)}"
        for row in each.changed_stages[:_STAGES]
    ]
    return Text("\n".join(lines))


def _interval(row: Row) -> str:
    if row.ratio is None:
        return ""
    return (
        f", ratio {comparison_text.ratio(row.ratio.value)} ({comparison_text.interval(row.ratio)})"
    )


def _notes(comparison: Comparison) -> Table:
    grid = grid_of_notes()
    grid.add_row()
    groups = (
        ("only in BASE", _alone(comparison.only_base)),
        ("only in NEW", _alone(comparison.only_new)),
        ("not tested", [f"{each.name.label}: {each.untested}" for each in _untested(comparison)]),
        (
            "rows",
            [side.unread for side in (comparison.base, comparison.new) if side.unread],
        ),
        ("tails", _tails(comparison.methods)),
        ("differs", [comparison_text.difference(each) for each in comparison.differences]),
        ("unstable", [each.text for each in comparison.instabilities]),
    )
    for label, lines in groups:
        for number, line in enumerate(lines):
            grid.add_row("" if number else label, Text(line))
    for number, ruling in enumerate(comparison.rulings):
        line = comparison_text.ruling(ruling, _ADVICE)
        grid.add_row("" if number else "gates", Text(line, _STYLES[ruling.outcome]))
    return grid


def _alone(methods: Sequence[Method]) -> list[str]:
    return [f"{each.name.label} ({count_of(each):,})" for each in methods]


def _untested(comparison: Comparison) -> list[Compared]:
    return [each for each in comparison.methods if each.untested]


def _tails(methods: Sequence[Compared]) -> list[str]:
    """That a p99 of few messages is an accident."""
    thin = [
        each.name.label
        for each in methods
        if not each.untested and (row := each.row("p99")) and row.metric.family == "detail"
    ]
    if not thin:
        return []
    return [
        f"fewer than {LEAST_FOR_TAIL:,} messages in one of the recordings, their p90 and p99 are no"
        f" claim: {', '.join(thin)}"
    ]
