"""The load in slices that are sent with and without profilers, to compare them within one run."""

import dataclasses

TWIN_PAIRS = (5, 10)
"""Pairs of slices that are compared with and without profilers: at least and at most. Fewer than
five cannot show that the ranking of stages changed (:mod:`omrig.accounting.overhead`)."""

MESSAGES_PER_WORKER = 4
SLICE_MESSAGES = 40
"""A slice has at least so many: shorter ones would be all beginning and end."""

UNPROFILED_SHARE = 0.2
"""Of so much of the load a mode that slows the run is left out, where the load is long enough."""


@dataclasses.dataclass(frozen=True)
class Slice:
    """Consecutive messages of the load: sequence numbers from ``first`` to before ``end``.

    The two slices with the same ``pair`` are compared, those with None are not.
    """

    first: int
    end: int
    profiled: bool
    pair: int | None = None


def smallest_slice(workers: int) -> int:
    """Messages in a slice of the load of so many workers, at least."""
    return max(SLICE_MESSAGES, MESSAGES_PER_WORKER * workers)


def twin_messages(workers: int) -> int:
    """Messages that slices take at least: one to settle, and the fewest pairs."""
    return smallest_slice(workers) * (1 + 2 * TWIN_PAIRS[0])


def whole(total: int) -> list[Slice]:
    """The load in one piece."""
    return [Slice(0, total, profiled=True)]


def divide(total: int, workers: int, sparing: bool) -> list[Slice]:
    """Pairs of equal slices, one without and one with profilers, and what is left between them.

    Equal, because each begins and ends with workers that have nothing to do, and that has to weigh
    the same in both. The order within pairs alternates, so that a drift favours neither, with the
    unprofiled slices of two pairs side by side: to stop a profiler may take it a second. The first
    slice is in no pair: connections are made in it. With ``sparing`` no more than
    :data:`UNPROFILED_SHARE` goes unprofiled where the load has enough messages for that; otherwise
    pairs take all there is. ``total`` is :func:`twin_messages` or more.
    """
    least = smallest_slice(workers)
    spare = UNPROFILED_SHARE * total if sparing else (total - least) / 2
    pairs = min(max(int(spare // least), TWIN_PAIRS[0]), TWIN_PAIRS[1])
    size = max(least, int(spare // pairs))
    left, gaps = total - 2 * pairs * size, (pairs + 1) // 2
    between = (left - size) // gaps
    if between < least:
        between = 0
    made: list[Slice] = []

    def add(size: int, profiled: bool, pair: int | None) -> None:
        first = made[-1].end if made else 0
        if size:
            made.append(Slice(first, first + size, profiled, pair))

    add(left - gaps * between, True, None)
    for pair in range(pairs):
        for profiled in (True, False) if pair % 2 == 0 else (False, True):
            add(size, profiled, pair)
        if pair % 2 or pair == pairs - 1:
            add(between, True, None)
    return made
