"""Where a series of figures changes: E-divisive, with its permutation test.

After Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of
Multivariate Data" (2014): the place that parts two stretches whose distributions lie farthest
apart by their energy distance, then the same within each part. Nothing is taken to be normal, a
change of the spread counts like one of the level, and a version that is odd by itself is found as
well as a step that stays. What is tested are the runs and not their means: three runs of each of
ten versions are thirty values to shuffle.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy

from omrig.compare import resample
from omrig.model.columns import Floats, Integers

LEVEL = 0.025
"""How often a family of series may call anything where nothing changes.

There are two, headline and stages: together they do so in one history of twenty.
"""

SEED = 20140101
"""The shuffles are the same in every history of so many runs: what is called stays called."""

MOST_SHUFFLES = 4999
LEAST_SHUFFLES = 999
_FIRST_SHUFFLES = 99

_ENOUGH_BEYOND = 10
"""Shuffles that part as well as the real order, from which no more of them are needed."""

_SHUFFLED_VALUES = 40_000_000
"""Of all shuffles together, distances that one test may cost."""

_AT_ONCE = 400_000
"""Distances that are held at once."""

_SETTLED = 5
"""Times that the places found are moved between their neighbours, at most."""


@dataclasses.dataclass(frozen=True)
class Split:
    """The best place to part groups ``begin`` to ``end`` (not included): before ``at``.

    ``p`` is how often shuffled runs can be parted as well.
    """

    begin: int
    at: int
    end: int
    p: float


def least_p(counts: Sequence[int]) -> float:
    """The smallest p value that groups of so many runs can come to; 1 where none is below it.

    Of the orders of the runs those are counted that leave the same runs on each side.
    """
    total, before, least = sum(counts), 0, 1.0
    for count in counts[:-1]:
        before += count
        least = min(least, 2.0 / math.comb(total, before))
    return least


def best_split(groups: Sequence[Floats], begin: int, end: int) -> Split | None:
    """The best place to part those groups of runs; None of fewer than two groups."""
    parts = list(groups[begin:end])
    if len(parts) < 2:
        return None
    counts = numpy.array([len(each) for each in parts])
    values = numpy.concatenate(parts)
    distances = numpy.abs(values[:, None] - values[None, :])
    sums = _by_group(distances[None], counts)
    strengths = _strengths(sums, counts)[0]
    place, _ = numpy.unravel_index(int(strengths.argmax()), strengths.shape)
    best = float(strengths.max())
    p = _p(distances, counts, best) if best > 0 else 1.0
    return Split(begin, begin + int(place) + 1, end, p)


def believed(
    families: Mapping[str, Mapping[str, Sequence[Floats]]], level: float = LEVEL
) -> dict[str, tuple[int, ...]]:
    """Where each of the series changes: the numbers of the groups with which something new begins.

    ``families`` are series by name: of each group the values of its runs, to be added (logarithms).
    A family is held to ``level`` as a whole, after Benjamini and Hochberg: its first splits
    together, then those within the parts, and so on.
    """
    found: dict[str, tuple[int, ...]] = {}
    for family in families.values():
        places: dict[str, list[int]] = {}
        parts = [(name, 0, len(groups)) for name, groups in family.items()]
        while parts:
            parts = list(_parted(family, parts, places, level))
        for name, known in places.items():
            found[name] = _settled(family[name], sorted(known))
    return found


def _parted(
    family: Mapping[str, Sequence[Floats]],
    parts: Sequence[tuple[str, int, int]],
    places: dict[str, list[int]],
    level: float,
) -> Iterator[tuple[str, int, int]]:
    """The parts of those that are split, which are judged together; where goes to ``places``."""
    splits = [
        (name, split)
        for name, begin, end in parts
        if (split := best_split(family[name], begin, end))
    ]
    sure = resample.discoveries([split.p for _, split in splits], level)
    for (name, split), each in zip(splits, sure, strict=True):
        if each:
            places.setdefault(name, []).append(split.at)
            yield name, split.begin, split.at
            yield name, split.at, split.end


def _settled(groups: Sequence[Floats], places: Sequence[int]) -> tuple[int, ...]:
    """The places, each at the best one between its neighbours: the first ones did not know them."""
    now = list(places)
    for _ in range(_SETTLED):
        before = list(now)
        for number in range(len(now)):
            begin = now[number - 1] if number else 0
            end = now[number + 1] if number + 1 < len(now) else len(groups)
            now[number] = begin + _step(groups[begin:end])
        if now == before:
            break
    return tuple(now)


def _step(groups: Sequence[Floats]) -> int:
    """Where two stretches meet that are all there is."""
    counts = numpy.array([len(each) for each in groups])
    values = numpy.concatenate(list(groups))
    sums = _by_group(numpy.abs(values[:, None] - values[None, :])[None], counts)
    return int(_strengths(sums, counts)[0][:, -1].argmax()) + 1


def _p(distances: Floats, counts: Integers, best: float) -> float:
    """How often shuffled runs are parted as well as the real ones; few shuffles tell a large p."""
    size = len(distances)
    most = int(min(MOST_SHUFFLES, max(LEAST_SHUFFLES, _SHUFFLED_VALUES // size**2)))
    generator = numpy.random.default_rng((SEED, size))
    beyond = done = 0
    while done < most and beyond < _ENOUGH_BEYOND:
        wanted = _FIRST_SHUFFLES if not done else max(1, _AT_ONCE // size**2)
        turn = min(wanted, most - done)
        orders = generator.permuted(numpy.tile(numpy.arange(size), (turn, 1)), axis=1)
        shuffled = distances[orders[:, :, None], orders[:, None, :]]
        strengths = _strengths(_by_group(shuffled, counts), counts)
        # What is as good but for rounding is as good.
        beyond += int((strengths.max(axis=(1, 2)) >= best * (1 - 1e-9)).sum())
        done += turn
    return (1 + beyond) / (1 + done)


def _by_group(distances: Floats, counts: Integers) -> Floats:
    """The sums of distances between each two groups, added up along both: [a, b] is [:a, :b]."""
    starts = numpy.concatenate([[0], numpy.cumsum(counts)[:-1]])
    sums = numpy.add.reduceat(numpy.add.reduceat(distances, starts, axis=1), starts, axis=2)
    added = numpy.zeros((len(sums), len(counts) + 1, len(counts) + 1))
    added[:, 1:, 1:] = sums.cumsum(axis=1).cumsum(axis=2)
    return added


def _strengths(added: Floats, counts: Integers) -> Floats:
    """The weighted energy distance of [:place + 1] and [place + 1:until + 1], of all of them.

    That both ends are free finds one odd version among many, which all that follows would hide.
    """
    bounds = numpy.concatenate([[0], numpy.cumsum(counts)])
    number = len(counts)
    places, untils = _candidates(number)
    ours = bounds[places].astype(float)
    theirs = (bounds[untils] - bounds[places]).astype(float)
    within = added[:, places, places]
    across = added[:, places, untils] - within
    beside = added[:, untils, untils] - 2 * added[:, places, untils] + within
    distance = 2 * across / (ours * theirs) - within / ours**2 - beside / theirs**2
    strengths = numpy.full((len(added), number - 1, number), -numpy.inf)
    strengths[:, places - 1, untils - 1] = distance * ours * theirs / (ours + theirs)
    return strengths


@functools.lru_cache(maxsize=64)
def _candidates(number: int) -> tuple[Integers, Integers]:
    """Each place with each end behind it, of so many groups."""
    places, untils = numpy.triu_indices(number + 1, 1)
    inner = places > 0
    return places[inner], untils[inner]
