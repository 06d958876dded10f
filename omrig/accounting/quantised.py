"""Recognise durations that a polling sleep has quantised: a comb of teeth at its multiples.

A comb of several teeth is found at any period. One tooth alone, a constant time, is a comb only at
the periods known from messaging code and from TCP: anything takes a constant time now and then.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.accounting.timeline import Timeline
from omrig.model.columns import Floats
from omrig.model.facts import Comb, CombKind
from omrig.model.result import StageRow
from omrig.model.units import MS

KINDS: dict[int, CombKind] = {
    5_000 * MS: "poll",
    1_000 * MS: "poll",
    500 * MS: "sleep",
    300 * MS: "poll or sleep",
    250 * MS: "sleep",
    200 * MS: "poll or sleep",
    100 * MS: "poll or sleep",
    50 * MS: "poll",
    40 * MS: "delayed acknowledgement",
    MS: "poll",
}
"""The periods known from messaging code, in ns, longest first.

A ``poll`` is a wait with a timeout (the AMQP listener's doubles from 1 ms to 5 s), a ``sleep``
a plain sleep between two looks at a queue. After 40 ms Linux acknowledges what it need not answer
at once (TCP_DELACK_MIN); who waits for that before it sends more, as Nagle's algorithm does, waits
as long.
"""

TCP_PERIODS = (40 * MS, 200 * MS)
"""Periods of one tooth on a wire, where a constant time is otherwise the length of the way: Linux's
delayed acknowledgement and its shortest retransmission timeout."""

MIN_MESSAGES = 20
"""Fewer durations than this can lie on teeth by chance."""

MIN_SHARE = 0.55
"""Share of all durations that a comb must hold, beside those that lie on its teeth as they lie
everywhere: waiting for the tick is then the rule.

A little below the 60 % from which it is to be found: some end later than a tooth is wide.
"""

LATE_NS = 2 * MS
"""How late a sleep ends at least once in a while: scheduling, and the caller's way to run."""

LATE_SHARE = 0.02
"""The same, as a share of the period: a long wait is many sleeps, and their lateness adds up."""

MAX_LATE_SHARE = 0.15
"""Upper limit of a tooth above its multiple, as a share of the period.

A tooth is this and a third of it below the multiple: a fifth of the period at most, so that a
smooth distribution puts a fifth of the durations on teeth where a comb must put most of them.
"""

EARLY_PART = 1 / 3
"""How far a tooth reaches below its multiple, as a part of how far it reaches above.

A sleep never ends early, but the measured wait may begin a little after the sleep.
"""

MAX_BELOW = 0.1
"""Durations in the gap just below the teeth, at most, as a part of those on the teeth; beside what
lies there of the durations that are in no step.

This is what tells a comb, which has an edge on the left, from a narrow bell around a multiple.
"""

SINGLE_TOOTH_NS = 40 * MS
"""Shortest period for which one tooth is enough: any short constant time is near *some* 1 ms."""

TOOTH_SHARE = 0.05
"""Share of all durations from which a multiple counts as a tooth of its own."""

TEETH = 3
"""Teeth that a comb of any period must have: two clusters lie in steps of something anyway."""

WIDE_TEETH = 4
"""... and where they are as wide as they may be, as on a busy machine: three clusters lie within
such teeth of something one time in four."""

EVIDENCE = 25.0
"""How unlikely the durations on teeth must be by chance, as a natural logarithm, for a comb of any
period. With some 2,000 periods tried, and a smooth distribution that is no uniform one, less than
that happens."""

EXPLAINS = 0.1
"""A longer period explains as much as a shorter one if it holds at most this share less."""

SAME = 0.2
"""Periods that differ by less than this, as a tooth is wide, are tries at the same one: what lies
closest to its multiples is."""

ROUND = (500, 250, 100, 50, 25, 20, 10, 5, 2, 1)
"""What periods that people write are multiples of, in ms, the likelier first."""

FITS = 0.02
"""A rounder period fits as well as one close by if it holds at most this share less."""

FARTHER = 2
"""... and if the durations lie at most so many times as far from its multiples. Those of a known
period may lie anywhere on its teeth: it is known for what it is."""

LOOKED_AT = 1_000
"""Durations, evenly chosen, by which periods are looked for; what is found holds for all."""


_COMPUTING = ("driver", "serialization", "endpoint")
"""Buckets of stages that are not looked at: who computes for a whole number of milliseconds does
not sleep."""

_LOOKED_AT_SHARE = 0.1
"""Only stages that matter are looked at for steps."""


def of_stages(rows: Sequence[StageRow], timeline: Timeline) -> dict[str, Comb]:
    """Stages whose durations come in steps.

    A wake-up from a sleeping poll makes the whole call come in steps: the poll began when the
    message was sent.
    """
    combs = {}
    for row in rows:
        if row.share < _LOOKED_AT_SHARE or row.bucket in _COMPUTING:
            continue
        # A way that takes a constant time is long, and no poll.
        single = TCP_PERIODS if row.bucket == "amqp" else tuple(KINDS)
        found = find_comb(timeline.durations[row.name], single)
        if row.name == "wakeup" and timeline.producer and not found:
            found = find_comb(timeline.producer["woke"] - timeline.producer["wait"])
        if found:
            combs[row.name] = found
    return combs


def find_comb(durations_ns: NDArray[Any], single: Collection[int] = tuple(KINDS)) -> Comb | None:
    """The longest period in whose steps most durations come, or None.

    ``durations_ns`` has one element a message, in ns, in any order. Pass the duration that begins
    where the suspected sleep begins: for the reply waiter that is the whole call, as ``wakeup``
    only begins when the reply has come. ``single`` are the known periods of which one tooth is
    enough.
    """
    durations = numpy.asarray(durations_ns, dtype=numpy.float64)
    if len(durations) < MIN_MESSAGES:
        return None
    some = durations[:: -(-len(durations) // LOOKED_AT)]
    found = [teeth for period in KINDS if (teeth := _known(some, period, single))]
    found += [teeth for period in _promising(some) if (teeth := _unknown(some, period))]
    if not found:
        return None
    best = max(teeth.held for teeth in found)
    enough = [teeth for teeth in found if teeth.held >= best - EXPLAINS]
    chosen = _roundest(some, enough)
    whole = _Teeth.of(durations, chosen.period, chosen.late)
    return Comb(chosen.period, whole.share, KINDS.get(chosen.period, "poll or sleep"))


def _roundest(durations: Floats, found: Sequence["_Teeth"]) -> "_Teeth":
    """Of the longest period's neighbours the one that people would have written, if it fits."""
    longest = max(teeth.period for teeth in found)
    near = [teeth for teeth in found if teeth.period >= (1 - SAME) * longest]
    closest = min(near, key=lambda teeth: _distance(durations, teeth.period))
    reach = max(LATE_NS, LATE_SHARE * closest.period)
    allowed = FARTHER * _distance(durations, closest.period)
    fitting = [
        teeth
        for teeth in near
        if abs(teeth.period - closest.period) <= reach
        and teeth.held >= closest.held - FITS
        and (teeth.period in KINDS or _distance(durations, teeth.period) <= allowed)
    ]
    return max(fitting, key=lambda teeth: (_roundness(teeth.period), -teeth.late))


def _roundness(period: int) -> tuple[bool, int]:
    milliseconds = period // MS
    return period in KINDS, max(each for each in ROUND if milliseconds % each == 0)


def _distance(durations: Floats, period: int) -> float:
    """How far durations lie from the multiples they belong to; too early counts more than late."""
    multiple = numpy.maximum(1, numpy.round(durations / period))
    late = durations - multiple * period
    return float(numpy.median(numpy.where(late < 0, -late / EARLY_PART, late)))


def _known(durations: Floats, period: int, single: Collection[int]) -> "_Teeth | None":
    found = _Teeth.of(durations, period, _tight(period))
    needed = 1 if period in single and period >= SINGLE_TOOTH_NS else 2
    return found if found.edged and found.count >= needed else None


def _unknown(durations: Floats, period: int) -> "_Teeth | None":
    for late, teeth in ((_tight(period), TEETH), (MAX_LATE_SHARE * period, WIDE_TEETH)):
        found = _Teeth.of(durations, period, late)
        if found.edged and found.count >= teeth and found.evidence >= EVIDENCE:
            return found
    return None


def _tight(period: float) -> float:
    return min(max(LATE_NS, LATE_SHARE * period), MAX_LATE_SHARE * period)


def _promising(durations: Floats) -> list[int]:
    """Periods of whole milliseconds, from a second on of ten, whose widest teeth hold enough."""
    longest = float(durations.max(initial=0.0))
    tried = numpy.concatenate([numpy.arange(2, 1_000), numpy.arange(1_000, 20_001, 10)])
    # A comb of three teeth.
    tried = tried[tried * MS * (TEETH - EARLY_PART) <= longest] * MS
    phases = durations[:, None] / tried + EARLY_PART * MAX_LATE_SHARE
    on_teeth = (phases >= 1) & (phases % 1 < (1 + EARLY_PART) * MAX_LATE_SHARE)
    return [int(period) for period in tried[on_teeth.mean(axis=0) >= MIN_SHARE]]


@dataclasses.dataclass(frozen=True)
class _Teeth:
    """How durations lie to the multiples of a period.

    ``share`` of them are on teeth, ``below`` just below; a tooth has ``width``, a share of the
    period. ``count`` teeth hold enough to be some.
    """

    period: int
    late: float
    share: float
    below: float
    width: float
    messages: int
    count: int

    @classmethod
    def of(cls, durations: Floats, period: int, late: float) -> "_Teeth":
        early = EARLY_PART * late
        width = early + late
        multiple, offset = numpy.divmod(durations + early, period)
        on_teeth = (multiple >= 1) & (offset < width)
        below = (multiple >= 0) & (offset >= period - width)
        _, counts = numpy.unique(multiple[on_teeth], return_counts=True)
        return cls(
            period=period,
            late=late,
            share=float(on_teeth.mean()),
            below=float(below.mean()),
            width=width / period,
            messages=len(durations),
            count=int((counts >= TOOTH_SHARE * len(durations)).sum()),
        )

    @property
    def held(self) -> float:
        """Share of the durations on teeth, less those that are there as they are everywhere."""
        return (self.share - self.width) / (1 - self.width)

    @property
    def edged(self) -> bool:
        """Whether most lie on teeth, and few more just below than everywhere else."""
        if self.held < MIN_SHARE:
            return False
        elsewhere = (1 - self.share) * self.width / (1 - self.width)
        noise = 2 * (elsewhere / self.messages) ** 0.5
        return bool(self.below <= MAX_BELOW * self.share + elsewhere + noise)

    @property
    def evidence(self) -> float:
        """How unlikely so many on teeth are by chance (Chernoff's bound), as a logarithm."""
        share, chance = min(self.share, 1 - 1e-9), self.width
        divergence = share * numpy.log(share / chance)
        divergence += (1 - share) * numpy.log((1 - share) / (1 - chance))
        return float(self.messages * divergence)
