"""What mode ``lines`` found, in words and columns: the same in its file and on the terminal."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from omrig.model import units
from omrig.model.result import Summary
from omrig.model.values import Value

MARK = "*"
"""Beside a time that includes time switched out."""

COLUMNS = ("share", "time", "switched out", "hits", "a hit", "line")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line(Value):
    """A line that was hit; ``switched_out`` says that its time includes time switched out."""

    file: str
    line: int
    source: str
    hits: int
    time_ns: int
    switched_out: bool
    switched_out_ns: int
    share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found(Value):
    """What the mode found in one side; the hottest lines are first."""

    targets: tuple[str, ...]
    functions_registered: int
    functions_hit: int
    total_ns: int
    switched_out_ns: int
    switched_out_exact: bool
    hit_cost_ns: int
    lines: tuple[Line, ...]


def counts(found: Found) -> str:
    """How many functions of what were looked at, and how many of them ran."""
    return (
        f"{', '.join(found.targets)}: {found.functions_registered:,} functions"
        f" registered, {found.functions_hit:,} hit"
    )


def total(found: Found) -> str:
    """What all lines took together."""
    all_lines = f"{units.duration(found.total_ns)} in all lines together"
    if not found.switched_out_ns:
        return all_lines
    return f"{all_lines}, {units.duration(found.switched_out_ns)} of it switched out"


def notes(found: Found) -> list[str]:
    """How to read the figures."""
    how = (
        "measured at each switch of greenlets"
        if found.switched_out_exact
        else "estimated by looking at the threads every few ms, waits for the GIL included; short"
        " waits of a thread that works in between are taken for work"
    )
    return [
        "line times are wall time, with that of what the line calls: where one target calls"
        " another it counts in both",
        f"{MARK} includes time switched out, {how}; the share is of the time without it",
        f"some {units.duration(found.hit_cost_ns)} of each hit are the profiler's own; a"
        " statement on several lines hits its first one each time it comes back to it",
    ]


def cells(line: Line) -> tuple[str, ...]:
    """The figures of a line, by :data:`COLUMNS`."""
    return (
        f"{line.share:.1%}".replace("%", " %"),
        f"{units.duration(line.time_ns)}{MARK if line.switched_out else ' '}",
        units.duration(line.switched_out_ns) if line.switched_out else "",
        f"{line.hits:,}",
        units.duration(line.time_ns / line.hits),
        f"{Path(line.file).name}:{line.line}",
    )


def write(file: TextIO, summary: Summary, about: str) -> None:
    """Write what is found into an open file: in words, then the lines as a table.

    ``about`` says of what the lines are.
    """
    file.writelines(f"{line}\n" for line in _text(Found.from_json(summary), about))


def _text(found: Found, about: str) -> Iterator[str]:
    yield about
    yield counts(found)
    yield total(found)
    yield ""
    yield from notes(found)
    yield ""
    rows: list[tuple[str, ...]] = [(*COLUMNS, "source")]
    rows += [(*cells(line), line.source) for line in found.lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        *figures, where, source = row
        figures = [cell.rjust(width) for cell, width in zip(figures, widths, strict=False)]
        yield "  ".join([*figures, where.ljust(widths[-2]), source]).rstrip()
    yield ""
