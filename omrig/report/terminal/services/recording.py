"""The report of a recording of services on the terminal: its first screen, or one method."""

import dataclasses
import io
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from omrig.model.service import ServiceResult
from omrig.report import owners
from omrig.report.services import words
from omrig.report.services.printable import printable
from omrig.report.terminal.console import bulleted, labelled, printing
from omrig.report.terminal.services import method as one
from omrig.report.terminal.services import methods, processes, requests


def show(
    result: ServiceResult,
    method: str | None = None,
    file: TextIO | None = None,
    width: int | None = None,
) -> None:
    """Print the report of a recording on ``file`` (standard output), of ``width`` columns.

    With ``method`` that of the methods of this name alone, and in full. Raises ``KeyError`` where
    none has it.
    """
    asked = () if method is None else result.called(method)
    if method is not None and not asked:
        raise KeyError(method)
    result = printable(dataclasses.replace(result, methods=asked) if asked else result)
    with printing(file, width) as console:
        if method is None:
            parts = _all(result, console)
        else:
            parts = (
                part
                for each in result.methods
                for part in one.render(
                    each, console.width, console.options.ascii_only, result.sample > 1
                )
            )
        for part in parts:
            console.print(part)


def text(result: ServiceResult, method: str | None = None, width: int | None = None) -> str:
    """The report as plain text."""
    file = io.StringIO()
    show(result, method, file, width)
    return file.getvalue()


def _all(result: ServiceResult, console: Console) -> Iterator[RenderableType]:
    width = console.width
    yield Text(words.totals(result), "bold")
    for warning in words.warnings(result):
        yield Text(f"! {warning}", "yellow")
    yield from processes.render(result, width)
    yield from methods.render(result, width)
    yield from _unanswered(result)
    yield from processes.pools(result, width)
    yield from requests.render(result, width, console.options.ascii_only)
    yield from _verdicts(result)
    yield Text()
    yield labelled(words.trust(result))


def _unanswered(result: ServiceResult) -> Iterator[RenderableType]:
    lost = words.unanswered(result.methods)
    if not lost:
        return
    yield Text("\nnot answered well, and where last seen", "bold")
    yield labelled([(f"{each.count:,}", f"{each.label}: {each.where}") for each in lost])


def _verdicts(result: ServiceResult) -> Iterator[RenderableType]:
    """A line a method that matters, the most important first."""
    found = words.verdicts(result)
    if not found:
        return
    yield Text(
        f"\nverdicts, of methods with {100 * words.WORTH_A_VERDICT:.0f} % of the time", "bold"
    )
    yield bulleted(
        [
            Text.assemble(
                (f"{each.label} ({100 * each.share:.1f} %): ", "bold"),
                (each.text, owners.style(each.owner)),
            )
            for each in found
        ]
    )
