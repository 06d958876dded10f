"""The patterns of a mix and the classes of sizes, as the page shows them."""

import dataclasses
from collections.abc import Mapping, Sequence

from omrig.model import units
from omrig.model.patterns import PATTERNS
from omrig.model.result import Part, Result
from omrig.report import parts
from omrig.report.html import charts, messages
from omrig.report.html.charts import Figure, Line
from omrig.report.html.recorded import Recorded


@dataclasses.dataclass(frozen=True)
class Table:
    """A row a part; ``title`` is empty for that of the patterns, ``heading`` of their column."""

    title: str
    heading: str
    rows: Sequence[parts.Row]


def latencies(result: Result) -> str:
    """From where to where the latency of each pattern is; empty without a mix."""
    return parts.latencies(result.patterns) if result.patterns else ""


def tables(result: Result) -> list[Table]:
    """The patterns, then the classes of sizes of each of them."""
    found = []
    if result.patterns:
        found.append(Table("", "pattern", parts.rows(result.patterns)))
    for pattern, classes in parts.of_sizes(result):
        found.append(Table(f"{pattern} by size of payload", "payload", parts.rows(classes)))
    return found


def figures(result: Result, recorded: Recorded) -> dict[str, Figure]:
    """Latency by size of payload, and the curve of each pattern, where there is either."""
    found = {}
    sizes = dict(parts.of_sizes(result))
    if sizes:
        found["sizes"] = charts.by_size({name: _by_size(each) for name, each in sizes.items()})
    curves = {name: values for name, values in recorded.latency_of.items() if len(values)}
    if curves:
        drawn = {name: messages.latency_curve(values) for name, values in curves.items()}
        longest = max(len(values) for values in curves.values())
        found["patterns"] = charts.by_pattern(drawn, longest)
    return found


def _by_size(classes: Mapping[str, Part]) -> list[Line]:
    known = [(part, part.latency) for part in classes.values() if part.latency]
    names = [units.size(part.least_bytes or 0) for part, _ in known]
    tails = [latency.p99 if parts.has_p99(latency) else None for _, latency in known]
    return [
        Line("p50", names, [latency.p50 for _, latency in known]),
        Line("p99", names, tails),
    ]


def noun(pattern: str) -> str:
    """What a message of a pattern is called."""
    return PATTERNS[pattern].noun
