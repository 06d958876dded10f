"""The patterns of a mix and the classes of sizes, a row each, for the terminal."""

from collections.abc import Mapping

from rich.console import RenderableType
from rich.text import Text

from omrig.model.result import Part, Result
from omrig.report import owners, parts
from omrig.report.terminal import waterfall
from omrig.report.terminal.table import Column, table

_SPARED = ("books", "mean", "received", "errors", "lost", "sent")
"""What a table goes without where there is no room, the first of them first."""

_SHORTEST_NAME = 12


def of_patterns(result: Result, width: int) -> list[RenderableType]:
    """A row a pattern, and from where to where each latency is; nothing without a mix."""
    if not result.patterns:
        return []
    note = Text(f"latency of {parts.latencies(result.patterns)}", "dim")
    return [_table("pattern", result.patterns, width), note]


def of_sizes(result: Result, width: int) -> list[RenderableType]:
    """A row a class of sizes, for each pattern; nothing where all payloads have the same size."""
    shown: list[RenderableType] = []
    for pattern, classes in parts.of_sizes(result):
        shown += [Text(f"{pattern} by size of payload", "bold"), _table("payload", classes, width)]
    return shown


def waterfalls(result: Result, width: int, ascii_only: bool) -> list[RenderableType]:
    """A message of each pattern, drawn to its own scale."""
    shown: list[RenderableType] = []
    for name, part in (result.patterns or {}).items():
        if part.waterfall:
            shown += [Text(name, "bold")]
            shown += waterfall.render(part.waterfall, name, width, ascii_only)
            shown += [Text()]
    return shown


def _table(heading: str, found: Mapping[str, Part], width: int) -> RenderableType:
    rows = parts.rows(found)
    mostly = [f"{owners.title(row.owner)} {row.share}" if row.owner else "-" for row in rows]
    columns = [Column(name, [row.values[name] for row in rows]) for name in rows[0].values]
    columns.append(Column("mostly", mostly))
    names = [row.name for row in rows]
    longest = max(_SHORTEST_NAME, *map(len, names))
    for spared in _SPARED:
        if 2 + longest + sum(column.width + 3 for column in columns) > width:
            columns = [column for column in columns if column.heading != spared]
    return table(heading, names, columns, width)
