"""Why a point of a sweep is recommended, in stages: what shrank up to it, and what grows beyond."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy

from omrig.compare import metrics, resample
from omrig.compare.conclusion import percent
from omrig.experiment import standing
from omrig.experiment.standing import Figures, Rule, is_as_good
from omrig.model import units
from omrig.model.sweep import Factor, Point, Sweep

Runs = Mapping[str, Figures]
"""By point: the figures of its runs, of the rounds that all points have."""

_LEAST = 0.01
"""The part of a message's time below which a change of a stage is not worth a word."""

_MANIFOLD = 2.0
"""A ratio from which it is easier to read than a percentage."""

_LEVEL = 0.05
"""How often any stage at all is believed to have moved where none did."""


@dataclasses.dataclass(frozen=True)
class Moved:
    """A stage whose mean is another at one point than at another, in ns.

    ``share`` is the part of a message's time that it takes at the latter (0 to 1).
    """

    stage: str
    before_ns: float
    after_ns: float
    share: float
    sure: bool


def text(sweep: Sweep, runs: Runs) -> str:
    """The recommendation and its reason, in a sentence."""
    if len(sweep.factors) > 1:
        told = _of_grid(sweep, runs)
    elif sweep.factors[0].is_numeric:
        told = _of_numbers(sweep, runs)
    else:
        told = _of_names(sweep, runs)
    return f"{told}{_undecided(sweep)}"


def notes(sweep: Sweep, runs: Runs, rule: Rule) -> Iterator[str]:
    """What else is to be known before one follows the recommendation, a sentence each."""
    if trade := _trade_off(sweep, runs, rule):
        yield trade
    yield f"this is of this load: {sweep.load}"
    for point in sweep.points:
        if point.failed is not None:
            yield f"{point.name} is left out: {point.failed}"


def briefly(sweep: Sweep) -> str:
    """What a sweep of one factor comes to, in a few words."""
    if all(is_as_good(point, 1 / (1 + sweep.margin)) for point in sweep.measured):
        return f"all levels are the same within {100 * sweep.margin:g} %"
    best = sweep.point(sweep.best).levels[0]
    if sweep.knee:
        return f"the knee is at {sweep.knee}, and the best is {best}"
    return f"the best is {best}"


def shares(runs: Figures) -> dict[str, float]:
    """The part of all stages that each takes, on average of the runs (0 to 1)."""
    if not runs or not all(each.get(metrics.END_TO_END) for each in runs):
        return {}
    return {
        name: float(numpy.mean([_stage(each, name) / each[metrics.END_TO_END] for each in runs]))
        for name in _stages(runs)
    }


def moved(before: Figures, after: Figures) -> list[Moved]:
    """How each stage moved from one point to another, the largest growth first."""
    names = _stages([*before, *after])
    pairs = [
        ([_stage(each, name) for each in before], [_stage(each, name) for each in after])
        for name in names
    ]
    estimates = [resample.of_pairs(*pair) for pair in pairs]
    sure = resample.discoveries([each.p if each else 1.0 for each in estimates], _LEVEL)
    taken = shares(after)
    found = [
        Moved(name, float(numpy.mean(one)), float(numpy.mean(other)), taken.get(name, 0.0), known)
        for name, (one, other), known in zip(names, pairs, sure, strict=True)
    ]
    return sorted(found, key=lambda each: each.before_ns - each.after_ns)


def _of_numbers(sweep: Sweep, runs: Runs) -> str:
    factor, chosen = sweep.factors[0], sweep.point(sweep.recommended)
    alive, floor = sweep.measured, 1 / (1 + sweep.margin)
    good = [point for point in alive if is_as_good(point, floor)]
    if len(good) == len(alive):
        return _no_difference(sweep, runs, f"{alive[0].levels[0]} to {alive[-1].levels[0]}")
    at, first, last = alive.index(chosen), alive[0], alive[-1]
    head = f"{factor.name}={chosen.levels[0]}"
    up = _up(sweep, runs, first, chosen)
    if chosen is last:
        gain = _change(sweep, runs, alive[at - 1], chosen)
        return (
            f"{head}, the largest level, is recommended: {_label(sweep)} still {gain} from"
            f" {alive[at - 1].levels[0]} to it, and {up}; measure larger ones, too"
        )
    worse = [point for point in alive[at:] if not is_as_good(point, floor)]
    beyond = f"beyond it nothing is gained (within {100 * sweep.margin:g} %)"
    if worse:
        at_worst = min(worse, key=lambda point: point.ratio.value if point.ratio else 0.0)
        beyond = (
            f"beyond it nothing is gained, and to {at_worst.levels[0]} {_label(sweep)}"
            f" {_change(sweep, runs, chosen, at_worst)}"
        )
    beyond += _grown(runs, chosen, last)
    if chosen is first:
        return f"{head}, the smallest level, is recommended: {beyond}"
    return f"{head} is recommended: {up}; {beyond}"


def _up(sweep: Sweep, runs: Runs, first: Point, chosen: Point) -> str:
    """What is gained from the smallest level to the chosen one, and where."""
    gain = f"from {first.levels[0]} to it {_label(sweep)} {_change(sweep, runs, first, chosen)}"
    shrunk = _first(reversed(moved(runs[first.name], runs[chosen.name])), shrinks=True)
    if shrunk is None:
        return gain
    return f"{gain} as {_told(shrunk)}, {_percentage(shrunk.share)} of a message's time"


def _grown(runs: Runs, before: Point, after: Point) -> str:
    if before is after:
        return ""
    grown = _first(moved(runs[before.name], runs[after.name]))
    return f"; up to {after.levels[0]} {_told(grown)}" if grown and grown.sure else ""


def _of_names(sweep: Sweep, runs: Runs) -> str:
    factor, chosen = sweep.factors[0], sweep.point(sweep.recommended)
    floor = 1 / (1 + sweep.margin)
    worse = [point for point in sweep.measured if not is_as_good(point, floor)]
    if not worse:
        return _no_difference(sweep, runs, ", ".join(point.levels[0] for point in sweep.measured))
    worst = min(worse, key=lambda point: point.ratio.value if point.ratio else 0.0)
    told = f"{factor.name}={chosen.levels[0]} is recommended: with {worst.levels[0]}"
    told += f" {_label(sweep)} {_change(sweep, runs, chosen, worst)}"
    grown = _first(moved(runs[chosen.name], runs[worst.name]))
    if grown:
        told += f" as {_told(grown)}, {_percentage(grown.share)} of a message's time"
    others = [
        point.levels[0]
        for point in sweep.measured
        if point is not chosen and is_as_good(point, floor)
    ]
    return f"{told}; the same as it: {', '.join(others)}" if others else told


def _of_grid(sweep: Sweep, runs: Runs) -> str:
    chosen = sweep.point(sweep.recommended)
    head = f"{_levels(sweep.factors, chosen)} is recommended:"
    if all(is_as_good(point, 1 / (1 + sweep.margin)) for point in sweep.measured):
        return f"{head} {_label(sweep)} is the same everywhere, within {100 * sweep.margin:g} %"
    worst = min(sweep.measured, key=lambda point: point.ratio.value if point.ratio else 1.0)
    is_best = chosen.name == sweep.best
    best = _levels(sweep.factors, sweep.point(sweep.best))
    why = (
        "it is the best" if is_best else f"{_label(sweep)} is the same as the best, that of {best}"
    )
    told = f"{head} {why}, and from {_levels(sweep.factors, worst)} to it"
    told += f" {_change(sweep, runs, worst, chosen)}"
    shrunk = _first(reversed(moved(runs[worst.name], runs[chosen.name])), shrinks=True)
    if shrunk:
        told += f" as {_told(shrunk)}, {_percentage(shrunk.share)} of a message's time"
    return told


def _no_difference(sweep: Sweep, runs: Runs, which: str) -> str:
    factor, chosen = sweep.factors[0], sweep.point(sweep.recommended)
    why = "the smallest level" if factor.is_numeric else "the best by a hair"
    if chosen.levels[0] == factor.default:
        why = "the default"
    told = (
        f"{factor.name} makes no difference to this load: {_label(sweep)} is the same within"
        f" {100 * sweep.margin:g} % with {which}; {chosen.levels[0]}, {why}, is recommended"
    )
    taken = shares(runs[chosen.name])
    if taken:
        largest = max(taken, key=lambda name: taken[name])
        told += (
            f", and the largest part of a message's time, {_percentage(taken[largest])}, is"
            f" `{largest}`"
        )
    return told


def _undecided(sweep: Sweep) -> str:
    open_ones = [point for point in sweep.points if point.standing == "undecided"]
    if not open_ones:
        return ""
    names = ", ".join(
        point.levels[0] if len(sweep.factors) == 1 else _levels(sweep.factors, point)
        for point in open_ones
    )
    best = sweep.point(sweep.best)
    against = best.levels[0] if len(sweep.factors) == 1 else _levels(sweep.factors, best)
    more = (
        f"about {sweep.needed} rounds in all would tell" if sweep.needed else "no end is in sight"
    )
    if sweep.rounds == 1:
        more = "one round tells nothing of chance"
    return f"; this is undecided: {names} against {against} ({more})"


def _trade_off(sweep: Sweep, runs: Runs, rule: Rule) -> str | None:
    """Whether what is as good as any by the metric has a tail that is surely longer."""
    if sweep.metric != "throughput":
        return None
    good = [
        point
        for point in sweep.measured
        if is_as_good(point, rule.floor) and all("p99" in each for each in runs[point.name])
    ]
    if len(good) < 2:
        return None
    tails = {point.name: standing.goodness(runs[point.name], "p99") for point in good}
    shortest = max(good, key=lambda point: float(tails[point.name].mean()))
    for name in dict.fromkeys((sweep.recommended, sweep.best)):
        if name == shortest.name or name not in tails:
            continue
        known = standing.ends(tails[name] - tails[shortest.name], rule.looks, len(sweep.measured))
        if known and standing.exp(known[1]) < rule.floor:
            one, other = (float(numpy.exp(-tails[each].mean())) for each in (name, shortest.name))
            return (
                f"who minds the tail takes {_levels(sweep.factors, shortest)}: its throughput is"
                f" the same within {100 * rule.margin:g} %, and its p99"
                f" {units.duration(other)}, where that of"
                f" {_levels(sweep.factors, sweep.point(name))} is {units.duration(one)}"
            )
    return None


def _first(found: "Sequence[Moved] | Iterator[Moved]", shrinks: bool = False) -> Moved | None:
    """The largest that is sure, else the largest; None where that is not worth a word."""
    sign = -1 if shrinks else 1
    worth = [
        each for each in found if sign * (each.after_ns - each.before_ns) > 0 and _matters(each)
    ]
    return next((each for each in worth if each.sure), worth[0] if worth else None)


def _matters(each: Moved) -> bool:
    whole = each.after_ns / each.share if each.share else each.before_ns
    return abs(each.after_ns - each.before_ns) >= _LEAST * whole


def _told(each: Moved) -> str:
    how = "grows" if each.after_ns > each.before_ns else "falls"
    before, after = (units.duration(value) for value in (each.before_ns, each.after_ns))
    unsure = "" if each.sure else " (not sure)"
    return f"`{each.stage}` {how} from {before} to {after}{unsure}"


def _label(sweep: Sweep) -> str:
    known = metrics.find(sweep.metric)
    return known.label if known else sweep.metric


def _change(sweep: Sweep, runs: Runs, before: Point, after: Point) -> str:
    """How the metric changes between two points, in words."""
    logs = [
        numpy.log([each[sweep.metric] for each in runs[point.name]]) for point in (before, after)
    ]
    known = resample.of_pairs(*logs)
    unsure = "" if known and known.p <= _LEVEL else " (not sure)"
    ratio = standing.exp(float(logs[1].mean() - logs[0].mean()))
    if ratio >= _MANIFOLD:
        return f"grows {ratio:.3g}-fold{unsure}"
    return f"{'grows' if ratio >= 1 else 'falls'} by {percent(ratio)}{unsure}"


def _levels(factors: Sequence[Factor], point: Point) -> str:
    both = zip(factors, point.levels, strict=True)
    return ", ".join(f"{factor.name}={level}" for factor, level in both)


def _percentage(share: float) -> str:
    return f"{100 * share:.1f} %"


def _stage(run: Mapping[str, float], name: str) -> float:
    """Its mean in ns; a stage that a run has not took no time there."""
    return run.get(f"stage.{name}", 0.0)


def _stages(runs: Figures) -> list[str]:
    names = dict.fromkeys(name for each in runs for name in each if name.startswith("stage."))
    return [name.removeprefix("stage.") for name in names if name.count(".") == 1]
