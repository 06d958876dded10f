"""What the profilers did to the stages, for the terminal."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.overhead import StageOverhead
from omrig.model.result import Result
from omrig.report.notes import together

_SEEN_SHARE = 0.02
"""A stage with less than this share, without and with the profilers, is left out."""

_WITH_MEDIANS = 90
_WITH_QUARTILES = 64
"""Widths in columns from which the table has room for medians and for spreads."""


def render(result: Result, width: int) -> Iterator[RenderableType]:
    """A table for each set of profilers that was compared while the stages were measured."""
    for found in together(result):
        if found.stages:
            yield Text(f"\nthe stages of a message without and with {found.who}", "bold")
            yield _table(found.stages, width)


def _table(stages: Sequence[StageOverhead], width: int) -> Table:
    quartiles, medians = width >= _WITH_QUARTILES, width >= _WITH_MEDIANS
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    names = ["mean", "with", "x", *(["p50 x"] if medians else []), "share", "with"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for stage in stages:
        if max(stage.unprofiled_share, stage.profiled_share) < _SEEN_SHARE:
            continue
        table.add_row(
            stage.name,
            units.duration(stage.unprofiled_mean_ns),
            units.duration(stage.profiled_mean_ns),
            _ratio(stage.mean_ratio, stage.mean_quartiles, quartiles),
            *([_ratio(stage.p50_ratio, stage.p50_quartiles, quartiles)] if medians else []),
            f"{100 * stage.unprofiled_share:.1f} %",
            f"{100 * stage.profiled_share:.1f} %",
        )
    return table


def _ratio(ratio: float | None, quartiles: tuple[float, ...] | None, with_quartiles: bool) -> str:
    if ratio is None or quartiles is None:
        return "-"
    low, high = quartiles
    return f"{ratio:.2f}" + (f" [{low:.2f}, {high:.2f}]" if with_quartiles else "")
