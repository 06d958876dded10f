"""What came of the search for the highest rate that holds, on the terminal."""

from pathlib import Path
from typing import TextIO

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.found_rate import FoundRate
from omrig.report.terminal.console import printing


def show(
    folder: Path,
    found: FoundRate,
    metric: str,
    file: TextIO | None = None,
    width: int | None = None,
) -> None:
    """Print the answer, and the runs it rests on, which are in ``folder``."""
    with printing(file, width) as console:
        console.print(Text(f"\n{_answer(found)}", "bold"))
        if found.broken_rate is not None:
            console.print(Text(f"beyond it, at {found.broken_rate:,.1f}/s: {found.broke}"))
        if found.saturated_per_second:
            console.print(f"a closed loop of the same came to {found.saturated_per_second:,.1f}/s")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("rate/s", justify="right", no_wrap=True)
        table.add_column(metric, justify="right", no_wrap=True)
        table.add_column("")
        table.add_column("run", no_wrap=True)
        for trial in sorted(found.trials, key=lambda each: each.rate):
            value = "-" if trial.value is None else units.duration(trial.value)
            broke = "holds" if trial.broke is None else escape(trial.broke)
            table.add_row(f"{trial.rate:,.1f}", value, broke, Path(trial.run).name)
        console.print(table)
        console.print(f"results  {folder}", soft_wrap=True, markup=False)


def _answer(found: FoundRate) -> str:
    if found.rate is None:
        return f"{found.gate}: no rate was found that holds"
    return f"{found.gate} holds up to {found.rate:,.1f}/s"
