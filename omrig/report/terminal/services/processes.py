"""The processes of a recording and their pools, for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from omrig.model.service import Process, ServiceResult
from omrig.report.services import words
from omrig.report.terminal.console import bulleted, labelled
from omrig.report.terminal.services.columns import Column, table

_SPARED = ("pid", "connections", "threads", "turned on in", "host")
"""What the table goes without where there is no room, the first first."""

_MOST = 20
"""So many processes have a row; the others are counted."""

_MOST_POOLS = 8
"""So many pools of a kind have a row, those that were used the most."""


def render(result: ServiceResult, width: int) -> Iterator[RenderableType]:
    """A row a process, then how arrivals were timed."""
    if not result.processes:
        return
    processes = _busiest(result.processes)
    yield Text("\nprocesses", "bold")
    hosts = len({each.host for each in processes}) > 1
    columns = [
        Column("process", [each.name for each in processes], named=True),
        *([Column("host", [each.host for each in processes], named=True)] if hosts else []),
        Column("pid", [str(each.pid) for each in processes]),
        Column("executor", [each.executor for each in processes], named=True),
        Column("CPU", [cpu(each) for each in processes]),
        Column("threads", [_count(each.threads) for each in processes]),
        Column("connections", [_count(each.connections) for each in processes]),
        Column("sent", [f"{each.sent:,}" for each in processes]),
        Column("served", [f"{each.served:,}" for each in processes]),
        Column("turned on in", [words.took_to_turn_on(each) for each in processes]),
    ]
    yield from table(columns, width, spared=_SPARED)
    if hidden := len(result.processes) - len(processes):
        yield Text(f"{words.counted(hidden, 'more process', 'more processes')} did less", "dim")
    told = words.arrivals(result.processes)
    yield labelled([("arrivals", how if who == "all" else f"{who}: {how}") for who, how in told])


def _busiest(processes: Sequence[Process]) -> list[Process]:
    """Those that sent and served the most, in their order."""
    ordered = sorted(processes, key=lambda each: -(each.sent + each.served))[:_MOST]
    return [each for each in processes if each in ordered]


def cpu(process: Process) -> str:
    """How much of a core a process used."""
    return "-" if process.cpu_share is None else f"{100 * process.cpu_share:.0f} %"


def _count(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def pools(result: ServiceResult, width: int) -> Iterator[RenderableType]:
    """How far executors and pools of connections were in use, and what to do about it."""
    all_used = words.pools(result.processes)
    if not all_used:
        return
    used = [
        each
        for what in dict.fromkeys(each.what for each in all_used)
        for each in [each for each in all_used if each.what == what][:_MOST_POOLS]
    ]
    yield Text("\nthreads and connections in use", "bold")
    columns = [
        Column("process", [each.process for each in used], named=True),
        Column("what", [each.what for each in used], named=True),
        Column("mean", [f"{each.pool.mean:.1f}" for each in used]),
        Column("most", [f"{each.pool.most:,}" for each in used]),
        Column("of", [_count(each.pool.size) for each in used]),
        Column("time at most", [words.share(each.pool.at_most_share) for each in used]),
    ]
    yield from table(columns, width)
    if hidden := len(all_used) - len(used):
        yield Text(f"{words.counted(hidden, 'more pool')} less in use", "dim")
    advice = [
        (f"{each.process}, {each.what}: ", each.pool.advice)
        for each in all_used
        if each.pool.advice
    ]
    if advice:
        yield bulleted([Text.assemble((what, "bold"), text) for what, text in advice])
