"""The page's view of a result: each section's content, computed once, shown by the templates."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omrig.model import units
from omrig.model.mix import MIX
from omrig.model.overhead import NotMeasured, StageOverhead
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result
from omrig.model.result import StageRow as Row
from omrig.model.run import Run
from omrig.model.stages import BY_NAME
from omrig.model.verdict import Verdict
from omrig.report import clocks, layout, nested, notes, owners, resources
from omrig.report import parts as classes
from omrig.report import text as words
from omrig.report.html import (
    bars,
    charts,
    events,
    members,
    messages,
    parts,
    profiled,
    rate,
    rate_charts,
    slowest,
    usage,
)
from omrig.report.html.bars import Message
from omrig.report.html.recorded import Recorded

_MOST_EVENTS = 50

_UNSEEN = 0.0005
"""A stage below this share is shown as 0.0 %, and need not be looked at."""

_SECTIONS = {
    "parts": "By pattern and size",
    "message": "A message, to scale",
    "stages": "Every stage",
    "nested": "Nested calls",
    "counts": "Counts a message",
    "shares": "Whose time it is",
    "latency": "Latency",
    "rate": "The rate",
    "members": "Members",
    "hosts": "Hosts",
    "time": "Over time",
    "slowest": "The slowest messages",
    "usage": "CPU and memory",
    "profiles": "What the profilers found",
    "environment": "What ran where",
    "trust": "How far to trust this",
    "files": "Files and viewers",
}


@dataclasses.dataclass(frozen=True)
class Sparkline:
    """A distribution as a path in a box of ``width`` by 24, and where p50 and p99 lie in it."""

    path: str
    width: int
    p50: float
    p99: float


@dataclasses.dataclass(frozen=True)
class StageRow:
    """A row of the stage table."""

    row: Row
    owner: str
    bucket: str
    percentage: float
    what: str
    named: bool
    unseen: bool
    sparkline: Sparkline | None


@dataclasses.dataclass(frozen=True)
class Owner:
    """Whose part of the time: in percent, and the buckets it is made of."""

    name: str
    percentage: float
    buckets: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Shown:
    """A message with the words above it."""

    kind: str
    title: str
    message: Message


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The typical and the slow message of a pattern of the mix; ``noun`` is what one is called."""

    pattern: str
    noun: str
    messages: list[Shown]


@dataclasses.dataclass(frozen=True)
class Parts:
    """The patterns and the classes of sizes; ``latencies`` says what theirs are, in words."""

    latencies: str
    tables: list[parts.Table]
    drawn: list[Drawn]


def page(
    folders: Sequence[Path],
    run: Run,
    result: Result,
    recorded: Recorded,
) -> dict[str, Any]:
    """Everything that the templates show."""
    stages = result.stages or ()
    happened = events.found(recorded, result.outages or ())
    series = messages.series(recorded)
    usages = usage.found(recorded, tuple(folders))
    profiles = result.profiles or {}
    totals = usage.totals(result.resources)
    head, why = _headline(run, result)
    counts, end_ns = messages.distributions(recorded)
    content = {
        "run": run,
        "result": result,
        "head": head,
        "why": why,
        "evidence": _evidence(result),
        "caveats": _caveats(run, result),
        "apart": words.apart(result.messages),
        **members.of_members(result),
        **members.of_hosts(run, result),
        **_endpoint(result),
        "load": words.load(run),
        "settings": words.settings(run),
        "latency_is": words.latency(run),
        "with_failures": words.with_failures(run, result) if result.latency_with_failures else None,
        "rate": rate.shown(result),
        "began": datetime.datetime.fromisoformat(run.started_at).strftime("%d %B %Y, %H:%M UTC"),
        "owners": _owners(stages),
        "message": _shown(result, recorded),
        **_of_patterns(run, result, recorded),
        "stages": _stage_rows(result, counts, end_ns),
        "sparkline_from_ns": messages.SHORTEST_NS,
        "sparkline_to_ns": end_ns,
        "sampled": run.plan.sample > 1,
        "clock_errors_ns": clocks.errors_ns(result),
        "happened": happened,
        "connections_seen": events.connections_seen(recorded),
        "series": series,
        "usages": usages,
        "totals": totals,
        "usage_notes": _usage_notes(run, result, totals),
        "slowest": slowest.rows(result, recorded),
        "by_stage": profiled.by_stages(result),
        "calls": list(profiled.calls(profiles)),
        "lines": list(profiled.lines(profiles)),
        "facts": profiled.facts(profiles),
        "trust": notes.notes(run, result) if stages else [],
        "costs": list(dict.fromkeys(notes.costs(result))),
        "measured": any(not isinstance(found, NotMeasured) for found in result.overhead.values()),
        "compared": _compared(result),
        "figures": _figures(result, recorded, series, happened, usages),
        "folders": [folder.name for folder in folders],
        "most_events": _MOST_EVENTS,
    }
    return {**content, "sections": _sections(content)}


def _endpoint(result: Result) -> dict[str, Any]:
    """What came of what the endpoint was told to do."""
    return {
        "nested": nested.lines(result),
        "beginning": words.beginning(result),
        "expected_errors": words.expected_errors(result.messages),
    }


def _of_patterns(run: Run, result: Result, recorded: Recorded) -> dict[str, Any]:
    """What depends on the pattern, or is of each of several."""
    is_mix = result.pattern == MIX
    names = [row.name for row in result.stages or ()]
    return {
        "two_ends": None if is_mix else layout.fork(names, result.pattern),
        "pattern": None if is_mix else PATTERNS[result.pattern],
        "pattern_is": words.patterns(run),
        "parts": _parts(result, recorded),
    }


def _usage_notes(run: Run, result: Result, totals: Sequence[usage.Total]) -> list[str]:
    counted = {total.name for total in totals}
    return [f"{name}: {line}" for name, line in resources.lines(run, result) if name not in counted]


def _figures(
    result: Result,
    recorded: Recorded,
    series: messages.Series | None,
    happened: Sequence[events.Event],
    usages: Sequence[usage.Usage],
) -> dict[str, charts.Figure]:
    """The charts that have something to show, by section."""
    seconds = recorded.length_ns / 1e9
    figures: dict[str, charts.Figure] = parts.figures(result, recorded)
    if result.latency and len(recorded.latency):
        curve = messages.latency_curve(recorded.latency)
        figures["latency"] = charts.latency(curve, result.latency)
    if series:
        figures["time"] = charts.over_time(series, happened, seconds)
    if result.ramp:
        figures["rate"] = rate_charts.ramp(result.ramp)
    if usages:
        figures["usage"] = charts.usage(usages, seconds)
    return figures


def _sections(content: Mapping[str, Any]) -> dict[str, str]:
    """The sections that have something to show, with their titles."""
    result = content["result"]
    has = {
        "parts": content["parts"].tables,
        "message": content["message"],
        "stages": content["stages"],
        "nested": content["nested"],
        "counts": result.counts,
        "shares": content["stages"],
        "latency": result.latency or result.latency_with_failures,
        "rate": content["rate"],
        "members": content["members"],
        "hosts": content["hosts"],
        "time": content["series"],
        "slowest": content["slowest"],
        "usage": content["usages"] or content["totals"],
        "profiles": content["by_stage"] or content["calls"] or content["lines"] or content["facts"],
        "environment": True,
        "trust": content["trust"] or content["costs"],
        "files": True,
    }
    return {name: title for name, title in _SECTIONS.items() if has[name]}


def _headline(run: Run, result: Result) -> tuple[str, str]:
    """The verdict and its reason; without one what came out, and why there is none."""
    if result.verdict:
        return _sentence(result.verdict)
    if told := classes.verdicts(result):
        return _sentences(told)
    if not result.throughput:
        return "Nothing was measured", ""
    parts = [f"{result.throughput.messages_per_second:,.0f} msg/s"]
    if result.latency:
        parts += [f"{name} {units.duration(result.latency.named(name))}" for name in ("p50", "p99")]
    return ", ".join(parts), f"no verdict without stages: {notes.why_no_stages(run, result)}"


def _sentence(verdict: Verdict) -> tuple[str, str]:
    head = ", ".join(part for part in (verdict.head, verdict.without) if part)
    why = "; ".join(part for part in (verdict.why, *verdict.besides) if part)
    return head[:1].upper() + head[1:], why


def _sentences(told: Sequence[classes.Told]) -> tuple[str, str]:
    """The verdict on the patterns with most time, and all others after its reason."""
    first, *others = told
    head, why = _sentence(first.verdict)
    rest = (f"{each.patterns}: {each.verdict.text}" for each in others)
    return f"{first.patterns}: {head[:1].lower()}{head[1:]}", "; ".join(
        part for part in (why, *rest) if part
    )


def _parts(result: Result, recorded: Recorded) -> Parts:
    drawn = [
        Drawn(name, parts.noun(name), shown)
        for place, (name, part) in enumerate((result.patterns or {}).items())
        if (shown := _shown(classes.within(result, name, part), recorded.of_pattern(name, place)))
    ]
    return Parts(parts.latencies(result), parts.tables(result), drawn)


def _caveats(run: Run, result: Result) -> list[str]:
    # Without a verdict the headline has said why there are no stages.
    said_above = not result.verdict and result.throughput is not None
    return [
        *words.caveats(run, result),
        *notes.not_measured(result),
        *([] if said_above else notes.no_stages(run, result)),
        *notes.one_side(result),
    ]


def _evidence(result: Result) -> list[str]:
    # The books say the same as the closure's line, and more.
    told = [result.verdict] if result.verdict else [e.verdict for e in classes.verdicts(result)]
    lines = told[0].evidence if told else ()
    return [line.text for line in lines if line.kind != "closure"]


def _owners(stages: Sequence[Row]) -> list[Owner]:
    return [
        Owner(owner, sum(buckets.values()), buckets)
        for owner, buckets in owners.of_buckets(stages).items()
    ]


def _shown(result: Result, recorded: Recorded) -> list[Shown]:
    """The typical and the slow message; without recordings the mean one stands for the first."""
    if not result.stages or not result.waterfall:
        return []
    typical = messages.typical(recorded)
    kinds = [
        ("p50", "A typical message (p50)", typical)
        if typical
        else ("mean", "A mean message", result.waterfall.mean),
        ("p99", "A slow message (p99)", result.waterfall.p99),
    ]
    drawn = bars.draw([durations for _, _, durations in kinds], result.pattern)
    return [
        Shown(kind, title, message) for (kind, title, _), message in zip(kinds, drawn, strict=True)
    ]


def _stage_rows(result: Result, counts: Mapping[str, Sequence[int]], end_ns: int) -> list[StageRow]:
    rows = result.stages or ()
    named = result.verdict.stage if result.verdict else None
    percentages = owners.percentages([row.share for row in rows])
    return [
        StageRow(
            row=row,
            owner=owners.owner_of(owners.bucket_of(row.name, row.bucket)),
            bucket=owners.bucket_of(row.name, row.bucket),
            percentage=percentage,
            what=BY_NAME[row.name].what if row.name in BY_NAME else "",
            named=row.name == named,
            unseen=abs(row.share) < _UNSEEN,
            sparkline=_sparkline(counts.get(row.name), row, end_ns),
        )
        for row, percentage in zip(rows, percentages, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class Compared:
    """Stages without and with the profilers named ``modes``, which were compared together."""

    modes: str
    stages: Sequence[StageOverhead]


def _compared(result: Result) -> list[Compared]:
    return [
        Compared(", ".join(modes), found.stages)
        for found, modes in notes.together(result).items()
        if found.stages
    ]


_HEIGHT = 24
_BIN_WIDTH = 2


def _sparkline(counts: Sequence[int] | None, row: Row, end_ns: int) -> Sparkline | None:
    if not counts or not any(counts):
        return None
    highest = max(counts)
    steps = []
    for number, count in enumerate(counts):
        # Whatever there was is seen.
        top = _HEIGHT - (max(1.0, (_HEIGHT - 1) * count / highest) if count else 0)
        steps.append(f"V{top:.1f}H{(number + 1) * _BIN_WIDTH}")
    width = len(counts) * _BIN_WIDTH
    return Sparkline(
        path=f"M0 {_HEIGHT}{''.join(steps)}V{_HEIGHT}Z",
        width=width,
        p50=messages.on_log_scale(row.p50_ns, end_ns) * width,
        p99=messages.on_log_scale(row.p99_ns, end_ns) * width,
    )
