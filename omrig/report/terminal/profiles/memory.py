"""The growth of a side's memory on the terminal."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from omrig.model import units

FEW_MESSAGES = 10_000
"""Below so many messages caches and pools may still be filling in the later half."""


def render(summary: dict[str, Any], side: str, width: int) -> list[RenderableType]:  # noqa: ARG001
    """Growth per message and peak, in a few words."""
    children = summary["peak_children_rss_bytes"]
    beside = f", its children {units.size(children)}" if children else ""
    return [
        Text.assemble("\n", ("memory", "bold"), f" of the {side}: {growth(summary)}"),
        Text(
            f"  peak {units.size(summary['peak_rss_bytes'])} resident{beside};"
            f" {summary['samples']:,} samples during the load",
            "dim",
        ),
    ]


def growth(summary: dict[str, Any]) -> str:
    """Whether and by how much the memory grew with every message."""
    slope, error = summary["growth_bytes_per_message"], summary["standard_error_bytes"]
    if slope is None:
        return f"growth not fitted: {summary['reason']}"
    own = summary["own_bytes_per_message"]
    figure = f"{slope:,.0f} ± {error:,.0f} bytes a message"
    if own:
        figure += f", of which {own:,.0f} are omrig's own stamps"
    verdict = f"grows by {figure}" if summary["grows"] else f"no growth beyond the error ({figure})"
    fitted = f"messages {summary['fitted_from_message']:,} to {summary['messages']:,}"
    few = ""
    if summary["grows"] and summary["messages"] < FEW_MESSAGES:
        few = "; that early it may be caches and pools that still fill, and more messages tell"
    return f"{verdict}, fitted over {fitted}{few}"
