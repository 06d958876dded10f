"""A ping on the terminal: a row a server, the caller's half in stages, and who is deaf."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import RenderableType
from rich.text import Text

from omrig.model import units
from omrig.model.ping import Pinged, PingResult
from omrig.model.result import StageRow
from omrig.report import owners
from omrig.report.terminal.console import grid_of_notes, printing
from omrig.report.terminal.table import Column, table

_REMOTE = "remote"

_STATES = {
    "answers": "answers",
    "refuses": "alive, no such method",
    "fails": "alive, errors",
    "loses": "answers in part",
    "deaf": "DEAF",
    "absent": "not there",
    "unsent": "not sent",
    "unasked": "not asked",
}
"""How a server is, in a word or two."""

_SEEN = 0.0005
"""A stage of a smaller share is not shown."""


def show(
    folder: Path, result: PingResult, file: TextIO | None = None, width: int | None = None
) -> None:
    """Print the result of a ping whose files are in ``folder``."""
    with printing(file, width) as console:
        for each in _parts(folder, result, console.width):
            console.print(each)


def _parts(folder: Path, result: PingResult, width: int) -> Iterator[RenderableType]:
    yield Text(
        f"{result.method} on exchange {result.exchange}, {result.transport}: {result.answered:,} of"
        f" {result.sent:,} calls answered in {units.duration(result.duration_ns)}"
    )
    yield _servers(result.servers, width)
    if result.stages:
        rows = [row for row in result.stages if abs(row.share) >= _SEEN]
        yield Text("the caller's half, of all calls that were replied to", "bold")
        yield _stages(rows, width)
    yield Text(result.verdict, "bold")
    notes = grid_of_notes()
    for label, texts in (
        ("rate", [_pace(result)]),
        ("found", result.found),
        ("not known", result.not_seen),
        ("books", [_books(result)] if result.stages else []),
        ("files", [str(folder)]),
    ):
        for text in texts:
            notes.add_row(label, text)
    yield notes


def _servers(servers: Sequence[Pinged], width: int) -> RenderableType:
    columns = [
        Column("", [_STATES[each.state] for each in servers], text_width=22),
        Column("sent", [f"{each.sent:,}" for each in servers]),
        Column("lost", [_lost(each) for each in servers]),
        Column("p50", [_latency(each, "p50") for each in servers]),
        Column("max", [_latency(each, "max") for each in servers]),
        Column("remote", [_remote(each) for each in servers]),
    ]
    return table("server", [each.server.label for each in servers], columns, width)


def _stages(rows: Sequence[StageRow], width: int) -> RenderableType:
    columns = [
        Column("bucket", [owners.bucket_of(row.name, row.bucket) for row in rows], text_width=14),
        Column("share", [f"{100 * row.share:.1f} %" for row in rows]),
        Column("mean", [units.duration(row.mean_ns) for row in rows]),
        Column("p50", [units.duration(row.p50_ns) for row in rows]),
        Column("max", [units.duration(row.max_ns) for row in rows]),
    ]
    return table("stage", [row.name for row in rows], columns, width)


def _lost(each: Pinged) -> str:
    lost = each.silent + each.unrouted + each.failed
    return f"{100 * lost / each.ended:.0f} %" if each.ended else "-"


def _latency(each: Pinged, statistic: str) -> str:
    return units.duration(each.latency.named(statistic)) if each.latency else "-"


def _remote(each: Pinged) -> str:
    """The median time between the last send and the reply in our kernel."""
    found = [row.p50_ns for row in each.stages or () if row.name == _REMOTE]
    return units.duration(found[0]) if found else "-"


def _pace(result: PingResult) -> str:
    workers = "one at a time" if result.workers == 1 else f"up to {result.workers} at a time"
    return (
        f"{result.rate:g} a second at most to all servers together, {workers}, none to a server"
        f" that has not answered the last one; each waits {result.timeout_s:g} s"
    )


def _books(result: PingResult) -> str:
    return (
        f"the stages of {result.within_tolerance:,} of {result.stamped:,} calls add up to what the"
        " caller's clock says; `remote` is the network both ways, the broker and the server, which"
        " a caller cannot tell apart"
    )
