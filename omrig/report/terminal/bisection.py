"""A search for the first bad one of versions, on the terminal: the answer, then its steps."""

import shlex
from pathlib import Path
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from omrig.experiment import bisection_text
from omrig.model.bisection import Answer, Bisection, Step
from omrig.report.terminal.console import bulleted, labelled, printing

_STYLES = {"good": "green", "bad": "red", "skipped": "yellow", "undecided": "yellow"}


def show(
    known: Bisection, folder: Path, file: TextIO | None = None, width: int | None = None
) -> None:
    """Print what is ``known`` of the search in ``folder``."""
    with printing(file, width) as console:
        console.print()
        console.print(bulleted(_heads(known), ""))
        if known.steps:
            console.print(_steps(known))
        console.print(labelled(_notes(known)))
        # What is copied must not be cut into lines.
        for label, text in _commands(known, folder):
            console.print(f"{label:<8}  {text}", soft_wrap=True, markup=False)


def _heads(known: Bisection) -> list[Text]:
    style = "bold green" if known.is_found else "bold yellow"
    texts = [known.reason or "", known.answer.text if known.answer else ""]
    heads = [Text(text, style) for text in texts if text]
    change = known.answer.change if known.answer else None
    if change:
        heads.append(Text(f"what changed: {change}", "bold"))
    return heads


def _steps(known: Bisection) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("candidate", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(f"against {known.candidates[0].name}", overflow="fold")
    for name in ("rounds", "runs", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, step in enumerate(known.steps, 1):
        table.add_row(
            str(number),
            Text(step.candidate),
            Text(step.word, _STYLES[step.word]),
            Text(_told(step)),
            str(step.rounds),
            str(step.runs),
            f"{step.seconds:,.0f} s",
        )
    return table


def _told(step: Step) -> str:
    return step.reason or "\n".join(map(bisection_text.figure, step.figures))


def _notes(known: Bisection) -> list[tuple[str, str]]:
    gates = known.asked.gates or ((known.derived,) if known.derived else ())
    derived = "" if known.asked.gates else ", half way between the two ends"
    notes = [("bad", f"breaks {each}{derived}") for each in gates]
    if known.answer:
        notes += _of_answer(known.answer)
    notes += [("note", each) for each in known.notes]
    total = f"{bisection_text.count(known.runs, 'run')} in {_minutes(known.seconds)}"
    return [*notes, ("measured", total)]


def _of_answer(answer: Answer) -> list[tuple[str, str]]:
    first, notes = answer.first_bad, []
    if first.revision:
        notes.append(("commit", f"{first.revision}, {first.authored_at}: {first.subject}"))
    if answer.stage:
        notes.append(("stage", answer.stage))
    if answer.shows_in and answer.shows_in != answer.stage:
        notes.append(("shows in", answer.shows_in))
    return notes


def _commands(known: Bisection, folder: Path) -> list[tuple[str, str]]:
    commands = [("results", str(folder))]
    answer = known.answer
    if answer and answer.base and answer.new:
        both = shlex.join([str(folder / answer.base), str(folder / answer.new)])
        commands.append(("compare", f"omrig compare {both}"))
    if not known.complete:
        commands.append(("go on", f"omrig bisect --resume {shlex.quote(str(folder))}"))
    return commands


def _minutes(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 90 else f"{seconds / 60:,.1f} minutes"
