"""Which functions a change is in: what each took of a message itself, in BASE and in NEW.

Runs differ in speed, and so do whole machines: what all functions alike took longer or shorter is
taken out of each run first, by a median over functions, which one function that really changed does
not move. doc/movers.rst says what is tested, and how.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy

from omrig.compare import resample
from omrig.compare.functions_seen import MODES, NOTHING, Cost, Name, Seen, seen
from omrig.compare.resample import Estimate
from omrig.compare.runs import StoredRun
from omrig.compare.table import FAMILY_LEVEL, Design, Only
from omrig.model.columns import Floats

LEAST_SHARE = 0.002
"""A function with less than this share of its side's time, on average of both, is not tested."""

LEAST_CHANGE = 0.002
"""A change of less than this share of its side's time is none that one looks for."""

_CALLED = math.log(1.02)
"""Calls that differ by less than this are the same."""

_SAME_A_CALL = 0.5
"""A call takes as long as before where its time explains less than a half of what the calls do."""

_NORMAL_95 = 1.959964
_MAD_TO_SIGMA = 1.4826


@dataclasses.dataclass(frozen=True)
class Change:
    """What a function took of a message itself, in BASE and in NEW, each at a speed common to all.

    ``difference`` is None where too little is known. ``sure`` is whether it changed beyond chance,
    among all functions that were tested. ``calls`` of it in BASE and NEW are a message's, None
    where they were not counted. ``added_ns`` is how much of the difference is the profiler's own
    for more calls, or fewer; None where that is not known. ``stages_ns`` are the differences by
    stage (``""``: in none).
    """

    mode: str
    side: str
    module: str
    name: str
    file: str
    line: int
    base_ns: float
    new_ns: float
    difference: Estimate | None
    sure: bool
    only: Only | None
    calls: tuple[float, float] | None
    added_ns: float | None
    stages_ns: Mapping[str, float]

    @property
    def change_ns(self) -> float:
        """NEW less BASE."""
        return self.new_ns - self.base_ns

    @property
    def is_by_calls(self) -> bool:
        """Whether a call took about as long as before, and it is the calls that are more or fewer.

        The change is then one of who calls it: of a loop that waits more often, for example.
        """
        if not self.calls or self.only or min(*self.calls, self.base_ns, self.new_ns) <= 0:
            return False
        called, took = self.calls[1] / self.calls[0], self.new_ns / self.base_ns
        return (
            abs(math.log(called)) >= _CALLED
            and abs(math.log(took / called)) <= abs(math.log(called)) * _SAME_A_CALL
        )


@dataclasses.dataclass(frozen=True)
class Profiled:
    """A side as a mode saw it in both: the functions with their changes, the largest first.

    ``tested`` of them were tested. ``base_ns`` and ``new_ns`` are all functions' of a message,
    ``speed`` is what all functions alike took in NEW over BASE. ``slowed`` is how many times the
    CPU a message takes under the mode, None where that was not measured. ``runs_ns`` are all
    functions' of a message run by run, of BASE and of NEW, each at the speed common to all.
    """

    mode: str
    side: str
    clock: str
    sampled: bool
    design: Design
    tested: int
    base_ns: float
    new_ns: float
    speed: Estimate | None
    slowed: float | None
    runs_ns: tuple[tuple[float, ...], tuple[float, ...]]
    changes: tuple[Change, ...]

    @property
    def sure(self) -> list[Change]:
        """The functions that changed beyond chance."""
        return [each for each in self.changes if each.sure]

    def stage_ns(self, stage: str) -> float:
        """How much longer all functions together took in a stage."""
        return sum(each.stages_ns.get(stage, 0.0) for each in self.changes)


def compare(
    base: Sequence[StoredRun], new: Sequence[StoredRun], design: Design
) -> tuple[Profiled, ...]:
    """The functions of every side and mode that all runs have.

    Raises ``ValueError`` for a file that is not as it should be.
    """
    sides = [side for side in base[0].run.sides if side in new[0].run.sides]
    found = []
    for mode in MODES:
        of_mode = []
        for side in sides:
            ours = [seen(each, side, mode) for each in base]
            theirs = [seen(each, side, mode) for each in new]
            known = [each for each in (*ours, *theirs) if each]
            if len(known) == len(ours) + len(theirs) and len({each.clock for each in known}) == 1:
                split = len(ours)
                of_mode.append(profiled(mode, side, known[:split], known[split:], design))
        found += judged(of_mode)
    return tuple(found)


def profiled(
    mode: str, side: str, base: Sequence[Seen], new: Sequence[Seen], design: Design
) -> Profiled:
    """The functions of one side; none is judged yet."""
    runs = [*base, *new]
    names = sorted({name for run in runs for name in run.functions})
    costs = [[run.functions.get(name, NOTHING) for run in runs] for name in names]
    own = numpy.array([[each.own_ns for each in row] for row in costs], float)
    own = own.reshape(len(names), len(runs))
    factors = speeds(own)
    scaled = own / factors
    split = len(base)
    totals = scaled.sum(axis=0)
    whole = float(totals.mean())
    averages = (scaled[:, :split].mean(axis=1) + scaled[:, split:].mean(axis=1)) / 2
    spread = _dispersion(costs, scaled, split) if design.kind == "slices" else 1.0
    call_ns = _call_ns(runs, factors)
    changes = []
    for number, name in enumerate(names):
        row, values = costs[number], scaled[number]
        difference = None
        if averages[number] >= LEAST_SHARE * whole:
            difference = _difference(values, row, split, design, spread)
        changes.append(_change(mode, side, name, row, values, factors, split, difference, call_ns))
    changes.sort(key=lambda each: (-abs(each.change_ns), each.module, each.name))
    logs = numpy.log(factors)
    ratio = _estimate(logs[:split], logs[split:], design)
    return Profiled(
        mode=mode,
        side=side,
        clock=runs[0].clock,
        sampled=runs[0].sampled,
        design=design,
        tested=sum(each.difference is not None for each in changes),
        base_ns=float(numpy.mean([run.whole_ns for run in base])),
        new_ns=float(numpy.mean([run.whole_ns for run in new])),
        speed=_exponential(ratio) if ratio else None,
        slowed=_median([run.slowed for run in runs]),
        runs_ns=(tuple(map(float, totals[:split])), tuple(map(float, totals[split:]))),
        changes=tuple(changes),
    )


def judged(found: Iterable[Profiled]) -> list[Profiled]:
    """What is sure among all functions of all sides of a mode."""
    found = list(found)
    tested = [
        (at, number, each.difference.p)
        for at, profile in enumerate(found)
        for number, each in enumerate(profile.changes)
        if each.difference
    ]
    believed = resample.discoveries([p for _, _, p in tested], FAMILY_LEVEL)
    made = [list(profile.changes) for profile in found]
    for (at, number, _), sure in zip(tested, believed, strict=True):
        each = made[at][number]
        whole = (found[at].base_ns + found[at].new_ns) / 2
        large = abs(each.change_ns) >= LEAST_CHANGE * whole
        clear = each.difference is not None and each.difference.clear
        made[at][number] = dataclasses.replace(each, sure=sure and large and clear)
    return [
        dataclasses.replace(profile, changes=tuple(changes))
        for profile, changes in zip(found, made, strict=True)
    ]


def speeds(own: Floats) -> Floats:
    """How long all functions alike took in each run (a column) beside the mean of the runs.

    The median over functions of what each took over its own mean, each by its weight.
    """
    common = own[(own > 0).all(axis=1)]
    if not len(common):
        return numpy.ones(own.shape[1])
    means = numpy.exp(numpy.log(common).mean(axis=1))
    ratios = common / means[:, None]
    found = numpy.array([_weighted_median(column, means) for column in ratios.T])
    centred: Floats = found / numpy.exp(numpy.log(found).mean())
    return centred


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = numpy.argsort(values)
    reached = numpy.cumsum(weights[order])
    return float(values[order][numpy.searchsorted(reached, reached[-1] / 2)])


def _difference(
    values: Floats, row: Sequence[Cost], split: int, design: Design, spread: float
) -> Estimate | None:
    """NEW less BASE of a function; of samples never surer than so many of them can be.

    How sure it is of the ratio where there is one: what disturbs a run multiplies.
    """
    found = _estimate(values[:split], values[split:], design)
    if found and (values > 0).all():
        logs = numpy.log(values)
        ratio = _estimate(logs[:split], logs[split:], design)
        found = dataclasses.replace(found, p=ratio.p if ratio else found.p)
    counted = numpy.array([each.counted for each in row], float)
    if not counted.any():
        return found
    error = math.sqrt(spread) * _sampling_error(counted, values, split)
    value = float(values[split:].mean() - values[:split].mean())
    reach, p = _NORMAL_95 * error, math.erfc(abs(value) / error / math.sqrt(2))
    if found:
        reach, p = max(reach, found.high - found.value), max(p, found.p)
    return Estimate(value, value - reach, value + reach, p)


def _sampling_error(counted: Floats, values: Floats, split: int) -> float:
    """The standard error of the difference that comes from counting samples alone.

    A run without any sample might have had one.
    """
    seen_ns, samples = values.sum(), counted.sum()
    each_ns = seen_ns / samples
    variances = (numpy.maximum(counted, 1.0)) * each_ns**2
    base, new = variances[:split], variances[split:]
    return float(math.sqrt(base.sum() / len(base) ** 2 + new.sum() / len(new) ** 2))


def _dispersion(costs: Sequence[Sequence[Cost]], values: Floats, split: int) -> float:
    """How many times more than by counting alone the functions of two runs of samples vary."""
    scores = []
    for row, own in zip(costs, values, strict=True):
        counted = numpy.array([each.counted for each in row], float)
        if counted.sum() >= _ENOUGH_SAMPLES:
            error = _sampling_error(counted, own, split)
            scores.append(float(own[split:].mean() - own[:split].mean()) / error)
    if len(scores) < _ENOUGH_FUNCTIONS:
        return 1.0
    sigma = _MAD_TO_SIGMA * float(numpy.median(numpy.abs(scores)))
    return max(1.0, sigma**2)


_ENOUGH_SAMPLES = 10
_ENOUGH_FUNCTIONS = 5


def _estimate(base: Floats, new: Floats, design: Design) -> Estimate | None:
    if design.kind == "pairs":
        return resample.of_pairs(base, new)
    return resample.of_sets(base, new)


def _exponential(logs: Estimate) -> Estimate:
    return Estimate(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high), logs.p)


def _change(
    mode: str,
    side: str,
    name: Name,
    row: Sequence[Cost],
    values: Floats,
    factors: Floats,
    split: int,
    difference: Estimate | None,
    call_ns: float | None,
) -> Change:
    known = [each for each in reversed(row) if each.file]
    calls = _means([each.calls for each in row], split)
    made = _means([each.made for each in row], split)
    added = None
    if call_ns is not None and calls and made:
        # A call is timed in part as the caller's, in part as that of what is called.
        added = call_ns * (calls[1] - calls[0] + made[1] - made[0]) / 2
    return Change(
        mode=mode,
        side=side,
        module=name[0],
        name=name[1],
        file=known[0].file if known else "",
        line=known[0].line if known else 0,
        base_ns=float(values[:split].mean()),
        new_ns=float(values[split:].mean()),
        difference=difference,
        sure=False,
        only=_only(row, split),
        calls=calls,
        added_ns=added,
        stages_ns=_by_stage(row, factors, split),
    )


def _means(values: Sequence[float | None], split: int) -> tuple[float, float] | None:
    """Of BASE and of NEW; a run that has not called a function has no count of it."""
    if all(each is None for each in values):
        return None
    counted = [each or 0.0 for each in values]
    return float(numpy.mean(counted[:split])), float(numpy.mean(counted[split:]))


def _only(row: Sequence[Cost], split: int) -> Only | None:
    """The side that alone has the function, where every call is counted: samples may miss it."""
    if all(each.calls is None for each in row):
        return None
    base, new = ([each.calls for each in side] for side in (row[:split], row[split:]))
    if not any(base) and all(new):
        return "NEW"
    return "BASE" if not any(new) and all(base) else None


def _by_stage(row: Sequence[Cost], factors: Floats, split: int) -> dict[str, float]:
    names = sorted({name for each in row for name in each.stages_ns})
    found = {}
    for name in names:
        values = numpy.array([each.stages_ns.get(name, 0.0) for each in row]) / factors
        found[name] = float(values[split:].mean() - values[:split].mean())
    return found


def _call_ns(runs: Sequence[Seen], factors: Floats) -> float | None:
    """What the profiler adds to a call, on average of all calls; None where that is not known."""
    found = []
    for run, factor in zip(runs, factors, strict=True):
        made = sum(each.made or 0.0 for each in run.functions.values())
        if run.slowed is None or run.slowed <= 1 or not made:
            return None
        found.append(run.whole_ns / factor * (1 - 1 / run.slowed) / made)
    return float(numpy.mean(found))


def _median(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return float(numpy.median(known)) if known else None
