"""The patterns of a mix and the classes of sizes, as every report shows them."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from omrig.model import units
from omrig.model.latency import Latency
from omrig.model.patterns import PATTERNS
from omrig.model.result import Part, Result
from omrig.model.verdict import Verdict
from omrig.report import owners

MIN_FOR_P99 = 100
"""Messages without which one in a hundred is none."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What is said of the patterns whose time goes the same way; ``patterns`` in words."""

    patterns: str
    verdict: Verdict


def verdicts(result: Result) -> list[Told]:
    """The verdicts of a mix: one for all patterns whose time is the same owner's, in one stage.

    Its sentence is of the pattern that took most time of these, and names it first. The patterns
    with the most time come first.
    """
    groups: dict[tuple[str, str | None], list[str]] = {}
    parts = result.patterns or {}
    for name in sorted(parts, key=lambda name: -_time_ns(parts[name])):
        found = parts[name].verdict
        if found:
            groups.setdefault((found.owner, found.stage), []).append(name)
    told = []
    for names in groups.values():
        found = parts[names[0]].verdict
        if found:
            told.append(Told(_named(names), found))
    return told


def _named(names: Sequence[str]) -> str:
    first, *rest = names
    return f"{first}, and {' and '.join(rest)} alike" if rest else first


def _time_ns(part: Part) -> int:
    return sum(row.total_ns for row in part.stages or ())


@dataclasses.dataclass(frozen=True)
class Row:
    """The figures of a part in words, by heading; ``owner`` has most of its time, and so much."""

    name: str
    values: Mapping[str, str]
    owner: str
    share: str


def rows(parts: Mapping[str, Part]) -> list[Row]:
    """A row for each part, in their order."""
    return [_row(name_of(name, part), part) for name, part in parts.items()]


def name_of(name: str, part: Part) -> str:
    """A pattern by its name, a class of sizes by its bounds."""
    if part.least_bytes is None or part.most_bytes is None:
        return name
    return f"{units.size(part.least_bytes)} to {units.size(part.most_bytes + 1)}"


def _row(name: str, part: Part) -> Row:
    counts, latency, closure = part.messages, part.latency, part.closure
    rate = part.throughput.messages_per_second if part.throughput else None
    values = {
        "sent": _number(counts.sent),
        "received": _number(counts.received),
        "lost": _number(counts.lost),
        "errors": f"{counts.failed:,}",
        "msg/s": f"{rate:,.1f}" if rate is not None else "-",
        "mean": units.duration(latency.mean) if latency else "-",
        "p50": units.duration(latency.p50) if latency else "-",
        "p99": units.duration(latency.p99) if latency and has_p99(latency) else "-",
        "books": (
            f"{closure.within_tolerance:,}/{closure.messages:,}"
            if closure and closure.within_tolerance is not None
            else "-"
        ),
    }
    found = owners.of_buckets(part.stages or ())
    owner = next(iter(found), "")
    share = f"{sum(found[owner].values()):.0f} %" if owner else "-"
    return Row(name, values, owner, share)


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def has_p99(latency: Latency) -> bool:
    """Whether there are enough messages for a p99 that is not just the slowest of them."""
    return latency.count >= MIN_FOR_P99


def latencies(parts: Mapping[str, Part]) -> str:
    """From where to where the latency of each pattern is, in one line."""
    found: dict[str, list[str]] = {}
    for name in parts:
        found.setdefault(PATTERNS[name].latency, []).append(name)
    return "; ".join(f"{' and '.join(names)}: {text}" for text, names in found.items())


def of_sizes(result: Result) -> Iterator[tuple[str, Mapping[str, Part]]]:
    """The classes of sizes, of the one pattern or of each of the mix, with its name."""
    if result.sizes:
        yield result.pattern, result.sizes
    for name, part in (result.patterns or {}).items():
        if part.sizes:
            yield name, part.sizes


def within(result: Result, name: str, part: Part) -> Result:
    """The result as if the messages of this pattern were all there were."""
    return dataclasses.replace(
        result,
        pattern=name,
        messages=part.messages,
        throughput=part.throughput,
        latency=part.latency,
        stages=part.stages,
        buckets=part.buckets,
        closure=part.closure,
        waterfall=part.waterfall,
        verdict=part.verdict,
        patterns=None,
        sizes=part.sizes,
    )
