"""How a decision is said."""

from collections.abc import Callable, Sequence

from omrig.compare import metrics
from omrig.compare.conclusion import signed_percent
from omrig.model.decision import Answer, Word

_UNKNOWN = 100.0
"""A ratio beyond which an interval says nothing."""


def of(
    word: Word, answers: Sequence[Answer], margin: float, rounds: int, looks: Sequence[int]
) -> str:
    """What an experiment decides, in one sentence."""
    if not answers:
        return "undecided: nothing was asked"
    seen = answers[0].rounds
    within = f"{100 * margin:g} %"
    if word == "different":
        different = [each for each in answers if each.word == "different"]
        told = ", ".join(_told(each, _interval) for each in different)
        inside = all(1 / (1 + margin) <= each.low and each.high <= 1 + margin for each in different)
        note = f"; that is less than the margin of {within}" if inside else ""
        return f"NEW is different: {told}{note}; decided after {_rounds(seen)}"
    if word == "same":
        told = ", ".join(_told(each, _narrow) for each in answers)
        return f"NEW is the same within {within}: {told}; decided after {_rounds(seen)}"
    if rounds < looks[0]:
        return f"undecided after {_rounds(rounds)}: {looks[0]} are the least that can decide"
    told = ", ".join(_told(each, _interval) for each in answers)
    return f"undecided after {_rounds(seen)}: {told}; {_outlook(answers, within, looks[-1])}"


def of_equivalence(word: Word, answers: Sequence[Answer], margin: float, rounds: int) -> str:
    """What a number of rounds that was fixed before says of the margin, in one sentence."""
    within = f"{100 * margin:g} %"
    told = ", ".join(_told(each, _narrow) for each in answers)
    if word == "same":
        return f"NEW is the same within {within}: {told}; {_rounds(rounds)}"
    if rounds < 2:
        return f"one round cannot show that NEW is the same within {within}"
    return f"not shown to be the same within {within}: {told}; {_rounds(rounds)}"


def _outlook(answers: Sequence[Answer], within: str, last: int) -> str:
    """How many rounds it would take."""
    differ = [each.needed_to_differ for each in answers if each.needed_to_differ]
    match = [each.needed_to_match or 0 for each in answers if each.word != "same"]
    parts = []
    if match and all(match):
        parts.append(f"about {_rounds(max(match))} to show that it is the same within {within}")
    if differ:
        parts.append(f"about {_rounds(min(differ))} to show that it differs")
    if not parts:
        return f"if it goes on like this, {_rounds(last)} do not decide it"
    return f"if it goes on like this, it takes {' or '.join(parts)}"


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds"


def _told(answer: Answer, interval: Callable[[Answer], str]) -> str:
    metric = metrics.find(answer.metric)
    label = metric.label if metric else answer.metric
    return f"{label} {signed_percent(answer.ratio)} ({interval(answer)})"


def _interval(answer: Answer) -> str:
    return _range(answer.low, answer.high)


def _narrow(answer: Answer) -> str:
    if answer.least is None or answer.most is None:
        return _interval(answer)
    return _range(answer.least, answer.most)


def _range(low: float, high: float) -> str:
    if high > _UNKNOWN or low < 1 / _UNKNOWN:
        return "as good as unknown"
    return f"{signed_percent(low)} to {signed_percent(high)}"
