"""The stage maps on the terminal: kinds, functions, stages, and what is installed of them."""

import dataclasses
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from omrig.drivers import maps

_WIDTH_WITHOUT_TERMINAL = 110

INSTALLED, MISSING, OTHER_VERSION = "installed", "missing", "not for this version"

_STYLES = {INSTALLED: "green", MISSING: "bold red", OTHER_VERSION: "dim"}


def show(stage_maps: Sequence[maps.StageMap], file: TextIO | None = None) -> None:
    """Print ``stage_maps`` on ``file`` (standard output)."""
    file = file or sys.stdout
    width = None if file.isatty() else _WIDTH_WITHOUT_TERMINAL
    console = Console(file=file, width=width, highlight=False)
    for stage_map in stage_maps:
        console.print(_heading(stage_map))
        if stage_map.probes:
            console.print(_table(stage_map))


def state_of(stage_map: maps.StageMap, probe: maps.Probe) -> str:
    """Whether the function of ``probe`` is there: one of the three words above."""
    sites, missing = maps.resolve([dataclasses.replace(stage_map, probes=(probe,))])
    if sites:
        return INSTALLED
    return MISSING if missing else OTHER_VERSION


def version_of(package: str) -> str:
    """The version of an installed package, or that it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _heading(stage_map: maps.StageMap) -> Text:
    parts = [f"{stage_map.title}; {stage_map.package} {version_of(stage_map.package)}"]
    if stage_map.schemes:
        parts.append(f"for {', '.join(f'{scheme}://' for scheme in stage_map.schemes)}")
    if stage_map.requires:
        parts.append(f"with {', '.join(stage_map.requires)}")
    return Text.assemble("\n", (stage_map.name, "bold"), "  ", "; ".join(parts))


def _table(stage_map: maps.StageMap) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  kind", no_wrap=True)
    table.add_column("function", overflow="fold")
    table.add_column("stages")
    table.add_column("state", no_wrap=True)
    module = ""
    for probe in _by_module(stage_map.probes):
        there, _, function = probe.function.partition(":")
        if there != module:
            module = there
            table.add_row("", Text(f"{module}:", "dim"))
        state = state_of(stage_map, probe)
        table.add_row(
            f"  {probe.kind}",
            f"  {function}",
            ", ".join(probe.stages) or "-",
            Text(_version_in(state, probe), _STYLES[state]),
        )
    return table


def _by_module(probes: Sequence[maps.Probe]) -> list[maps.Probe]:
    """The probes in their order, those of a module together."""
    modules = [probe.function.partition(":")[0] for probe in probes]
    return sorted(probes, key=lambda probe: modules.index(probe.function.partition(":")[0]))


def _version_in(state: str, probe: maps.Probe) -> str:
    return f"{state} ({probe.versions})" if state == OTHER_VERSION else state
