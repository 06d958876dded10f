"""A comparison of the runs of an experiment, which says itself what is decided of them.

Where the number of rounds was not fixed before, intervals that take it to be so would call more
than they may: the call is then the experiment's, which holds whenever it stopped.
"""

import dataclasses
from collections.abc import Mapping

from omrig.compare import conclusion, metrics
from omrig.compare.comparison import Comparison
from omrig.compare.conclusion import Call
from omrig.compare.conclusion import Word as CallWord
from omrig.compare.gates import Ruling
from omrig.model.decision import Answer, Decision

NOTE = (
    "rounds went on until it was decided: the first line, and the gates, hold for that; the"
    " intervals of rows are those of a number of rounds that was fixed before"
)
"""What is to be known of the rows of such a comparison."""

DUET_NOTE = (
    "both ran at once and shared one core: rates, latencies and stages are those of half a core,"
    " and the broker's CPU is that of both"
)
"""What is to be known where the runs of a round were made at once."""


def by_rounds(comparison: Comparison, decision: Decision) -> Comparison:
    """A comparison of a number of rounds that was fixed, with what they say of the margin."""
    return dataclasses.replace(comparison, decision=decision)


def until_decided(
    comparison: Comparison, decision: Decision, rulings: Mapping[str, Ruling]
) -> Comparison:
    """A comparison whose call is the decision; ``rulings`` are those of its gates, by text."""
    is_different = decision.word == "different"
    # What explains a change is the same, however it was found, and exact counts need no rounds.
    counted = conclusion.counted(comparison.rows)
    rest = comparison.call.text.removeprefix(comparison.call.head)
    explained = rest if is_different else f"; {counted}" if counted else ""
    call = Call(
        word=_word(decision),
        significant=is_different,
        head=decision.text,
        text=f"{decision.text}{explained}",
    )
    return dataclasses.replace(
        comparison,
        call=call,
        explanation=comparison.explanation if is_different else None,
        decision=decision,
        is_sequential=True,
        rulings=tuple(rulings[each.gate.text] for each in comparison.rulings),
    )


def _word(decision: Decision) -> CallWord:
    """What a program reads of it."""
    if decision.word != "different":
        return "none"
    different = [each for each in decision.answers if each.word == "different"]
    if all(_is_of_resources(each) for each in different):
        return "resources"
    slower = {_is_worse(each) for each in different if not _is_of_resources(each)}
    return "mixed" if len(slower) > 1 else "slower" if slower == {True} else "faster"


def _is_of_resources(answer: Answer) -> bool:
    return answer.metric.partition(".")[0] in ("cpu", "memory", "memory_growth")


def _is_worse(answer: Answer) -> bool:
    metric = metrics.find(answer.metric)
    higher_is_better = metric is not None and metric.higher_is_better
    return (answer.ratio < 1) == higher_is_better
