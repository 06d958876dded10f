"""What the profilers cost: slices of the same load with and without them, compared in pairs.

Each figure is a ratio within a pair, with profilers over without; what is reported is the median
over the pairs and the quartiles. A pair of which a slice is incomplete does not count.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy

from omrig.accounting import slicing
from omrig.accounting.legs import Stages
from omrig.accounting.slicing import Slicing, TimedSlice
from omrig.accounting.statistics import summary
from omrig.accounting.timeline import Timeline
from omrig.model.columns import Integers
from omrig.model.latency import Latency
from omrig.model.overhead import LatencyPair, NotMeasured, Overhead, StageOverhead, Swap
from omrig.recordings.recording import Sides, SlicingPlan

SEEN_SHARE = 0.02
"""Stages are ranked that have this share of the time, with profilers or without."""

LEAD = 0.01
"""A stage is before another one when its share is larger by so much: less is a tie."""

CHANCE = 0.05
"""A change of order, or a slow-down, counts when so many of the pairs show it that chance would be
rarer than this: the sign test, every pair an even bet at most."""

RULE = (
    f"stages of {100 * SEEN_SHARE:g} % or more of the time, by share; two have changed places when"
    f" each leads the other by {100 * LEAD:g} % of the time or more in the median slice, one"
    " without and the other with the profilers, and so many pairs show the change that chance would"
    f" be below {100 * CHANCE:g} % (sign test)"
)
"""When the ranking of stages counts as changed."""


@dataclasses.dataclass(frozen=True)
class PairedSlice:
    """One slice of a pair, complete.

    ``rate`` is in msg/s, ``cpu_seconds`` a message (None: not known), ``stages`` the durations in
    ns by stage name, one a message (empty: not known).
    """

    pair: int
    profiled: bool
    rate: float
    cpu_seconds: float | None = None
    stages: Stages = dataclasses.field(default_factory=dict)


Pair = tuple[PairedSlice, PairedSlice]
"""The slice without and the slice with profilers."""


def measure(slices: Iterable[PairedSlice]) -> Overhead | None:
    """Throughput, CPU and stages with profilers over those without; None without a pair."""
    pairs = _pairs(slices)
    if not pairs:
        return None
    costs = [
        profiled.cpu_seconds / plain.cpu_seconds
        for plain, profiled in pairs
        if plain.cpu_seconds and profiled.cpu_seconds
    ]
    rates = [profiled.rate / plain.rate for plain, profiled in pairs]
    slower = sum(rate < 1 for rate in rates)
    measured = Overhead(
        throughput_ratio=_median(rates),
        throughput_quartiles=_quartiles(rates),
        slower=_chance(slower, len(rates)) < CHANCE,
        slower_pairs=slower,
        cpu_ratio=_median(costs) if costs else None,
        cpu_quartiles=_quartiles(costs) if costs else None,
        pairs=len(pairs),
        unprofiled_messages_per_second=_median([plain.rate for plain, _ in pairs]),
        profiled_messages_per_second=_median([profiled.rate for _, profiled in pairs]),
    )
    return _with_stages(measured, pairs)


def _pairs(slices: Iterable[PairedSlice]) -> list[Pair]:
    found: dict[int, dict[bool, PairedSlice]] = {}
    for each in slices:
        found.setdefault(each.pair, {})[each.profiled] = each
    return [(pair[False], pair[True]) for _, pair in sorted(found.items()) if len(pair) == 2]


def _with_stages(measured: Overhead, pairs: Sequence[Pair]) -> Overhead:
    staged = [
        pair for pair in pairs if all(each.stages and _messages(each.stages) for each in pair)
    ]
    if not staged:
        return measured
    swaps = _swaps(staged)
    return dataclasses.replace(
        measured,
        stages=tuple(_stage(name, staged) for name in staged[0][0].stages),
        # With fewer pairs the sign test says chance of anything.
        ranking_changed=bool(swaps) if _chance(len(staged), len(staged)) < CHANCE else None,
        swaps=swaps,
        ranking_rule=RULE,
    )


def _messages(stages: Stages) -> int:
    return len(next(iter(stages.values())))


def _stage(name: str, pairs: Sequence[Pair]) -> StageOverhead:
    """How much longer a stage takes; ratios are None where it took no time without profilers."""
    plain = numpy.concatenate([pair[0].stages[name] for pair in pairs])
    profiled = numpy.concatenate([pair[1].stages[name] for pair in pairs])
    means = _ratios([tuple(float(each.stages[name].mean()) for each in pair) for pair in pairs])
    medians = _ratios([tuple(_p50(each.stages[name]) for each in pair) for pair in pairs])
    return StageOverhead(
        name=name,
        mean_ratio=_median(means) if means else None,
        mean_quartiles=_quartiles(means) if means else None,
        p50_ratio=_median(medians) if medians else None,
        p50_quartiles=_quartiles(medians) if medians else None,
        unprofiled_mean_ns=int(plain.mean()),
        profiled_mean_ns=int(profiled.mean()),
        unprofiled_share=_median([_shares(pair[0])[name] for pair in pairs]),
        profiled_share=_median([_shares(pair[1])[name] for pair in pairs]),
    )


def _ratios(values: Iterable[tuple[float, ...]]) -> list[float]:
    return [profiled / plain for plain, profiled in values if plain > 0]


def _p50(values: Integers) -> float:
    return float(numpy.percentile(values, 50, method="inverted_cdf"))


def _shares(each: PairedSlice) -> dict[str, float]:
    totals = {name: float(values.sum()) for name, values in each.stages.items()}
    whole = sum(totals.values()) or 1.0
    return {name: total / whole for name, total in totals.items()}


def _swaps(pairs: Sequence[Pair]) -> tuple[Swap, ...]:
    """Stages that have changed places by :data:`RULE`, the largest change first."""
    shares = [[_shares(each) for each in pair] for pair in pairs]
    ranked = [
        name
        for name in pairs[0][0].stages
        if max(numpy.median([pair[side][name] for pair in shares]) for side in (0, 1)) >= SEEN_SHARE
    ]
    swaps: list[Swap] = []
    swings: list[float] = []
    for one, other in itertools.permutations(ranked, 2):
        plain, profiled = (
            numpy.array([pair[side][one] - pair[side][other] for pair in shares]) for side in (0, 1)
        )
        led, leads = float(numpy.median(plain)), float(-numpy.median(profiled))
        shown = int(((plain > 0) & (profiled < 0)).sum())
        if led >= LEAD and leads >= LEAD and _chance(shown, len(pairs)) < CHANCE:
            swaps.append(Swap(unprofiled=(one, other), profiled=(other, one), pairs=shown))
            swings.append(led + leads)
    order = sorted(range(len(swaps)), key=lambda number: -swings[number])
    return tuple(swaps[number] for number in order)


def _chance(shown: int, pairs: int) -> float:
    """How likely so many heads or more are in so many throws of a coin."""
    ways = sum(math.comb(pairs, number) for number in range(shown, pairs + 1))
    return float(ways / 2**pairs)


def describe(found: Overhead, who: str) -> str:
    """A measured overhead in words; ``who`` are the profilers as the subject of a sentence."""
    ratio, quartiles = found.throughput_ratio, found.throughput_quartiles
    pairs = f"{found.pairs} {'pair' if found.pairs == 1 else 'pairs'} of slices"
    what = "of its speed"
    if found.slower:
        did = "slowed the run to"
    elif quartiles[1] < 1:
        did, pairs = "seems to have slowed the run to", f"in {found.slower_pairs} of {pairs}"
    else:
        did, what = "did not slow the run beyond noise:", "of the speed without"
    lines = [
        f"{who} {did} {ratio:.2f} {what}{_bracket(quartiles)} ({pairs}):"
        f" {found.profiled_messages_per_second:,.0f} msg/s with,"
        f" {found.unprofiled_messages_per_second:,.0f} without"
    ]
    if found.cpu_ratio is not None and found.cpu_quartiles:
        lines.append(f"CPU a message x {found.cpu_ratio:.2f}{_bracket(found.cpu_quartiles)}")
    if found.stages:
        lines.append(_ranking(found))
    return "; ".join(lines)


def _bracket(quartiles: Sequence[float]) -> str:
    return f" [{quartiles[0]:.2f}, {quartiles[1]:.2f}]"


_SHOWN_SWAPS = 2


def _ranking(found: Overhead) -> str:
    if found.ranking_changed is None:
        return "too few pairs to tell whether the ranking of stages changed"
    if not found.ranking_changed:
        return "the ranking of stages did not change"
    swaps = [f"{swap.profiled[0]} before {swap.profiled[1]}" for swap in found.swaps or ()]
    more = len(swaps) - _SHOWN_SWAPS
    rest = f" and {more} more" if more > 0 else ""
    return f"the ranking of stages changed: {', '.join(swaps[:_SHOWN_SWAPS])}{rest}"


def _median(values: Sequence[float]) -> float:
    return round(float(numpy.median(values)), 4)


def _quartiles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in numpy.percentile(values, (25, 75)))


def of_modes(
    sides: Sides, found: Slicing | None, every: Timeline | None
) -> dict[str, Overhead | NotMeasured]:
    """The overhead of each profiler mode, or why it is not known."""
    plan = slicing.plan_of(sides) or SlicingPlan()
    compared = [mode for modes in plan.modes.values() for mode in modes]
    asked = [mode for side in sides.values() for mode in side.run.plan.profile]
    measured = _measured(sides, found, every) if found else None
    reason = slicing.why_not(sides) or "too little of the load was sent to compare slices of it"
    result: dict[str, Overhead | NotMeasured] = {}
    for mode in dict.fromkeys([*asked, *compared]):
        if mode == "none":
            continue
        if mode in compared:
            result[mode] = measured or _unknown(reason)
        else:
            result[mode] = _unknown(_why_not_compared(mode, sides))
    return result


def _unknown(reason: str) -> NotMeasured:
    return NotMeasured(reason=reason, text=f"not measured: {reason}")


def _why_not_compared(mode: str, sides: Sides) -> str:
    offers = [side.about.offer for side in sides.values()]
    if any(offer and mode in offer.lasting for offer in offers):
        return (
            f"{mode} cannot be stopped and started while the load runs: compare runs with and"
            " without it"
        )
    if not any(offer is None or mode in offer.all for offer in offers):
        cpu = _sampler_cpu(sides)
        return f"nothing of it runs in the measured processes; beside them it took {cpu}"
    plan = slicing.plan_of(sides)
    if plan and plan.slow_only:
        return f"with other modes it stays on in every slice; --profile {mode} --twin measures it"
    if any(offer and mode in offer.slow for offer in offers):
        return "the producer did not send its load in slices; its own result says why"
    if any(len(side.members) > 1 for side in sides.values()):
        return "--twin measures it, of one producer and one consumer"
    return "run with --twin to measure it"


def _sampler_cpu(sides: Sides) -> str:
    used = {
        each.folder.parent: each.run.sampling.cpu_seconds if each.run.sampling else None
        for side in sides.values()
        for each in side.members
    }
    known = [seconds for seconds in used.values() if seconds is not None]
    return f"{sum(known):.2f} s of CPU" if known else "CPU that was not counted"


def _measured(sides: Sides, found: Slicing, every: Timeline | None) -> Overhead | None:
    durations = _durations(found, every) if every and found.slow_only else None
    slices = [
        PairedSlice(
            pair=each.pair,
            profiled=each.profiled,
            rate=each.counted / each.lasted_s,
            cpu_seconds=_cpu_a_message(each, found),
            stages=durations(each) if durations else {},
        )
        for each in found.slices
        if each.pair is not None and each.complete
    ]
    measured = measure(slices)
    if measured is None:
        return None
    counted = {each.pair for each in slices if not each.profiled} & {
        each.pair for each in slices if each.profiled
    }
    return dataclasses.replace(
        measured,
        who=found.who,
        latency=_latencies(sides, [each for each in found.slices if each.pair in counted]),
        method=found.method,
        text=describe(measured, found.who),
    )


def _cpu_a_message(each: TimedSlice, found: Slicing) -> float | None:
    """CPU seconds a message of the sides of which it is known for all slices but the last."""
    sides = {side for other in found.slices for side in other.cpu_seconds}
    if not sides <= each.cpu_seconds.keys():
        return None
    return sum(each.cpu_seconds.values()) / (each.end - each.first)


def _durations(found: Slicing, every: Timeline) -> Callable[[TimedSlice], Stages]:
    number = slicing.rows(found, every.table)

    def of(each: TimedSlice) -> Stages:
        if number is None:
            return {}
        mine = number == found.slices.index(each)
        return {name: values[mine] for name, values in every.durations.items()}

    return of


def _latencies(sides: Sides, slices: Sequence[TimedSlice]) -> LatencyPair | None:
    producer = sides.get("producer")
    if producer is None:
        return None
    taken = producer.messages.end_ns - producer.messages.start_ns

    def of(profiled: bool) -> Latency | None:
        parts = [taken[each.first : each.end] for each in slices if each.profiled == profiled]
        return summary(numpy.concatenate(parts))

    return LatencyPair(unprofiled=of(False), profiled=of(True))
