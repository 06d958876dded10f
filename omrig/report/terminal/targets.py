"""The stage maps on the terminal: actions, functions, stages, and what is installed of them."""

import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from omrig.model.stage_map import INSTALLED, MISSING, OTHER_VERSION, Installed, Probe

_WIDTH_WITHOUT_TERMINAL = 110

_STYLES = {INSTALLED: "green", MISSING: "bold red", OTHER_VERSION: "dim"}


def show(found: Sequence[Installed], file: TextIO | None = None) -> None:
    """Print stage maps on ``file`` (standard output)."""
    file = file or sys.stdout
    width = None if file.isatty() else _WIDTH_WITHOUT_TERMINAL
    console = Console(file=file, width=width, highlight=False)
    for each in found:
        console.print(_heading(each))
        if each.states:
            console.print(_table(each))


def _heading(found: Installed) -> Text:
    stage_map = found.stage_map
    parts = [f"{stage_map.title}; {stage_map.package} {found.version}"]
    if stage_map.schemes:
        parts.append(f"for {', '.join(f'{scheme}://' for scheme in stage_map.schemes)}")
    if stage_map.requires:
        parts.append(f"with {', '.join(stage_map.requires)}")
    return Text.assemble("\n", (stage_map.name, "bold"), "  ", "; ".join(parts))


def _table(found: Installed) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  action", no_wrap=True)
    table.add_column("function", overflow="fold")
    table.add_column("stages")
    table.add_column("state", no_wrap=True)
    module = ""
    for probe, state in _by_module(found):
        there, _, function = probe.function.partition(":")
        if there != module:
            module = there
            table.add_row("", Text(f"{module}:", "dim"))
        table.add_row(
            f"  {probe.action.name}",
            f"  {function}",
            ", ".join(probe.stages) or "-",
            Text(_version_in(state, probe), _STYLES[state]),
        )
    return table


def _by_module(found: Installed) -> list[tuple[Probe, str]]:
    """The probes in their order with their states, those of a module together."""
    probes = found.stage_map.probes
    modules = [probe.function.partition(":")[0] for probe in probes]
    return sorted(
        zip(probes, found.states, strict=True),
        key=lambda each: modules.index(each[0].function.partition(":")[0]),
    )


def _version_in(state: str, probe: Probe) -> str:
    return f"{state} ({probe.versions})" if state == OTHER_VERSION else state
