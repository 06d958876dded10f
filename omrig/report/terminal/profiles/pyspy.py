"""What py-spy found, on the terminal: samples by role and by function."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model.result import Summary
from omrig.model.values import Value
from omrig.report.terminal.table import Column, table

_ROWS = 10
"""So many roles and functions are shown; ``result.json`` has more."""

_PLACE_WIDTH = 28

_WITH_PLACES = 60
"""Width in columns from which the files of functions have room."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Counted(Value):
    """How many samples, and their share of all."""

    samples: int
    share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Role(_Counted):
    """The samples of threads of one role."""

    role: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Function(_Counted):
    """The samples with one function on top."""

    function: str
    file: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found(Value):
    """What is told of a side; where all of it ``failed``, only that."""

    failed: str | None = None
    samples: int = 0
    gil: bool = False
    errors: int = 0
    rate_hz: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    roles: tuple[_Role, ...] = ()
    functions: tuple[_Function, ...] = ()


def render(summary: Summary, side: str, width: int) -> list[RenderableType]:
    """The tables of one side for a terminal of so many columns, or why there are none."""
    found = _Found.from_json(summary)
    parts: list[RenderableType] = []
    if found.failed:
        parts.append(Text(f"\n! py-spy, {side}: {found.failed}", "yellow"))
    if not found.failed or found.samples:
        parts.append(Text(f"\npy-spy, {side}: {_what(found)}", "bold"))
    if not found.samples:
        return parts
    roles = found.roles[:_ROWS]
    parts.append(table("role", [row.role for row in roles], _counts(roles), width))
    return [*parts, _functions(found.functions[:_ROWS], width)]


def _what(found: _Found) -> str:
    what = "holding the interpreter lock" if found.gil else "of running threads"
    lost = f", {found.errors:,} lost" if found.errors else ""
    return (
        f"{found.samples:,} samples {what}{lost}, {found.rate_hz} times a second over"
        f" {found.seconds:.1f} s; py-spy used {found.cpu_seconds:.1f} s of CPU itself"
    )


def _functions(rows: Sequence[_Function], width: int) -> Table:
    places = [PurePath(row.file).name if row.file else "" for row in rows]
    files = [Column("file", places, _PLACE_WIDTH)] if width >= _WITH_PLACES else []
    columns = [*files, *_counts(rows)]
    return table("function on top", [row.function for row in rows], columns, width)


def _counts(rows: Sequence[_Counted]) -> tuple[Column, Column]:
    return (
        Column("samples", [f"{row.samples:,}" for row in rows]),
        Column("share", [f"{100 * row.share:.1f} %" for row in rows]),
    )
