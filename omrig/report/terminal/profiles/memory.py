"""The growth of a side's memory on the terminal."""

import dataclasses

from rich.console import RenderableType
from rich.text import Text

from omrig.model import units
from omrig.model.result import Summary
from omrig.model.values import Value

FEW_MESSAGES = 10_000
"""Below so many messages caches and pools may still be filling in the later half."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Fit(Value):
    """What is told of the growth; the ``reason`` is why it was not fitted."""

    growth_bytes_per_message: float | None = None
    standard_error_bytes: float = 0.0
    own_bytes_per_message: float = 0.0
    grows: bool = False
    fitted_from_message: int = 0
    messages: int = 0
    reason: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Peak(Value):
    """What is told of the memory itself."""

    peak_rss_bytes: float
    peak_children_rss_bytes: float | None = None
    samples: int


def render(summary: Summary, side: str, width: int) -> list[RenderableType]:  # noqa: ARG001
    """Growth per message and peak, in a few words."""
    peak = _Peak.from_json(summary)
    children = peak.peak_children_rss_bytes
    beside = f", its children {units.size(children)}" if children else ""
    return [
        Text.assemble("\n", ("memory", "bold"), f" of the {side}: {growth(summary)}"),
        Text(
            f"  peak {units.size(peak.peak_rss_bytes)} resident{beside};"
            f" {peak.samples:,} samples during the load",
            "dim",
        ),
    ]


def growth(summary: Summary) -> str:
    """Whether and by how much the memory grew with every message."""
    fit = _Fit.from_json(summary)
    slope, own = fit.growth_bytes_per_message, fit.own_bytes_per_message
    if slope is None:
        return f"growth not fitted: {fit.reason}"
    figure = f"{slope:,.0f} ± {fit.standard_error_bytes:,.0f} bytes a message"
    if own:
        figure += f", of which {own:,.0f} are omrig's own stamps"
    verdict = f"grows by {figure}" if fit.grows else f"no growth beyond the error ({figure})"
    fitted = f"messages {fit.fitted_from_message:,} to {fit.messages:,}"
    few = ""
    if fit.grows and fit.messages < FEW_MESSAGES:
        few = "; that early it may be caches and pools that still fill, and more messages tell"
    return f"{verdict}, fitted over {fitted}{few}"
