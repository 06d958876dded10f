"""What the profilers found, for the terminal: one renderer a mode, each in a file of its own."""

from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.text import Text

from omrig.model.overhead import NotMeasured, Overhead
from omrig.model.result import Result, Summary
from omrig.report.terminal.profiles import lines, memory, memory_lines, memray, pyspy, yappi

Renderer = Callable[[Summary, str, int], list[RenderableType]]
"""From a mode's summary, the side it is of and the width in columns to what is printed."""

RENDERERS: dict[str, Renderer] = {
    "lines": lines.render,
    "memory": memory.render,
    "memory-lines": memory_lines.render,
    "memray": memray.render,
    "pyspy": pyspy.render,
    "yappi": yappi.render,
}
"""By mode; of a mode without one nothing is shown here, and its files are listed as all are."""


def render(result: Result, width: int) -> Iterator[RenderableType]:
    """Everything that the profilers of a run summarised, side by side and mode by mode."""
    for side, modes in result.profiles.items():
        for mode, summary in modes.items():
            if mode in RENDERERS:
                yield from RENDERERS[mode](summary, side, width)
                yield from _cost(result.overhead.get(mode))


def _cost(found: Overhead | NotMeasured | None) -> Iterator[RenderableType]:
    """How much the mode slowed the run: a profile is to be read with that in mind."""
    if isinstance(found, Overhead) and found.text:
        yield Text(found.text, "dim")
