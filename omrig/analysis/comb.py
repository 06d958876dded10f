"""Recognise durations that a polling sleep has quantised: a comb of teeth at its multiples."""

import dataclasses
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

MILLISECOND = 1_000_000
"""Nanoseconds in one."""

KINDS: dict[int, Literal["poll", "sleep"]] = {
    5_000 * MILLISECOND: "poll",
    1_000 * MILLISECOND: "poll",
    500 * MILLISECOND: "sleep",
    250 * MILLISECOND: "sleep",
    50 * MILLISECOND: "poll",
    MILLISECOND: "poll",
}
"""The periods known from messaging code, in ns, longest first.

A ``poll`` is a wait with a timeout (the AMQP listener's doubles from 1 ms to 5 s), a ``sleep``
a plain sleep between two looks at a queue.
"""

MIN_MESSAGES = 20
"""Fewer durations than this can lie on teeth by chance."""

MIN_SHARE = 0.6
"""Share of all durations that a comb must hold: waiting for the tick is then the rule."""

LATE_NS = 2 * MILLISECOND
"""How late a sleep ends at least once in a while: scheduling, and the caller's way to run."""

LATE_SHARE = 0.02
"""The same, as a share of the period: a long wait is many sleeps, and their lateness adds up."""

MAX_LATE_SHARE = 0.15
"""Upper limit of a tooth above its multiple, as a share of the period.

A tooth is this and a third of it below the multiple: a fifth of the period at most, so that a
smooth distribution puts a fifth of the durations on teeth where a comb must put three fifths.
"""

EARLY_PART = 1 / 3
"""How far a tooth reaches below its multiple, as a part of how far it reaches above.

A sleep never ends early, but the measured wait may begin a little after the sleep.
"""

MAX_BELOW = 0.1
"""Durations in the gap just below the teeth, at most, as a part of those on the teeth.

This is what tells a comb, which has an edge on the left, from a narrow bell around a multiple.
"""

SINGLE_TOOTH_NS = 50 * MILLISECOND
"""Shortest period for which one tooth is enough: any short constant time is near *some* 1 ms."""

TOOTH_SHARE = 0.05
"""Share of all durations from which a multiple counts as a tooth of its own."""

EXPLAINS = 0.1
"""A longer period explains as much as a shorter one if it holds at most this share less."""


@dataclasses.dataclass(frozen=True)
class Comb:
    """Durations in steps of ``period_ns``; ``share`` (0 to 1) of them lie on its teeth."""

    period_ns: int
    share: float
    kind: Literal["poll", "sleep"]


def find_comb(durations_ns: NDArray[Any]) -> Comb | None:
    """The longest known period in whose steps most durations come, or None.

    ``durations_ns`` has one element a message, in ns, in any order. Pass the duration that begins
    where the suspected sleep begins: for the reply waiter that is the whole call, as ``wakeup``
    only begins when the reply has come.
    """
    durations = numpy.asarray(durations_ns, dtype=numpy.float64)
    if len(durations) < MIN_MESSAGES:
        return None
    combs = [comb for comb in (_comb(durations, period) for period in KINDS) if comb]
    best = max((comb.share for comb in combs), default=0.0)
    return next((comb for comb in combs if comb.share >= best - EXPLAINS), None)


def _comb(durations: NDArray[numpy.float64], period: int) -> Comb | None:
    late = min(max(LATE_NS, LATE_SHARE * period), MAX_LATE_SHARE * period)
    early = EARLY_PART * late
    width = early + late
    multiple, offset = numpy.divmod(durations + early, period)
    on_teeth = (multiple >= 1) & (offset < width)
    below = (multiple >= 0) & (offset >= period - width)
    share = float(on_teeth.mean())
    if share < MIN_SHARE or below.mean() > MAX_BELOW * share:
        return None
    if period < SINGLE_TOOTH_NS and _teeth(multiple[on_teeth], len(durations)) < 2:
        return None
    return Comb(period, share, KINDS[period])


def _teeth(multiples: NDArray[numpy.float64], messages: int) -> int:
    _, counts = numpy.unique(multiples, return_counts=True)
    return int((counts >= TOOTH_SHARE * messages).sum())
