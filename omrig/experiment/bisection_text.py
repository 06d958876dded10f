"""How a search for the first bad one of versions is told."""

from collections.abc import Sequence

from omrig.compare import gates
from omrig.compare.conclusion import signed_percent
from omrig.experiment.bisection import bounds, most_steps
from omrig.model.bisection import Bisection, Candidate, Figure, Step
from omrig.model.decision import Decision

_MANY_TIMES = 3.0
"""A ratio from which people would rather have a factor than a percentage."""


_FEW = 8
"""Names that are listed; of more, the ends."""


def figure(each: Figure) -> str:
    """A metric that decides, of a candidate against the good one."""
    limit = gates.parse(each.gate)
    good, candidate = (gates.shown(limit, value) for value in (each.good, each.candidate))
    if each.ratio is None:
        return f"{each.metric} {good} to {candidate}"
    return f"{each.metric} {change(each.ratio)} ({good} to {candidate})"


def change(ratio: float) -> str:
    """A ratio as a percentage, and as a factor where it is a large one."""
    if ratio >= _MANY_TIMES:
        return f"x {ratio:,.3g}" if ratio < 1000 else f"x {ratio:,.0f}"
    if 0 < ratio <= 1 / _MANY_TIMES:
        return f"x 1/{1 / ratio:,.3g}" if ratio > 1e-3 else f"x 1/{1 / ratio:,.0f}"
    return signed_percent(ratio)


def progress(known: Bisection) -> str:
    """What the last step came to, and what is left."""
    step = known.steps[-1]
    found = bounds(known.words)
    told = "; ".join(map(figure, step.figures))
    why = step.reason or f"{told}, {count(step.rounds, 'round')}"
    left = len(found.between)
    if not left:
        return f"{step.candidate} is {word(step)}: {why}"
    steps = most_steps(left + 2)
    return (
        f"{step.candidate} is {word(step)}: {why}; between {known.candidates[found.last_good].name}"
        f" and {known.candidates[found.first_bad].name} there"
        f" {'is 1 candidate' if left == 1 else f'are {left} candidates'}, about"
        f" {count(steps, 'step')}"
    )


def word(step: Step) -> str:
    """What a candidate is, in a sentence."""
    return "not decided" if step.word == "undecided" else step.word


def answer(known: Bisection, first: Candidate, last: Candidate, between: Sequence[str]) -> str:
    """The first bad one in a sentence."""
    gate = " and ".join(known.asked.gates) or str(known.derived)
    back = " going back" if known.descending else ""
    if between:
        return (
            f"the first{back} that breaks {gate} is {first.title} or one of the {len(between)}"
            f" between it and {last.name}, the last that is known to keep it: {_listed(between)}"
        )
    came = f": what changed came with {last.name}" if known.descending else ""
    return (
        f"{first.title} is the first{back} that breaks {gate}, and {last.name} the last that keeps"
        f" it{came}"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _FEW else f"{names[0]} to {names[-1]}"


def unfinished(known: Bisection) -> str:
    """Why a search is not at its end."""
    return f"the time is over after {count(len(known.steps), 'step')}"


def alike(decision: Decision) -> str:
    """Why nothing follows from two ends without a gate."""
    told = decision.text.replace("NEW", "the bad one")
    if decision.word == "different":
        return f"nothing to bisect: not surely beyond the margin: {told}"
    return f"nothing to bisect: {told}"


def no_bad_end(step: Step) -> str:
    """Why the bad end is none."""
    told = "; ".join(map(figure, step.figures))
    if step.word == "undecided":
        return (
            f"nothing to bisect: whether {step.candidate}, the bad one, breaks the gate is not"
            f" decided after {count(step.rounds, 'round')}: {told}"
        )
    return f"nothing to bisect: {step.candidate}, the bad one, keeps the gate: {told}"


def no_good_end(known: Bisection, gate: gates.Gate) -> str:
    """Why the good end is none."""
    told = "; ".join(figure(each) for each in known.steps[-1].figures if each.gate == gate.text)
    return (
        f"nothing to bisect: {known.candidates[0].name}, the good one, breaks {gate.text} as well:"
        f" {told}"
    )


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
