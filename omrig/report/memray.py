"""What memray found, in a line or two on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from omrig.results import units


def render(summary: Mapping[str, Any], side: str, width: int) -> list[RenderableType]:  # noqa: ARG001
    """How much was allocated on a side, and what could not be made of it."""
    parts: list[RenderableType] = []
    for trouble in (summary["failed"], summary["skipped"]):
        if trouble:
            parts.append(Text(f"\n! memray, {side}: {trouble}", "yellow"))
    if not summary["failed"]:
        parts.append(
            Text(
                f"\nmemray, {side}: {summary['allocations']:,} allocations from the system since"
                f" the load began, at most {units.size(summary['peak_bytes'])} of them at once",
                "bold",
            )
        )
    return parts
