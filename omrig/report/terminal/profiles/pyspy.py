"""What py-spy found, on the terminal: samples by role and by function."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.report.terminal.table import Column, table

_ROWS = 10
"""So many roles and functions are shown; ``result.json`` has more."""

_PLACE_WIDTH = 28

_WITH_PLACES = 60
"""Width in columns from which the files of functions have room."""


def render(summary: Mapping[str, Any], side: str, width: int) -> list[RenderableType]:
    """The tables of one side for a terminal of so many columns, or why there are none."""
    parts: list[RenderableType] = []
    if summary["failed"]:
        parts.append(Text(f"\n! py-spy, {side}: {summary['failed']}", "yellow"))
    if not summary["failed"] or summary["samples"]:
        parts.append(Text(f"\npy-spy, {side}: {_what(summary)}", "bold"))
    if not summary["samples"]:
        return parts
    roles = summary["roles"][:_ROWS]
    parts.append(table("role", [row["role"] for row in roles], _counts(roles), width))
    return [*parts, _functions(summary["functions"][:_ROWS], width)]


def _what(summary: Mapping[str, Any]) -> str:
    what = "holding the interpreter lock" if summary["gil"] else "of running threads"
    lost = f", {summary['errors']:,} lost" if summary["errors"] else ""
    return (
        f"{summary['samples']:,} samples {what}{lost}, {summary['rate_hz']} times a second over"
        f" {summary['seconds']:.1f} s; py-spy used {summary['cpu_seconds']:.1f} s of CPU itself"
    )


def _functions(rows: Sequence[Mapping[str, Any]], width: int) -> Table:
    places = [PurePath(row["file"]).name if row["file"] else "" for row in rows]
    files = [Column("file", places, _PLACE_WIDTH)] if width >= _WITH_PLACES else []
    columns = [*files, *_counts(rows)]
    return table("function on top", [row["function"] for row in rows], columns, width)


def _counts(rows: Sequence[Mapping[str, Any]]) -> tuple[Column, Column]:
    return (
        Column("samples", [f"{row['samples']:,}" for row in rows]),
        Column("share", [f"{100 * row['share']:.1f} %" for row in rows]),
    )
