"""Whether one of several hosts is slower than the others, or whether that is chance.

The load's time is cut into parts. Were the hosts alike, each of them would be the slowest of a part
as often as any other, whatever the load, the broker or all of them together went through meanwhile:
so it is how often one was that tells, and not how much longer its messages took at the median,
which a burst can do.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy

from omrig.model.by_host import Slowest
from omrig.model.columns import Floats, Integers
from omrig.model.units import NS

MOST_PARTS = 20

LEAST_PART_NS = NS // 4
"""What slows messages down for less lies within a part, and not in several of them at once."""

LEAST_MESSAGES = 10
"""A part in which a host has fewer has no median of it."""

BY_CHANCE = 0.001
"""A host is named that would be the slowest so often with this probability were all alike."""


@dataclasses.dataclass(frozen=True)
class Took:
    """What messages ``took`` that ended at these times, in ns on their host's own clock."""

    ended: Integers
    took: Integers


@dataclasses.dataclass(frozen=True)
class Span:
    """When the first message of a host began, and when its last one ended, on its own clock."""

    begin_ns: int
    end_ns: int


def span(found: Took) -> Span | None:
    """The time of a host's messages; None without any."""
    if not len(found.ended):
        return None
    return Span(int((found.ended - found.took).min()), int(found.ended.max()))


def edges(spans: Sequence[Span]) -> list[Integers]:
    """Where the parts of the load's time begin and end, of each host on its own clock.

    They begin with each one's first message, as all were told to begin at the same instant, and
    end with the one that was through first. A part is as long on every host.
    """
    lasted = min((each.end_ns - each.begin_ns for each in spans), default=0)
    parts = min(MOST_PARTS, lasted // LEAST_PART_NS)
    within = numpy.arange(parts + 1) * lasted // max(parts, 1)
    return [each.begin_ns + within for each in spans]


def medians(found: Took, at: Integers) -> Floats:
    """What a host's messages took at the median in each part; NaN of a part with few."""
    which = numpy.searchsorted(at, found.ended, side="right") - 1
    return numpy.array(
        [
            numpy.median(mine) if len(mine) >= LEAST_MESSAGES else numpy.nan
            for mine in (found.took[which == part] for part in range(len(at) - 1))
        ]
    )


def named(
    side: str, hosts: Mapping[str, Floats], whole_ns: Mapping[str, int]
) -> tuple[bool, Slowest | None]:
    """Whether hosts can be compared by their medians part by part, and the one that is slower.

    ``whole_ns`` are the medians of all messages.
    """
    if len(hosts) < 2:
        return False, None
    rows = numpy.stack(list(hosts.values()), axis=1)
    rows = rows[~numpy.isnan(rows).any(axis=1)]
    parts = len(rows)
    # What is the least that could be said of so many parts.
    if _at_least(parts, parts, len(hosts)) * len(hosts) > BY_CHANCE:
        return False, None
    worst = numpy.bincount(rows.argmax(axis=1), minlength=len(hosts))
    place = int(worst.argmax())
    if _at_least(int(worst[place]), parts, len(hosts)) * len(hosts) > BY_CHANCE:
        return True, None
    name = list(hosts)[place]
    others = [whole_ns[other] for other in hosts if other != name]
    return True, Slowest(
        name=name,
        side=side,
        median_ns=whole_ns[name],
        others_ns=int(numpy.median(others)),
        parts=parts,
        slowest_in=int(worst[place]),
        by_chance=round(parts / len(hosts), 1),
    )


def _at_least(times: int, parts: int, hosts: int) -> float:
    """The probability that one of ``hosts`` that are alike is the slowest of so many parts."""
    chance = 1 / hosts
    return sum(
        math.comb(parts, n) * chance**n * (1 - chance) ** (parts - n)
        for n in range(times, parts + 1)
    )
