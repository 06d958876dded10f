"""The clocks of many hosts on one: by way of the pairs of which something is known, and around."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy

from omrig.accounting.drift import Fit
from omrig.model.columns import Integers
from omrig.model.host_clock import ClockLine

_PPM = 1e6

Pair = tuple[int, int]
"""The numbers of two hosts, the lower one first."""


@dataclasses.dataclass(frozen=True)
class Between:
    """What is known between two hosts: how far the second one is ahead of the first, by the time of
    the first."""

    fit: Fit
    network_ns: int


@dataclasses.dataclass
class Joined:
    """The hosts that pairs connect: whose ``group`` each is in, and on the first one's clock its
    ``lines``, none of the first one itself; the pairs by which it is ``told``, from there on;
    ``errors`` between any two, in ns.

    ``tree`` are all pairs by way of which clocks are told.
    """

    group: list[int]
    lines: list[tuple[ClockLine, ...]]
    told: list[list[Pair]]
    errors: Integers
    tree: set[Pair] = dataclasses.field(default_factory=set)


def join(count: int, pairs: Mapping[Pair, Between]) -> Joined:
    """The hosts on the first one's clock of those that pairs connect, by way of the surest ones."""
    errors = numpy.zeros((count, count), numpy.int64)
    found = Joined([-1] * count, [()] * count, [[] for _ in range(count)], errors)
    for first in range(count):
        if found.group[first] >= 0:
            continue
        found.group[first] = first
        while edges := list(_edges(pairs, found, first)):
            _, known, other = min(edges)
            pair = (min(known, other), max(known, other))
            _add(found, pairs[pair].fit, pair, known, other)
    return found


def _edges(
    pairs: Mapping[Pair, Between], found: Joined, first: int
) -> Iterator[tuple[int, int, int]]:
    """By how much a host that is not known yet would be wrong, and by way of which one."""
    for (one, two), pair in pairs.items():
        for known, other in ((one, two), (two, one)):
            if found.group[known] == first and found.group[other] < 0:
                yield int(found.errors[known, first]) + pair.fit.error_ns, known, other


def _add(found: Joined, fit: Fit, pair: Pair, known: int, other: int) -> None:
    members = [host for host, group in enumerate(found.group) if group == found.group[known]]
    own = _of_second(fit) if pair == (known, other) else _of_first(fit)
    found.lines[other] = _chained(own, found.lines[known])
    found.told[other] = [*found.told[known], pair]
    found.group[other] = found.group[known]
    found.tree.add(pair)
    for each in members:
        found.errors[each, other] = found.errors[other, each] = (
            found.errors[known, each] + fit.error_ns
        )


def _of_second(fit: Fit) -> tuple[ClockLine, ...]:
    """By how much the second host is ahead of the first one, by its own time."""
    return tuple(
        ClockLine(
            since_ns=line.since + line.offset_ns,
            offset_ns=line.offset_ns,
            drift_ppm=_PPM * line.drift / (1 + line.drift),
        )
        for line in fit.lines
    )


def _of_first(fit: Fit) -> tuple[ClockLine, ...]:
    """By how much the first host is ahead of the second one, by its own time."""
    return tuple(
        ClockLine(since_ns=line.since, offset_ns=-line.offset_ns, drift_ppm=-_PPM * line.drift)
        for line in fit.lines
    )


def _chained(own: Sequence[ClockLine], then: Sequence[ClockLine]) -> tuple[ClockLine, ...]:
    """How far a clock is ahead of a third one: ahead of a second by ``own``, and that by ``then``.

    ``then`` is empty where the second one is the third.
    """
    if not then:
        return tuple(own)
    first = _in(own, own[0].since_ns)
    begins = {line.since_ns for line in own}
    # Where the second one's lines begin, by this clock.
    begins |= {
        each.since_ns
        + _in(own, each.since_ns + first.offset_ns).ahead_ns(each.since_ns + first.offset_ns)
        for each in then[1:]
    }
    made = []
    for begin in sorted(begins):
        near = _in(own, begin)
        ahead = near.ahead_ns(begin)
        far = _in(then, begin - ahead)
        made.append(
            ClockLine(
                since_ns=begin,
                offset_ns=ahead + far.ahead_ns(begin - ahead),
                drift_ppm=near.drift_ppm + far.drift_ppm * (1 - near.drift_ppm / _PPM),
            )
        )
    return tuple(made)


def _in(lines: Sequence[ClockLine], own_ns: int) -> ClockLine:
    """The line that holds at this time."""
    return next((line for line in reversed(lines) if line.since_ns <= own_ns), lines[0])


def around(joined: Joined, pairs: Mapping[Pair, Between]) -> dict[int, int]:
    """By how many ns a host's clock is another one by ways around, at most; of those with any.

    What is more than the errors allow, is added to these: one of the ways is wrong. Where none
    is, two hosts are as sure of each other as their own calls make them, and what these are apart.
    """
    found: dict[int, int] = {}
    sure: dict[Pair, int] = {}
    agree = True
    for (one, other), pair in pairs.items():
        if (one, other) in joined.tree:
            continue
        apart = _apart(joined, pair.fit, one, other)
        ways = set(joined.told[one]) ^ set(joined.told[other])
        for host in {one, other, *(host for way in ways for host in way)}:
            found[host] = max(found.get(host, 0), apart)
        if apart > joined.errors[one, other] + pair.fit.error_ns:
            agree = False
            for host in (one, other):
                joined.errors[host] = numpy.maximum(joined.errors[host], apart)
                joined.errors[:, host] = joined.errors[host]
                joined.errors[host, host] = 0
        elif max(map(len, (pair.fit.lines, joined.lines[one], joined.lines[other]))) == 1:
            # Between its ends no straight line is further from another one than there.
            sure[one, other] = apart + pair.fit.error_ns
    for (one, other), error in sure.items() if agree else ():
        error = min(error, int(joined.errors[one, other]))
        joined.errors[one, other] = joined.errors[other, one] = error
    return found


def _apart(joined: Joined, fit: Fit, one: int, other: int) -> int:
    """By how many ns the tree and what a pair's own calls tell are apart, at most."""
    apart = 0
    for line in fit.lines:
        for at in (line.since, line.until):
            ahead = line.offset_ns + round((at - line.since) * line.drift)
            by_tree = at + ahead - _ahead(joined, other, at + ahead)
            apart = max(apart, abs(by_tree - (at - _ahead(joined, one, at))))
    return apart


def _ahead(joined: Joined, host: int, own_ns: int) -> int:
    lines = joined.lines[host]
    return _in(lines, own_ns).ahead_ns(own_ns) if lines else 0
