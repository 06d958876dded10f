"""One clock against another one over time: the lines that no message contradicts.

A request cannot arrive before it was sent, so a clock there is ahead by no more than what a request
seems to have taken; and by no less than what a reply seems to have taken less than nothing. The
fastest of both, all along the load, bound a band from above and from below. Any straight line
within the band can be the clock, and no other can: where all of them rise the clock gains, and
where there is none it was stepped.
"""

import dataclasses

import numpy

from omrig.model.columns import Floats, Integers
from omrig.model.units import NS

WINDOW_S = 5.0
"""A window of the load's time: as often the fastest request and reply of its own are needed that
drift is spoken of."""

PIECES = 256
"""The load's time in so many pieces, of each the fastest request and the fastest reply bound the
band: more would make it no narrower, as what is near the fastest is as fast."""

MOST_PPM = 1000.0
"""No clock gains more: quartz is some 100 ppm wrong at worst, and NTP adds no more than 500."""

MOST_STEPS = 4
"""A clock with more steps than these does not keep to lines, and nothing is said of it."""

_TOLERANCE_NS = 1.0


@dataclasses.dataclass(frozen=True)
class Bounds:
    """By how much a clock was ahead at most, or at least: ``ns`` at the times ``at``."""

    at: Integers
    ns: Integers

    def between(self, begin: int, end: int) -> "Bounds":
        """Those from ``begin`` to before ``end``."""
        chosen = (self.at >= begin) & (self.at < end)
        return Bounds(self.at[chosen], self.ns[chosen])


@dataclasses.dataclass(frozen=True)
class Line:
    """A clock is ahead by ``offset_ns`` at ``since``, and by ``drift`` ns more with each ns.

    ``told`` says whether the messages tell that it drifts; ``drift_error`` is by how much the drift
    may be another one, ``error_ns`` by how much the line may be wrong anywhere up to ``until``.
    """

    since: int
    until: int
    offset_ns: int
    drift: float
    told: bool
    drift_error: float
    error_ns: int


@dataclasses.dataclass(frozen=True)
class Fit:
    """The lines of a clock, one after the other, and in how many windows it was seen."""

    lines: tuple[Line, ...]
    windows: int

    @property
    def error_ns(self) -> int:
        """By how much it may be wrong."""
        return max(line.error_ns for line in self.lines)


def fit(most: Bounds, least: Bounds) -> Fit | None:
    """The lines that the bounds allow; None where there are none, or more than make sense.

    All is exact to a nanosecond. Where drift is not told apart from none the line has none.
    """
    if not len(most.at) or not len(least.at):
        return None
    first = int(min(most.at.min(), least.at.min()))
    last = int(max(most.at.max(), least.at.max()))
    edges = numpy.unique(numpy.linspace(first, last + 1, PIECES + 1).astype(numpy.int64))
    most, least = _fastest(most, edges, lowest=True), _fastest(least, edges, lowest=False)
    lines: list[Line] = []
    begin = steps = 0
    while begin < len(edges) - 1:
        end = _reach(most, least, edges, begin)
        part = [each.between(edges[begin], edges[end]) for each in (most, least)]
        begin, steps = end, steps + 1
        if not all(len(each.at) for each in part):
            # After the last step nothing came both ways any more.
            break
        line = _line(*part)
        # None: it was stepped within this very piece.
        lines += [line] if line else []
        if steps > 2 * MOST_STEPS or len(lines) > MOST_STEPS + 1:
            return None
    return Fit(tuple(lines), _windows(most, least, first, last)) if lines else None


def _fastest(bounds: Bounds, edges: Integers, lowest: bool) -> Bounds:
    """The one that bounds most in each piece of time; what bounds less is left out."""
    piece = numpy.searchsorted(edges, bounds.at, side="right")
    order = numpy.lexsort((bounds.ns if lowest else -bounds.ns, piece))
    firsts = order[numpy.unique(piece[order], return_index=True)[1]]
    return Bounds(bounds.at[firsts], bounds.ns[firsts])


def _windows(most: Bounds, least: Bounds, first: int, last: int) -> int:
    """In how many windows there are both."""
    count = max(1, int((last - first) / NS / WINDOW_S))
    edges = numpy.linspace(first, last + 1, count + 1)
    seen = [
        set(numpy.searchsorted(edges, each.at, side="right").tolist()) for each in (most, least)
    ]
    return len(seen[0] & seen[1])


def _reach(most: Bounds, least: Bounds, edges: Integers, begin: int) -> int:
    """Up to which edge one line is possible, from ``begin`` on."""

    def possible(end: int) -> bool:
        parts = [each.between(edges[begin], edges[end]) for each in (most, least)]
        return not all(len(each.at) for each in parts) or len(_corners(*_scaled(*parts)[0])) > 0

    good, bad = begin + 1, len(edges)
    if possible(bad - 1):
        return bad - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if possible(middle):
            good = middle
        else:
            bad = middle
    return good


def _scaled(most: Bounds, least: Bounds) -> tuple[tuple[Floats, Floats, Floats, Floats], int, int]:
    """The bounds as seconds and ns since the first time and from the first bound, and these."""
    since, base = int(min(most.at.min(), least.at.min())), int(most.ns[0])
    return (
        (
            (most.at - since) / NS,
            (most.ns - base).astype(numpy.float64),
            (least.at - since) / NS,
            (least.ns - base).astype(numpy.float64),
        ),
        since,
        base,
    )


def _corners(at: Floats, most: Floats, there: Floats, least: Floats) -> Floats:
    """The corners of all possible lines: rows of an offset in ns and a slope in ns a second.

    Lines are points of a plane in which each bound is a straight edge; what is possible is the
    polygon within all of them. Only bounds on the hulls can be edges of it.
    """
    upper, lower = _hull(at, most), _hull(there, -least)
    at, most, there, least = at[upper], most[upper], there[lower], least[lower]
    slope = MOST_PPM * 1000
    normals = numpy.concatenate(
        [
            numpy.stack([numpy.ones_like(at), at], axis=1),
            numpy.stack([-numpy.ones_like(there), -there], axis=1),
            [[0.0, 1.0], [0.0, -1.0]],
        ]
    )
    limits = numpy.concatenate([most, -least, [slope, slope]])
    one, other = numpy.triu_indices(len(limits), 1)
    a, b = normals[one], normals[other]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    crossing = numpy.abs(area) > 1e-12
    a, b, area = a[crossing], b[crossing], area[crossing]
    left, right = limits[one][crossing], limits[other][crossing]
    points = numpy.stack(
        [(left * b[:, 1] - right * a[:, 1]) / area, (a[:, 0] * right - b[:, 0] * left) / area],
        axis=1,
    )
    within = (points @ normals.T <= limits + _TOLERANCE_NS).all(axis=1)
    found: Floats = points[within]
    return found


def _hull(at: Floats, values: Floats) -> list[int]:
    """Which points are on the lower hull, from left to right."""
    found: list[int] = []
    for place in numpy.lexsort((values, at)).tolist():
        if found and at[place] == at[found[-1]]:
            continue
        while len(found) > 1 and _is_above(at, values, found[-2], found[-1], place):
            found.pop()
        found.append(place)
    return found


def _is_above(at: Floats, values: Floats, left: int, middle: int, right: int) -> bool:
    """Whether the middle one of three points is on or above the line between the others."""
    rise = (values[right] - values[left]) * (at[middle] - at[left])
    return bool((values[middle] - values[left]) * (at[right] - at[left]) >= rise)


def _line(most: Bounds, least: Bounds) -> Line | None:
    """The line in the middle of all that are possible; a level one where that is among them.

    None where none is possible.
    """
    scaled, since, base = _scaled(most, least)
    corners = _corners(*scaled)
    if not len(corners):
        return None
    until = int(max(most.at.max(), least.at.max()))
    length = (until - since) / NS
    slopes = corners[:, 1]
    ends = [corners[:, 0] + slopes * at for at in (0.0, length)]
    middles = [(end.min() + end.max()) / 2 for end in ends]
    told = not slopes.min() <= 0 <= slopes.max()
    if told and length:
        slope = (middles[1] - middles[0]) / length
        offset = middles[0]
    else:
        slope, offset = 0.0, (scaled[1].min() + scaled[3].max()) / 2
    # How far a line is from all possible ones is largest at either end.
    error = max(
        float(numpy.abs(end - (offset + slope * at)).max())
        for end, at in zip(ends, (0.0, length), strict=True)
    )
    return Line(
        since=since,
        until=until,
        offset_ns=base + round(offset),
        drift=slope / NS,
        told=told,
        drift_error=float(numpy.abs(slopes - slope).max()) / NS,
        error_ns=int(numpy.ceil(error)),
    )
