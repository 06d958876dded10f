"""The numbers of the page that need every message: distributions, percentiles, the slowest."""

import dataclasses
from collections.abc import Sequence

import numpy

from omrig.model.columns import Integers
from omrig.report import layout
from omrig.report.html.recorded import Recorded

SLOWEST = 20
"""How many of the slowest messages are shown."""

TYPICAL_BAND = (49.5, 50.5)
"""The percentiles of latency between which a message counts as a typical one."""

SHORTEST_NS = 1_000
"""Where the distributions of stages begin; what is shorter is not looked at closely."""

BINS_A_DECADE = 8

_CURVE_POINTS = 400
_MOST_BINS = 240
_MESSAGES_A_BIN = 40


def latency_curve(latency: Integers) -> tuple[list[float], list[int]]:
    """Latency by percentile as HdrHistogram plots it: 1 / (1 - p) from 1 to the count, and ns.

    Each is the smallest latency that a share p of the messages does not exceed, up to the largest.
    """
    ordered = numpy.sort(latency)
    inverse = numpy.geomspace(1, max(1, len(ordered)), _CURVE_POINTS)
    rank = numpy.ceil((1 - 1 / inverse) * len(ordered)).astype(numpy.int64) - 1
    chosen = ordered[numpy.clip(rank, 0, len(ordered) - 1)]
    chosen[-1] = ordered[-1]
    return inverse.tolist(), chosen.tolist()


@dataclasses.dataclass(frozen=True)
class Series:
    """A load in equal bins of time: their middles in seconds, and what was in each.

    ``rate`` is in msg/s. ``percentiles`` has a list each of ns by name, None in an empty bin.
    """

    at: list[float]
    rate: list[float]
    percentiles: dict[str, list[int | None]]


def series(recorded: Recorded) -> Series | None:
    """The load over time; None when nothing ended."""
    length = recorded.length_ns
    if not length:
        return None
    bins = int(numpy.clip(len(recorded.ended) / _MESSAGES_A_BIN, 1, _MOST_BINS))
    width = length / bins
    counts = numpy.bincount(_bin(recorded.ended, width, bins), minlength=bins)
    return Series(
        at=((numpy.arange(bins) + 0.5) * width / 1e9).tolist(),
        rate=(counts / (width / 1e9)).tolist(),
        percentiles=_percentiles(recorded, width, bins),
    )


def _bin(times: Integers, width: float, bins: int) -> Integers:
    return numpy.clip((times / width).astype(numpy.int64), 0, bins - 1)


def _percentiles(recorded: Recorded, width: float, bins: int) -> dict[str, list[int | None]]:
    if not len(recorded.latency):
        return {}
    where = _bin(recorded.latency_at, width, bins)
    order = numpy.lexsort((recorded.latency, where))
    ordered = recorded.latency[order]
    counts = numpy.bincount(where, minlength=bins)
    ends = numpy.cumsum(counts)
    found: dict[str, list[int | None]] = {}
    for name, percent in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)):
        rank = numpy.maximum(1, numpy.ceil(percent / 100 * counts)).astype(numpy.int64)
        place = numpy.minimum(ends - counts + rank - 1, len(ordered) - 1)
        values = ordered[place].tolist()
        found[name] = [v if n else None for v, n in zip(values, counts.tolist(), strict=True)]
    return found


def distributions(recorded: Recorded) -> tuple[dict[str, list[int]], int]:
    """How often each stage took how long: counts in bins of equal width on a log scale.

    The bins begin at :data:`SHORTEST_NS` and are the same for every stage; the second value is
    where they end, in ns, a power of ten.
    """
    names = recorded.stage_names()
    longest = max((int(recorded.stage(name).max(initial=0)) for name in names), default=0)
    first = round(numpy.log10(SHORTEST_NS))
    decades = max(1, int(numpy.ceil(numpy.log10(max(longest, 1)))) - first)
    edges = numpy.logspace(first, first + decades, decades * BINS_A_DECADE + 1)
    counts = {}
    for name in names:
        values = recorded.stage(name)
        counted, _ = numpy.histogram(values[values >= SHORTEST_NS], edges)
        counts[name] = counted.tolist()
    return counts, 10 ** (first + decades)


def typical(recorded: Recorded) -> dict[str, int] | None:
    """The stages of a typical message: the mean over those around the median, in ns."""
    names = recorded.stage_names()
    if not names:
        return None
    whole = _added(recorded, names)
    low, high = numpy.percentile(whole, TYPICAL_BAND, method="inverted_cdf")
    chosen = (whole >= low) & (whole <= high)
    return {name: int(recorded.stage(name)[chosen].mean()) for name in names}


@dataclasses.dataclass(frozen=True)
class Slow:
    """One of the slowest messages.

    ``number`` is its sequence number, None where the producer was not recorded; ``began_ns`` when
    it was sent, since the load began; ``took_ns`` is from its first stamp to its last, and
    ``stages`` are None where they were not measured.
    """

    number: int | None
    began_ns: int | None
    took_ns: int
    stages: dict[str, int] | None


def slowest(recorded: Recorded, pattern: str) -> list[Slow]:
    """The slowest messages of those whose stages are known, else of all; the slowest first."""
    names = recorded.stage_names()
    if not names:
        return _slowest_calls(recorded)
    took = _lengths(recorded, names, pattern)
    rows = _largest(took)
    numbers = recorded.stage_numbers()
    columns = {name: recorded.stage(name)[rows].tolist() for name in names}
    found = []
    for place, row in enumerate(rows):
        number = None if numbers is None else int(numbers[row])
        found.append(
            Slow(
                number=number,
                began_ns=None if number is None else int(recorded.starts[number]),
                took_ns=int(took[row]),
                stages={name: int(column[place]) for name, column in columns.items()},
            )
        )
    return found


def _slowest_calls(recorded: Recorded) -> list[Slow]:
    return [
        Slow(
            number=int(recorded.numbers[row]),
            began_ns=int(recorded.starts[recorded.numbers[row]]),
            took_ns=int(recorded.latency[row]),
            stages=None,
        )
        for row in _largest(recorded.latency)
    ]


def _largest(values: Integers) -> Integers:
    """The rows of the largest values, the largest first."""
    count = min(SLOWEST, len(values))
    if not count:
        return numpy.zeros(0, numpy.int64)
    rows = numpy.argpartition(values, len(values) - count)[-count:]
    return rows[numpy.argsort(-values[rows], kind="stable")]


def _lengths(recorded: Recorded, names: Sequence[str], pattern: str) -> Integers:
    """How long each message was under way; as in a waterfall, two ends go on at once."""
    fork = layout.fork(names, pattern)
    if not fork:
        return _added(recorded, names)
    sent = names[: names.index(fork.at)]
    way = [name for name in names if name not in fork.aside]
    own_end = [*sent, *(name for name in names if name in fork.aside)]
    return numpy.maximum(_added(recorded, way), _added(recorded, own_end))


def _added(recorded: Recorded, names: Sequence[str]) -> Integers:
    total = recorded.stage(names[0])
    for name in names[1:]:
        total = total + recorded.stage(name)
    return total


def on_log_scale(value_ns: float, end_ns: int) -> float:
    """Where a duration lies between :data:`SHORTEST_NS` (0) and ``end_ns`` (1)."""
    if value_ns <= SHORTEST_NS:
        return 0.0
    whole = numpy.log10(end_ns / SHORTEST_NS)
    return float(min(1.0, numpy.log10(value_ns / SHORTEST_NS) / whole))
