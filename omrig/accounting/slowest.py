"""Whether one of several hosts is slower than the others, or whether that is chance.

The load's time is cut into parts. Were the hosts alike, each of them would be the slowest of a part
as often as any other, whatever the load, the broker or all of them together went through meanwhile:
so it is how often one was that tells, and not how much longer its messages took at the median,
which a burst can do.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy

from omrig.model.by_host import Slowest
from omrig.model.columns import Integers
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


def found(side: str, hosts: Mapping[str, Took]) -> tuple[bool, Slowest | None]:
    """Whether the hosts can be compared, and the one that is slower than the others.

    They are by name, of two or more. Their parts begin with each one's first message, as all were
    told to begin at the same instant.
    """
    hosts = {name: each for name, each in hosts.items() if len(each.ended)}
    if len(hosts) < 2:
        return False, None
    medians = _medians(list(hosts.values()))
    parts = len(medians)
    # What is the least that could be said of so many parts.
    if _at_least(parts, parts, len(hosts)) * len(hosts) > BY_CHANCE:
        return False, None
    worst = numpy.bincount(medians.argmax(axis=1), minlength=len(hosts))
    place = int(worst.argmax())
    if _at_least(int(worst[place]), parts, len(hosts)) * len(hosts) > BY_CHANCE:
        return True, None
    name = list(hosts)[place]
    others = numpy.concatenate([each.took for other, each in hosts.items() if other != name])
    return True, Slowest(
        name=name,
        side=side,
        median_ns=int(numpy.median(hosts[name].took)),
        others_ns=int(numpy.median(others)),
        parts=parts,
        slowest_in=int(worst[place]),
        by_chance=round(parts / len(hosts), 1),
    )


def _medians(hosts: list[Took]) -> "numpy.typing.NDArray[numpy.float64]":
    """What messages took at the median: a row a part in which each host has enough of them."""
    begins = [int((each.ended - each.took).min()) for each in hosts]
    lasted = min(int(each.ended.max()) - begin for each, begin in zip(hosts, begins, strict=True))
    parts = min(MOST_PARTS, lasted // LEAST_PART_NS)
    rows = numpy.full((parts, len(hosts)), numpy.nan)
    for column, (each, begin) in enumerate(zip(hosts, begins, strict=True)):
        order = numpy.argsort(each.ended, kind="stable")
        edges = begin + numpy.arange(parts + 1) * lasted // max(parts, 1)
        places = numpy.searchsorted(each.ended[order], edges)
        for row in range(parts):
            mine = each.took[order[places[row] : places[row + 1]]]
            if len(mine) >= LEAST_MESSAGES:
                rows[row, column] = numpy.median(mine)
    whole: numpy.typing.NDArray[numpy.float64] = rows[~numpy.isnan(rows).any(axis=1)]
    return whole


def _at_least(times: int, parts: int, hosts: int) -> float:
    """The probability that one of ``hosts`` that are alike is the slowest of so many parts."""
    chance = 1 / hosts
    return sum(
        math.comb(parts, n) * chance**n * (1 - chance) ** (parts - n)
        for n in range(times, parts + 1)
    )
