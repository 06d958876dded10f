"""The report of a run on the terminal: the verdict first, then what it rests on."""

import contextlib
import io
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.result import Artefact, Result
from omrig.model.run import Run
from omrig.report import clocks, notes, resources
from omrig.report import parts as classes
from omrig.report import text as words
from omrig.report.terminal import (
    by_stage,
    counts,
    fleet,
    members,
    nested,
    pacing,
    stages,
    verdict,
    waterfall,
)
from omrig.report.terminal import parts as part_tables
from omrig.report.terminal.console import grid_of_notes, printing
from omrig.report.terminal.profiles import overhead, renderers

_WITH_LATENCY_TABLE = 72
"""Width in columns from which the latencies have room for a table."""


def show(
    folders: Path | Sequence[Path],
    run: Run,
    result: Result,
    file: TextIO | None = None,
    width: int | None = None,
) -> None:
    """Print the report of the run in ``folders`` on ``file`` (standard output).

    Several folders hold a side of the run each. ``width`` in columns is the terminal's.
    """
    folders = [folders] if isinstance(folders, Path) else list(folders)
    with printing(file, width) as console:
        for part in _parts(run, result, console):
            console.print(part)
        # Commands are to be copied: whole lines, whatever the width.
        console.print(_artefacts(folders, result), soft_wrap=True, markup=False)


def text(
    folders: Path | Sequence[Path],
    run: Run,
    result: Result,
    width: int | None = None,
) -> str:
    """The report as plain text."""
    file = io.StringIO()
    show(folders, run, result, file, width)
    return file.getvalue()


def _parts(run: Run, result: Result, console: Console) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if result.verdict:
        parts.append(verdict.render(result.verdict))
    parts += [
        verdict.render(told.verdict, f"{told.patterns}: ") for told in classes.verdicts(result)
    ]
    parts.append(_headline(run, result))
    parts += part_tables.of_patterns(result, console.width)
    warnings = [*words.caveats(run, result), *notes.warnings(run, result)]
    parts += [Text(f"! {warning}", style="yellow") for warning in warnings]
    parts.append(_what_ran(run))
    parts.append(_messages(result))
    parts += pacing.render(result)
    if result.latency or result.latency_with_failures:
        parts.append(_latency(run, result, console.width))
    parts += members.render(result, console.width)
    parts += fleet.render(run, result, console.width)
    parts += part_tables.of_sizes(result, console.width)
    if result.resources:
        parts.append(_resources(run, result))
    if result.stages:
        parts += _stages(run, result, console)
    else:
        parts += [Text(f"cost {line}", "dim") for line in dict.fromkeys(notes.costs(result))]
    parts += nested.render(result, console.width, run.plan.sample > 1)
    parts += counts.render(result)
    parts += by_stage.render(result, console.width)
    parts += overhead.render(result, console.width)
    parts += renderers.render(result, console.width)
    return parts


def _stages(run: Run, result: Result, console: Console) -> list[RenderableType]:
    width, ascii_only = console.width, console.options.ascii_only
    parts: list[RenderableType] = [Text()]
    sliced = result.coverage
    if sliced and (sliced.stages_of or sliced.disturbance):
        parts += [Text(sliced.text), Text()]
    if result.waterfall:
        parts += waterfall.render(result.waterfall, result.pattern, width, ascii_only)
    parts += part_tables.waterfalls(result, width, ascii_only)
    rows = result.stages or ()
    parts.append(
        stages.table(
            rows,
            width,
            sampled=run.plan.sample > 1,
            named=result.verdict.stage if result.verdict else None,
            mixed=bool(result.patterns),
            errors_ns=clocks.errors_ns(result),
        )
    )
    grid = stages.buckets(rows, width, ascii_only)
    for label, line in notes.notes(run, result):
        grid.add_row(label, escape(line))
    return [*parts, grid]


def _headline(run: Run, result: Result) -> Text:
    throughput = result.throughput
    rate = f"{throughput.messages_per_second:,.0f} msg/s" if throughput else "nothing measured"
    latency = result.latency
    tail = (
        f", p50 {units.duration(latency.p50)}, p99 {units.duration(latency.p99)}" if latency else ""
    )
    state = "" if result.complete else " (incomplete)"
    return Text(f"\n{result.pattern} over {run.transport.driver}: {rate}{tail}{state}", "bold")


def _what_ran(run: Run) -> RenderableType:
    plan, environment, transport = run.plan, run.environment, run.transport
    grid = grid_of_notes()
    broker = environment.broker
    named = " ".join(filter(None, (broker, environment.broker_version)))
    where = f"{named} at " if broker else ""
    grid.add_row("broker", escape(f"{where}{transport.url} (from {transport.source})"))
    versions = ["oslo.messaging", *words.client_packages(run)]
    if plan.executor == "eventlet":
        versions.append("eventlet")
    grid.add_row(
        "versions",
        ", ".join(
            [
                f"Python {environment.python}",
                *(f"{v} {escape(environment.version(v))}" for v in versions),
            ]
        ),
    )
    grid.add_row(
        "host",
        escape(f"{environment.host}, {environment.processors}, Linux {environment.kernel}"),
    )
    for number, (names, told) in enumerate((run.apart or {}).items()):
        grid.add_row("" if number else "apart", Text(f"{names}: {told}", "yellow"))
    grid.add_row("load", words.load(run))
    if settings := _settings(run):
        grid.add_row("settings", escape(settings))
    return grid


def _settings(run: Run) -> str:
    """Each setting that matters beside where it comes from, the defaults last."""
    by_source: dict[str, list[str]] = {}
    for name, setting in sorted(words.settings(run).items()):
        source = setting.source or "source not recorded"
        by_source.setdefault(source, []).append(f"{name}={setting.value}")
    ordered = sorted(by_source, key=lambda source: (source == "default", source))
    return "; ".join(f"{', '.join(by_source[source])} ({source})" for source in ordered)


def _messages(result: Result) -> RenderableType:
    grid, messages, throughput = grid_of_notes(), result.messages, result.throughput
    shown = {
        "requested": messages.requested,
        "sent": messages.sent,
        "copies expected": messages.expected,
        "received": messages.received,
        "replied": messages.replied,
        "lost": messages.lost,
        "duplicated": messages.duplicated,
        "requeued": messages.requeued,
    }
    counts = (f"{count:,} {name}" for name, count in shown.items() if count is not None)
    served = f", served in {messages.batches:,} batches" if messages.batches else ""
    grid.add_row("messages", ", ".join(counts) + served)
    if apart := words.apart(messages):
        grid.add_row("besides", apart)
    for label, line in words.delivery(result):
        grid.add_row(label, line)
    if messages.errors:
        grid.add_row(
            "errors", ", ".join(f"{name} {count:,}" for name, count in messages.errors.items())
        )
    if began := words.beginning(result):
        grid.add_row("beginning", began)
    if expected := words.expected_errors(messages):
        grid.add_row("expected", expected)
    if throughput:
        grid.add_row(
            "throughput",
            f"{throughput.messages_per_second:,.1f} msg/s,"
            f" {units.size(throughput.bytes_per_second)}/s of payload,"
            f" over {throughput.duration_seconds:,.2f} s",
        )
    return grid


_LATENCIES = {
    "mean": "mean",
    "p50": "p50",
    "p90": "p90",
    "p99": "p99",
    "p999": "p99.9",
    "max": "max",
}


def _latency(run: Run, result: Result, width: int) -> RenderableType:
    rows = []
    if result.latency:
        count = result.latency.count
        rows.append((f"{count:,} message{'' if count == 1 else 's'}", result.latency))
    failing = result.latency_with_failures
    if failing:
        rows.append((words.with_failures(run, result), failing))
    if result.service_time:
        rows.append(("service time, from when they were sent", result.service_time))
    if width < _WITH_LATENCY_TABLE:
        grid = grid_of_notes()
        for number, (label, row) in enumerate(rows):
            values = ", ".join(
                f"{shown} {units.duration(row.named(name))}" for name, shown in _LATENCIES.items()
            )
            named = failing or result.service_time
            grid.add_row("" if number else "latency", f"{label}: {values}" if named else values)
        return grid
    table = Table(box=box.SIMPLE_HEAD, title=None, pad_edge=False)
    table.add_column(f"latency, {words.latency(run)}")
    for shown in _LATENCIES.values():
        table.add_column(shown, justify="right", no_wrap=True)
    for label, row in rows:
        table.add_row(label, *(units.duration(row.named(name)) for name in _LATENCIES))
    return table


def _resources(run: Run, result: Result) -> RenderableType:
    grid = grid_of_notes()
    for name, line in resources.lines(run, result):
        grid.add_row(name, line)
    return grid


def _artefacts(folders: Sequence[Path], result: Result) -> str:
    if len(folders) == 1:
        lines = [f"results  {_nearest(folders[0]) / 'result.json'}"]
    else:
        lines = ["results  of both sides together are not kept; --json prints them"]
    lines += [
        f"open     {open_command(_folder_of(artefact, folders), artefact)}"
        for artefact in result.artefacts
        if "{path}" in artefact.open_with
    ]
    return "\n".join(["", *lines])


def _folder_of(artefact: Artefact, folders: Sequence[Path]) -> Path:
    holding = (folder for folder in folders if (folder / artefact.path).exists())
    return next(holding, folders[0])


def open_command(folder: Path, artefact: Artefact) -> str:
    """The command line that opens ``artefact`` of the run in ``folder``.

    A viewer installed beside omrig is named by its path where the shell would not find it.
    """
    path = _nearest(folder) / artefact.path
    program, _, rest = artefact.open_with.partition(" ")
    beside = Path(sys.executable).with_name(program)
    # Another Python than ours need not have the module.
    if (program == "python" or not shutil.which(program)) and beside.exists():
        program = str(_nearest(beside))
    return f"{program} {rest}".replace("{path}", shlex.quote(str(path)))


def _nearest(folder: Path) -> Path:
    with contextlib.suppress(ValueError):
        return folder.relative_to(Path.cwd())
    return folder
