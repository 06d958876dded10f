"""The table of stages and the bar of buckets, for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from rich import box
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.result import StageRow
from omrig.report import owners
from omrig.report.terminal.console import grid_of_notes

_WITH_BUCKETS = 72
"""Width in columns from which the table has room for sides and buckets."""

_WITH_MEDIANS = 58
"""Width from which it has room for medians."""

_UNSEEN = 0.0005
"""A stage below this share is shown as 0.0 %, and need not be looked at."""

NO_ERRORS: Mapping[str, int] = MappingProxyType({})
"""Of stages that are all on one clock."""

_BAR_LABEL_WIDTH = 10
_NARROWEST_BAR = 10

_SHADES = "█▓▒░"
_ASCII_SHADES = "#=+-"


def table(
    rows: Sequence[StageRow],
    width: int,
    *,
    sampled: bool = False,
    named: str | None = None,
    mixed: bool = False,
    errors_ns: Mapping[str, int] = NO_ERRORS,
) -> Table:
    """The stages in order: whose they are, their share, mean and spread.

    With ``sampled`` shares come with their standard error. A verdict's stage is ``named``. Of
    ``mixed`` patterns the means are not of the same messages, and are not added up. ``errors_ns``
    is by how much clocks leave a stage uncertain.
    """
    buckets, medians = width >= _WITH_BUCKETS, width >= _WITH_MEDIANS
    gap = 2 if width >= _WITH_BUCKETS + 10 else 1
    drawn = Table(box=box.SIMPLE, pad_edge=False, padding=(0, gap, 0, 0), show_footer=True)
    percentages = owners.percentages([row.share for row in rows])
    drawn.add_column("stage", "all", no_wrap=True)
    if buckets:
        drawn.add_column("side", no_wrap=True)
        # What gives way where there is no room, in place of a figure.
        drawn.add_column("bucket")
    drawn.add_column("share", f"{sum(percentages):.1f} %", justify="right", no_wrap=True)
    mean = "" if mixed else units.duration(sum(row.mean_ns for row in rows))
    drawn.add_column("mean", mean, justify="right", no_wrap=True)
    if medians:
        drawn.add_column("p50", justify="right", no_wrap=True)
    drawn.add_column("p99", justify="right", no_wrap=True)
    for row, percentage in zip(rows, percentages, strict=True):
        bucket = owners.bucket_of(row.name, row.bucket)
        drawn.add_row(
            Text(row.name, owners.style(owners.owner_of(bucket))),
            *([Text(row.side), _cropped(bucket)] if buckets else []),
            _share(row, percentage, sampled),
            _duration(row.mean_ns) + (_error(row, errors_ns) if buckets else ""),
            *([_duration(row.p50_ns)] if medians else []),
            _duration(row.p99_ns),
            style=_emphasis(row, named),
        )
    return drawn


def _cropped(bucket: str) -> Text:
    return Text(bucket, no_wrap=True, overflow="ellipsis")


def _duration(nanoseconds: int) -> str:
    return units.duration(nanoseconds) if nanoseconds else "0"


def _error(row: StageRow, errors_ns: Mapping[str, int]) -> str:
    return f" ± {units.duration(errors_ns[row.name])}" if row.name in errors_ns else ""


def _share(row: StageRow, percentage: float, sampled: bool) -> str:
    error = f" ± {100 * row.share_error:.1f}" if sampled else ""
    return f"{percentage:.1f}{error} %"


def _emphasis(row: StageRow, named: str | None) -> str:
    if row.name == named:
        return "bold"
    return "dim" if abs(row.share) < _UNSEEN else ""


def buckets(rows: Sequence[StageRow], width: int, ascii_only: bool) -> Table:
    """The bar of buckets in ``width`` columns and what its parts are, as a grid of notes."""
    grid = grid_of_notes()
    bar_width = max(_NARROWEST_BAR, width - _BAR_LABEL_WIDTH)
    grid.add_row("buckets", bucket_bar(rows, bar_width, ascii_only))
    for owner in bucket_lines(rows, ascii_only):
        grid.add_row("", owner)
    return grid


def bucket_bar(rows: Sequence[StageRow], width: int, ascii_only: bool) -> Text:
    """The buckets as one bar of 100 %, ``width`` characters wide, grouped by owner."""
    text = Text()
    at = drawn = 0.0
    for owner, _, percentage, shade in _segments(rows, ascii_only):
        at += percentage
        end = round(width * at / 100)
        text.append(shade * int(max(0, end - drawn)), owners.style(owner))
        drawn = max(drawn, end)
    return text


def bucket_lines(rows: Sequence[StageRow], ascii_only: bool) -> list[Text]:
    """What the parts of the bar are: a line an owner, with those of its buckets that are seen."""
    lines: dict[str, Text] = {}
    for owner, buckets in owners.of_buckets(rows).items():
        lines[owner] = Text(f"{owners.title(owner)} {sum(buckets.values()):.1f} %")
    seen = dict.fromkeys(lines, 0)
    for owner, bucket, percentage, shade in _segments(rows, ascii_only):
        if percentage:
            part = f"{', ' if seen[owner] else ': '}{shade} {bucket} {percentage:.1f} %"
            lines[owner].append(part, owners.style(owner))
            seen[owner] += 1
    return list(lines.values())


def _segments(rows: Sequence[StageRow], ascii_only: bool) -> Iterator[tuple[str, str, float, str]]:
    """Owner, bucket, percentage and shade of each bucket; neighbours differ in shade."""
    shades = _ASCII_SHADES if ascii_only else _SHADES
    number = 0
    for owner, buckets in owners.of_buckets(rows).items():
        for bucket, percentage in buckets.items():
            yield owner, bucket, percentage, shades[number % len(shades)]
            number += 1
