"""The calls that endpoints made, for the terminal: what they came to, and their stages."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from omrig.model.result import Result
from omrig.report import nested
from omrig.report.terminal import stages
from omrig.report.terminal.console import grid_of_notes


def render(result: Result, width: int, sampled: bool) -> Iterator[RenderableType]:
    """Nothing where endpoints made no calls."""
    if result.nested is None:
        return
    yield Text(
        "\nnested calls, to a server in the consumers' processes; they are part of the endpoint",
        "bold",
    )
    if result.nested.stages:
        yield stages.table(
            result.nested.stages, width, sampled=sampled, mixed=bool(result.patterns)
        )
    grid = grid_of_notes()
    for label, line in nested.lines(result):
        grid.add_row(label, line)
    yield grid
