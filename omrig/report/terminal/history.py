"""A history on the terminal: what changed first, the largest above, then the versions."""

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import RenderableType
from rich.text import Text

from omrig.compare import metrics
from omrig.history import events as happened
from omrig.history import figures
from omrig.history.events import Event
from omrig.history.reading import History, Series
from omrig.model.columns import Floats
from omrig.report import comparison_text, history_text
from omrig.report.terminal import table
from omrig.report.terminal.console import bulleted, grid_of_notes, printing

_STYLES = {"slower": "bold red", "faster": "bold green", "mixed": "bold yellow"}

_BEGINS = "<"
"""Marks a figure with which something new begins."""


def show(
    history: History, events: Sequence[Event], file: TextIO | None = None, width: int | None = None
) -> None:
    """Print the history on ``file`` (standard output), ``width`` columns wide."""
    with printing(file, width) as console:
        for part in _parts(history, events, console.width):
            console.print(part)


def _parts(history: History, events: Sequence[Event], width: int) -> list[RenderableType]:
    lines = [_line(event) for event in events]
    head = Text(history_text.head(history, list(events)))
    parts: list[RenderableType] = [Text(), bulleted(lines or [head]), Text()]
    for series in history.series:
        parts.append(Text(series.name or history.package, "bold"))
        begins = [event for event in events if event.series is series]
        parts.append(_versions(series, begins, width))
    notes = grid_of_notes()
    groups = [
        ("not measured", [each for series in history.series for each in history_text.gaps(series)]),
        ("also", _also(events)),
        ("unstable", list(dict.fromkeys(filter(None, map(history_text.caution, events))))),
        ("too few", happened.too_few(history)),
    ]
    for label, texts in groups:
        for number, text in enumerate(texts):
            notes.add_row("" if number else label, Text(text))
    return [*parts, notes] if notes.row_count else parts


def _line(event: Event) -> Text:
    return Text(history_text.line(event), _STYLES.get(event.word, "yellow"))


def _also(events: Sequence[Event]) -> list[str]:
    found = []
    for event in events:
        others = history_text.others(event)
        if others:
            of = f", {event.series.name}" if event.series.name else ""
            found.append(f"{event.version}{of}: {others}")
    return found


def _versions(series: Series, events: Sequence[Event], width: int) -> RenderableType:
    known = figures.of_series(series)
    columns = []
    for name in history_text.SHOWN:
        metric = metrics.find(name)
        if metric and name in known:
            values = _column(known, metric, events)
            columns.append(table.Column(metric.label, values))
    runs = [f"{len(point.runs)}" for point in series.points]
    names = [point.version for point in series.points]
    return table.table("version", names, [table.Column("runs", runs), *columns], width)


def _column(
    known: Mapping[str, Sequence[Floats]], metric: metrics.Metric, events: Sequence[Event]
) -> list[str]:
    begins = {event.at for event in events if any(each.metric == metric for each in event.changes)}
    found = []
    for number, values in enumerate(known[metric.name]):
        centre = figures.centre(values)
        told = "" if centre is None else comparison_text.value(metric, centre)
        # In every row, or figures would not stand below one another.
        found.append(f"{told} {_BEGINS if number in begins else ' '}")
    return found
