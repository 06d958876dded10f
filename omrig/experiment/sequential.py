"""May it be said already? Decisions about two configurations while their rounds are being measured.

The sample is a round: the logarithm of the ratio of its two runs. One looks after a few fixed
numbers of rounds only, and each look has its own part of the 5 % for which one may be wrong: what
is said at any look, and so whenever one stops, is wrong in at most 5 % of experiments. A difference
is said where the interval of a metric excludes 1, with the level shared by the metrics; that they
are the same where each metric's two one-sided tests put it within the margin, which needs no
sharing, as all of them have to. doc/experiments.rst has the sources, and what a decision costs.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy

from omrig.compare import metrics as figures
from omrig.compare.gates import Gate, Outcome, Ruling, beyond
from omrig.compare.resample import student_quantile
from omrig.experiment import sentence
from omrig.model.columns import Floats
from omrig.model.decision import Answer as Answer
from omrig.model.decision import Decision as Decision
from omrig.model.decision import Word
from omrig.model.errors import UsageError

LOOKS = (4, 6, 9, 13, 19, 28, 40, 56, 80, 112, 160)
"""Rounds after which one looks: each half as many again as the one before."""

ALPHA = 0.05
"""How often "different" may be wrong, all looks and metrics together; and "the same", too."""

DEFAULT_MARGIN = 0.05
"""A change that does not matter, unless told."""

METRICS = ("throughput", "p50", "cpu")
"""What decides unless told."""

METRICS_OF_AN_OPEN_LOOP = ("p50", "p99", "cpu")
"""Likewise where the rate is given: the throughput is what was asked for."""

_CENTRE, _SCALE = 12, 0.9
"""Where most of :data:`ALPHA` is spent: about as many rounds as decide 5 % at the noise of a
machine that is not quiet; and how far around, in natural logarithms of rounds."""

_LARGEST = 500.0
"""The end of an interval of which nothing is known, as a logarithm: what JSON can still hold."""


def levels(looks: Sequence[int] = LOOKS) -> tuple[float, ...]:
    """The part of :data:`ALPHA` of each look: all together they are :data:`ALPHA`.

    A normal distribution over the logarithm of the rounds: early looks have little, as few rounds
    may deceive, and very late ones, as few experiments get there.
    """
    spent = [_normal((math.log(rounds) - math.log(_CENTRE)) / _SCALE) for rounds in looks]
    spent[-1] = 1.0
    return tuple(ALPHA * (now - before) for before, now in zip([0.0, *spent], spent, strict=False))


def limits(values: Floats, level: float) -> tuple[Floats, Floats]:
    """The ends of Student's interval of the mean over the last axis, of two values or more."""
    count = values.shape[-1]
    mean = values.mean(axis=-1)
    reach = student_quantile(count - 1, level) * values.std(axis=-1, ddof=1) / math.sqrt(count)
    return mean - reach, mean + reach


def judge(
    base: Sequence[Mapping[str, float]],
    new: Sequence[Mapping[str, float]],
    metrics: Sequence[str],
    margin: float,
    looks: Sequence[int] = LOOKS,
) -> Decision:
    """What may be said of NEW, with the figures of a run of each by round.

    Only rounds up to the last of ``looks`` that has been reached count. Raises ``UsageError`` where
    the runs have no figure of one of ``metrics``, or one of which there is no ratio.
    """
    rounds = min(len(base), len(new))
    logs = {name: log_ratios(name, base[:rounds], new[:rounds]) for name in metrics}
    answers = tuple(_answer(name, logs[name], len(logs), margin, looks) for name in metrics)
    words = {each.word for each in answers}
    word: Word = "undecided"
    if "different" in words:
        word = "different"
    elif words == {"same"}:
        word = "same"
    looked = max((look for look in looks if look <= rounds), default=rounds)
    text = sentence.of(word, answers, margin, rounds, looks)
    return Decision(word, answers, margin, looked, text)


def equivalence(
    base: Sequence[Mapping[str, float]],
    new: Sequence[Mapping[str, float]],
    metrics: Sequence[str],
    margin: float,
) -> Decision:
    """Whether NEW is the same within the margin, of a number of rounds that was fixed before.

    Two one-sided tests at :data:`ALPHA` each; it never says "different". Raises ``UsageError`` as
    :func:`judge` does.
    """
    rounds = min(len(base), len(new))
    answers = []
    for name in metrics:
        logs = log_ratios(name, base[:rounds], new[:rounds])
        found = _answer(name, logs, len(metrics), margin, (max(rounds, 2),))
        least, most = found.least or 0.0, found.most or 0.0
        is_same = is_within(least, most, margin)
        answers.append(dataclasses.replace(found, word="same" if is_same else "undecided"))
    word: Word = "same" if all(each.word == "same" for each in answers) else "undecided"
    text = sentence.of_equivalence(word, answers, margin, rounds)
    return Decision(word, tuple(answers), margin, rounds, text)


def hold(
    gate: Gate,
    base: Sequence[Mapping[str, float]],
    new: Sequence[Mapping[str, float]],
    looks: Sequence[int] = LOOKS,
    exact: Collection[str] = (),
) -> Outcome:
    """Whether NEW surely keeps a gate or surely does not: see :func:`rule`."""
    return rule(gate, base, new, looks, exact).outcome if base and new else "undecided"


def rule(
    gate: Gate,
    base: Sequence[Mapping[str, float]],
    new: Sequence[Mapping[str, float]],
    looks: Sequence[int] = LOOKS,
    exact: Collection[str] = (),
) -> Ruling:
    """What becomes of a gate, with the figures of a run of each by round, of one or more.

    Met and failed are each wrong in at most 5 % of experiments, whenever one stops; the interval is
    the one that decides. A count that all runs of a side have alike is decided by the first round
    where it is among the ``exact`` ones (:func:`omrig.compare.metrics.exact`), and by the second
    where that is not known. Raises ``UsageError`` where the runs have no figure of the metric.
    """
    rounds = min(len(base), len(new))
    ours, theirs = (_figures(gate.metric, side[:rounds], gate.text) for side in (base, new))
    if gate.metric == figures.ERRORS:
        failed = float(theirs.sum())
        return Ruling(gate, "failed" if beyond(gate, failed) else "met", failed, None, None)
    place = _last(looks, rounds)
    measured = _Measured.of(gate, ours, theirs)
    metric = figures.find(gate.metric)
    is_count = metric is not None and metric.unit in ("count", "number")
    is_alike = len({*theirs}) == len({*ours}) == 1
    if is_count and is_alike and (gate.metric in exact or rounds > 1):
        value = measured.value(float(measured.excess[0]))
        return Ruling(gate, "failed" if measured.excess[0] > 0 else "met", value, None, None)
    if place is None:
        return Ruling(gate, "undecided", measured.value(float(measured.excess.mean())), None, None)
    excess = measured.excess[: looks[place]]
    low, high = (float(end) for end in limits(excess, 2 * levels(looks)[place]))
    outcome: Outcome = "met" if high <= 0 else "failed" if low > 0 else "undecided"
    ends = sorted((measured.value(low), measured.value(high)))
    return Ruling(gate, outcome, measured.value(float(excess.mean())), *ends)


def log_ratios(
    name: str, base: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]
) -> Floats:
    """The logarithm of NEW's figure to BASE's, round by round.

    Raises ``UsageError`` where a run has no such figure, or one that is not above 0.
    """
    both = [_figures(name, side, name) for side in (base, new)]
    if any((side <= 0).any() for side in both):
        raise UsageError(f"--metric: {name} is 0 in some run, so it has no ratio; name another one")
    found: Floats = numpy.log(both[1]) - numpy.log(both[0])
    return found


def _figures(name: str, side: Sequence[Mapping[str, float]], what: str) -> Floats:
    try:
        return numpy.array([each[name] for each in side], numpy.float64)
    except KeyError:
        there = ", ".join(dict.fromkeys(figure for each in side for figure in each))
        option = "--metric" if what == name else "--gate"
        raise UsageError(f"{option}: {what!r}: a run has no {name}; it has {there}") from None


def _answer(name: str, logs: Floats, metrics: int, margin: float, looks: Sequence[int]) -> Answer:
    """What is known of one of so many ``metrics``."""
    place = _last(looks, len(logs))
    if place is None:
        ratio = math.exp(float(logs.mean())) if len(logs) else 1.0
        low, high = _exp(-_LARGEST), _exp(_LARGEST)
        return Answer(name, "undecided", ratio, low, high, len(logs), least=low, most=high)
    seen, level = logs[: looks[place]], levels(looks)[place]
    low, high = (float(end) for end in limits(seen, level / metrics))
    least, most = (float(end) for end in limits(seen, 2 * level))
    word: Word = "same" if is_within(_exp(least), _exp(most), margin) else "undecided"
    if low > 0 or high < 0:
        word = "different"
    differ = match = None
    if word == "undecided":
        differ, match = _needed(seen, metrics, margin, looks, place)
    return Answer(
        metric=name,
        word=word,
        ratio=_exp(float(seen.mean())),
        low=_exp(low),
        high=_exp(high),
        rounds=len(seen),
        needed=min((each for each in (differ, match) if each is not None), default=None),
        needed_to_differ=differ,
        needed_to_match=match,
        least=_exp(least),
        most=_exp(most),
    )


def is_within(low: float, high: float, margin: float) -> bool:
    """Whether ratios of ``low`` to ``high`` are changes of no more than the margin.

    As much up as down, so that it does not matter which of the two configurations is the base.
    """
    return low >= 1 / (1 + margin) and high <= 1 + margin


def _needed(
    seen: Floats, metrics: int, margin: float, looks: Sequence[int], place: int
) -> tuple[int | None, int | None]:
    """The look at which it would be called different, and the same, if it went on like this."""
    value, spread = abs(float(seen.mean())), float(seen.std(ddof=1))
    differ = match = None
    for look, level in list(zip(looks, levels(looks), strict=True))[place + 1 :]:
        error = spread / math.sqrt(look)
        if differ is None and value > student_quantile(look - 1, level / metrics) * error:
            differ = look
        reach = student_quantile(look - 1, 2 * level) * error
        if match is None and value + reach <= math.log(1 + margin):
            match = look
    return differ, match


@dataclasses.dataclass(frozen=True)
class _Measured:
    """By how much each round is beyond the limit of a gate: in logarithms where there are some."""

    excess: Floats
    value: Callable[[float], float]

    @classmethod
    def of(cls, gate: Gate, base: Floats, new: Floats) -> "_Measured":
        sign = 1 if gate.at_most else -1
        if gate.difference:
            return cls(sign * (new - base - gate.limit), lambda each: gate.limit + sign * each)
        reference = base if gate.relative else numpy.ones(len(new))
        limit = gate.limit * reference
        if (new > 0).all() and (limit > 0).all():
            excess = sign * (numpy.log(new) - numpy.log(limit))
            return cls(excess, lambda each: gate.limit * _exp(sign * each))
        scale = float(reference.mean()) or 1.0
        return cls(sign * (new - limit), lambda each: gate.limit + sign * each / scale)


def _last(looks: Sequence[int], rounds: int) -> int | None:
    """The place of the last look that has been reached; None before the first."""
    return max((place for place, look in enumerate(looks) if look <= rounds), default=None)


def _normal(value: float) -> float:
    return (1 + math.erf(value / math.sqrt(2))) / 2


def _exp(value: float) -> float:
    return math.exp(max(-_LARGEST, min(value, _LARGEST)))
