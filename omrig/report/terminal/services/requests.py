"""The requests of a recording, for the terminal: a typical one as a tree, the slowest by id."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from omrig.model import units
from omrig.model.service import Request, ServiceResult
from omrig.report.services import words
from omrig.report.terminal.services.columns import Column, table

_LINES = {True: ("│  ", "├─ "), False: ("   ", "└─ ")}
_ASCII_LINES = {True: ("|  ", "|- "), False: ("   ", "`- ")}
"""What stands before a message below another, and before the message itself, by whether another
one follows."""


def render(result: ServiceResult, width: int, ascii_only: bool) -> Iterator[RenderableType]:
    """Nothing where no message was of a request."""
    found = result.requests
    if not found.count:
        return
    yield Text(f"\nrequests: {words.requests(result)}", "bold")
    if found.typical:
        yield from _tree(found.typical, width, ascii_only)
    if found.slowest:
        yield Text("\nthe slowest requests", "bold")
        yield from _slowest(found.slowest, width)


def _tree(request: Request, width: int, ascii_only: bool) -> Iterator[Text]:
    took = units.duration(request.duration_ns)
    count = words.counted(request.messages, "message")
    yield Text(f"a typical one, {request.id}: {count}, {took}")
    branches = list(words.tree(request))
    if not branches:
        return
    names = [f"{_before(each.above, ascii_only)}{words.called(each.node)}" for each in branches]
    yield from table(
        [
            Column("message", names, named=True),
            Column("begins", [_duration(each.node.begin_ns) for each in branches]),
            Column("takes", [_duration(each.node.total_ns) for each in branches]),
            Column("of which self", [_duration(each.node.self_ns) for each in branches]),
        ],
        width,
    )


def _before(above: Sequence[bool], ascii_only: bool) -> str:
    lines = _ASCII_LINES if ascii_only else _LINES
    way = [lines[follows][0] for follows in above[:-1]]
    return "".join([*way, *(lines[follows][1] for follows in above[-1:])])


def _slowest(requests: Sequence[Request], width: int) -> list[Text]:
    return table(
        [
            Column("request", [each.id for each in requests], named=True),
            Column("took", [units.duration(each.duration_ns) for each in requests]),
            Column("messages", [f"{each.messages:,}" for each in requests]),
            Column("of which", [words.made_of(each) for each in requests], named=True),
        ],
        width,
    )


def _duration(nanoseconds: int) -> str:
    return units.duration(nanoseconds) if nanoseconds else "0"
