"""A verdict and its evidence, for the terminal."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from omrig.model.verdict import Verdict
from omrig.report import owners


def render(verdict: Verdict, of: str = "") -> RenderableType:
    """The verdict, after the name of what it is ``of``, and what it rests on."""
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row()
    style = owners.style(verdict.owner)
    grid.add_row(Text(">", f"bold {style}"), Text(of + verdict.text, f"bold {style}"))
    for line in verdict.evidence:
        # The books say the same below, and more.
        if line.kind != "closure":
            grid.add_row(Text("-", "dim"), Text(line.text))
    return grid
