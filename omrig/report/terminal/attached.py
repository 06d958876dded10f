"""The processes and recordings of a folder on the terminal: ``omrig status``."""

from collections.abc import Sequence
from typing import TextIO

from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.attached import OFF, ON, AttachedProcess, RecordingState, Status
from omrig.report.terminal.console import printing

_NAMED = 10
"""So many processes that are gone are named."""


def show(status: Status, file: TextIO | None = None, width: int | None = None) -> None:
    """Print what there is on ``file`` (standard output), in ``width`` columns (the terminal's)."""
    living = [each for each in status.processes if not each.is_gone]
    gone = [each for each in status.processes if each.is_gone]
    with printing(file, width) as console:
        console.print(Text(f"{status.folder}: {_recorder(status)}"), soft_wrap=True)
        if living:
            console.print(_processes(living))
            for each in living:
                for text in _details(each):
                    console.print(Text(f"  {each.name} {each.pid}: {text}"), soft_wrap=True)
        else:
            console.print("no process lives")
        if gone:
            console.print(Text(f"gone: {_names(gone)}"), soft_wrap=True)
        if status.recordings:
            console.print(_recordings(status.recordings))


def _recorder(status: Status) -> str:
    return "nobody records" if status.recorder is None else f"pid {status.recorder} records"


def _processes(living: Sequence[AttachedProcess]) -> Table:
    table = _table("process", "pid", "executor", "connections", "stages", "sent", "served", "")
    for each in living:
        state = each.state
        figures = ["", "", "", ""]
        if state is not None:
            turned = f"{ON}: {state.recording}" if state.on else OFF
            rows = (state.rows.get(side, 0) for side in ("producer", "consumer"))
            figures = [f"{state.connections:,}", turned, *(f"{n:,}" for n in rows)]
        cells = (each.name, str(each.pid), each.executor or "-", *figures, each.note)
        table.add_row(*map(Text, cells))
    return table


def _details(process: AttachedProcess) -> list[str]:
    """What went wrong in a process, and what is not as usual there."""
    state = process.state
    if state is None:
        return []
    found = list(state.failures)
    if state.broken:
        found.insert(0, f"the instrument has turned itself off: {state.broken}")
    if state.missing:
        found.append(f"not there: {', '.join(state.missing)}")
    if state.others:
        found.append(f"also wrapped by {', '.join(state.others)}")
    return found


def _names(gone: Sequence[AttachedProcess]) -> str:
    names = ", ".join(f"{each.name} {each.pid}" for each in gone[:_NAMED])
    more = len(gone) - _NAMED
    return f"{names} and {more} more" if more > 0 else names


def _recordings(recordings: Sequence[RecordingState]) -> Table:
    table = _table("recording", "began", "took", "result", "state")
    for each in recordings:
        took = "-" if each.duration_ns is None else units.duration(each.duration_ns)
        result = "yes" if each.has_result else "no"
        table.add_row(*map(Text, (each.name, each.started_at or "-", took, result, each.state)))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        is_figure = heading in ("pid", "connections", "sent", "served", "took")
        table.add_column(heading, justify="right" if is_figure else "left", overflow="fold")
    return table
