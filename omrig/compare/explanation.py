"""Which stage explains most of a change: where the cause is, and where its time shows.

In a closed loop they are seldom one stage: what a message computes longer, all the others wait
for. doc/compare.rst says why the rule is as it is.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from omrig.compare import metrics
from omrig.compare.resample import Estimate
from omrig.compare.table import Row, by_name
from omrig.model import units

COMPUTING = ("driver", "serialization", "endpoint")
"""Buckets of stages in which our process works on the message and waits for nobody."""

MOST = 0.5
"""The part of a change that a stage must make up to explain most of it."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What a stage has to do with the change.

    ``difference_ns`` is by its ``statistic`` (``mean`` or ``p50``), with the interval. ``share`` is
    the part of the change of all stages that its mean makes up, None where that is not sure.
    """

    stage: str
    statistic: str
    difference_ns: float
    low_ns: float
    high_ns: float
    share: float | None


@dataclasses.dataclass(frozen=True)
class Explanation:
    """``cause`` is the stage to look at, ``shows_in`` the one that took most of the time.

    They may be the same. ``waiting`` is how many workers wait for what the cause takes, where it
    explains the change only by that; else None. ``end_to_end_ns`` is the change of all stages
    together, or None where that is not sure.
    """

    cause: Part
    shows_in: Part | None
    waiting: int | None
    end_to_end_ns: float | None
    text: str


def explain(
    rows: Sequence[Row], buckets: Mapping[str, str], workers: int, sign: int
) -> Explanation | None:
    """The explanation of a change; None where no stage changed significantly.

    ``buckets`` are by stage. ``sign`` is +1 where messages take longer, -1 where they take less,
    0 where it is not known; a stage that changed the other way explains nothing.
    """
    named = by_name(rows)
    end_to_end = named.get(metrics.END_TO_END)
    whole = end_to_end.difference if end_to_end else None
    whole_ns = whole.value if whole and whole.clear else None
    most_ns = MOST * abs(whole_ns) if whole_ns and sign else math.inf
    sign = sign or (0 if whole_ns is None else 1 if whole_ns > 0 else -1)
    changed = [
        row
        for row in rows
        if row.metric.stage and (_changed(row) or _makes_up(row, most_ns)) and _fits(row, sign)
    ]
    if not changed:
        return None
    shows = _largest([row for row in changed if row.metric.statistic == "mean"])
    shows_in = _part(shows, named, whole_ns) if shows else None
    candidate = _candidate(changed, buckets)
    if candidate:
        part = _part(candidate, named, whole_ns)
        own = _own_ns(part, named)
        if whole_ns is None or workers * own >= MOST * abs(whole_ns):
            alone = whole_ns is None or own >= MOST * abs(whole_ns)
            return _told(part, shows_in, None if alone else workers, whole_ns)
    part = shows_in or _part(_surest(changed), named, whole_ns)
    return _told(part, shows_in, None, whole_ns)


def _changed(row: Row) -> bool:
    """Significantly; a stage that only one side has is not tested, and did."""
    if row.only:
        own = row.metric.statistic in ("mean", "p50")
        return own and row.difference is not None and row.difference.clear
    return bool(row.significant)


def _makes_up(row: Row, least_ns: float) -> bool:
    """Whether a stage surely changed, and by so much, of messages that surely did.

    A stage that all but vanished has a ratio that is anything near 0, and no test of it is sure.
    """
    of = row.difference
    return row.metric.statistic == "mean" and bool(of and of.clear and abs(of.value) >= least_ns)


def _fits(row: Row, sign: int) -> bool:
    return row.difference is not None and row.difference.value * (sign or row.change) > 0


def _candidate(changed: Sequence[Row], buckets: Mapping[str, str]) -> Row | None:
    """The computing stage that surely changed most: by its median, as waiting is in the tail."""
    computing = [row for row in changed if buckets.get(str(row.metric.stage)) in COMPUTING]
    medians = [row for row in computing if row.metric.statistic == "p50"]
    chosen = medians or computing
    return _surest(chosen) if chosen else None


def _surest(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: _sure_ns(row.difference))


def _sure_ns(difference: Estimate | None) -> float:
    """The least change that the interval allows."""
    return max(difference.low, -difference.high, 0.0) if difference else 0.0


def _largest(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: abs(_difference(row).value), default=None)


def _difference(row: Row) -> Estimate:
    return row.difference or Estimate(row.change, row.change, row.change, 1.0)


def _part(row: Row, named: Mapping[str, Row], whole_ns: float | None) -> Part:
    stage, difference = str(row.metric.stage), _difference(row)
    mean = _difference(named[f"stage.{stage}"]).value
    return Part(
        stage,
        str(row.metric.statistic),
        difference.value,
        difference.low,
        difference.high,
        mean / whole_ns if whole_ns else None,
    )


def _own_ns(part: Part, named: Mapping[str, Row]) -> float:
    """How much longer or shorter the stage itself is, by its mean or by its median."""
    mean = _difference(named[f"stage.{part.stage}"]).value
    return max(abs(part.difference_ns), abs(mean))


def _told(
    cause: Part, shows_in: Part | None, waiting: int | None, whole_ns: float | None
) -> Explanation:
    told = _text(cause, shows_in, waiting, whole_ns)
    return Explanation(cause, shows_in, waiting, whole_ns, told)


def _text(cause: Part, shows_in: Part | None, waiting: int | None, whole_ns: float | None) -> str:
    stage, own = f"`{cause.stage}`", signed(cause.difference_ns)
    if whole_ns is None:
        how = "longer" if cause.difference_ns > 0 else "shorter"
        took = units.duration(abs(cause.difference_ns))
        return f"`{cause.stage}` takes {took} {how} a message ({cause.statistic})"
    if waiting:
        where = ""
        if shows_in and shows_in.stage != cause.stage:
            where = (
                f"; the time shows above all in `{shows_in.stage}`:"
                f" {signed(shows_in.difference_ns)} of {signed(whole_ns)}"
            )
        return (
            f"the cause to look at is {stage}: {own} a message ({cause.statistic}), for which all"
            f" {waiting} workers of the closed loop wait{where}"
        )
    share = cause.share or 0.0
    part_ns = share * whole_ns
    how = "explains most of it" if share >= MOST else "is the largest part of it"
    return f"{stage} {how}: {signed(part_ns)} of {signed(whole_ns)} a message"


def signed(nanoseconds: float) -> str:
    """A change of a duration, with its sign."""
    return f"{'-' if nanoseconds < 0 else '+'}{units.duration(abs(nanoseconds))}"
