"""What mode ``lines`` found, in words and columns: the same in its file and on the terminal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from omrig.model import units

MARK = "*"
"""Beside a time that includes time switched out."""

COLUMNS = ("share", "time", "switched out", "hits", "a hit", "line")


def counts(summary: Mapping[str, Any]) -> str:
    """How many functions of what were looked at, and how many of them ran."""
    return (
        f"{', '.join(summary['targets'])}: {summary['functions_registered']:,} functions"
        f" registered, {summary['functions_hit']:,} hit"
    )


def total(summary: Mapping[str, Any]) -> str:
    """What all lines took together."""
    all_lines = f"{units.duration(summary['total_ns'])} in all lines together"
    if not summary["switched_out_ns"]:
        return all_lines
    return f"{all_lines}, {units.duration(summary['switched_out_ns'])} of it switched out"


def notes(summary: Mapping[str, Any]) -> list[str]:
    """How to read the figures."""
    how = (
        "measured at each switch of greenlets"
        if summary["switched_out_exact"]
        else "estimated by looking at the threads every few ms, waits for the GIL included; short"
        " waits of a thread that works in between are taken for work"
    )
    return [
        "line times are wall time, with that of what the line calls: where one target calls"
        " another it counts in both",
        f"{MARK} includes time switched out, {how}; the share is of the time without it",
        f"some {units.duration(summary['hit_cost_ns'])} of each hit are the profiler's own; a"
        " statement on several lines hits its first one each time it comes back to it",
    ]


def cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    """A line of the summary, by :data:`COLUMNS`."""
    return (
        f"{line['share']:.1%}".replace("%", " %"),
        f"{units.duration(line['time_ns'])}{MARK if line['switched_out'] else ' '}",
        units.duration(line["switched_out_ns"]) if line["switched_out"] else "",
        f"{line['hits']:,}",
        units.duration(line["time_ns"] / line["hits"]),
        f"{Path(line['file']).name}:{line['line']}",
    )


def write(file: TextIO, summary: Mapping[str, Any], about: str) -> None:
    """Write what is found into an open file: in words, then the lines as a table.

    ``about`` says of what the lines are.
    """
    file.writelines(f"{line}\n" for line in _text(summary, about))


def _text(summary: Mapping[str, Any], about: str) -> Iterator[str]:
    yield about
    yield counts(summary)
    yield total(summary)
    yield ""
    yield from notes(summary)
    yield ""
    rows = [(*COLUMNS, "source")]
    rows += [(*cells(line), line["source"]) for line in summary["lines"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        *figures, where, source = row
        figures = [cell.rjust(width) for cell, width in zip(figures, widths, strict=False)]
        yield "  ".join([*figures, where.ljust(widths[-2]), source]).rstrip()
    yield ""
