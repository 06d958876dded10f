"""When the messages of an open loop are to be sent: made before the load, and dealt out to whoever
sends them.

A schedule is one or more steps of a constant rate. What is to be sent is known before the first
message: nothing is drawn at random while the load runs, and the same run id makes the same times.
"""

import array
import dataclasses
import itertools
import random
from collections.abc import Sequence
from typing import TypeAlias

from omrig.model.errors import UsageError
from omrig.model.units import NS

ARRIVALS = ("constant", "poisson")
"""How messages are spread over a step: evenly, or as those of many independent senders."""

STEP_S = 5.0
"""How long a step of a ramp lasts unless ``--duration`` says how long all of them do."""

MOST_STEPS = 100
"""So many steps a ramp may have."""


Offsets: TypeAlias = "array.array[int]"
"""Times in ns after a load began, in order."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A stretch of one ``rate`` (msg/s): the messages from ``first`` to before ``end``, to be sent
    from ``begins_ns`` to before ``ends_ns`` after the load began."""

    rate: float
    first: int
    end: int
    begins_ns: int
    ends_ns: int

    @property
    def messages(self) -> int:
        """How many messages are to be sent in it."""
        return self.end - self.first


def ramp(text: str) -> tuple[float, ...]:
    """The rates that ``FROM:TO:STEPS`` asks for, evenly spaced, both ends among them.

    Raises ``UsageError`` when it asks for none.
    """
    wrong = UsageError(
        f"--ramp: {text!r} is no ramp; give FROM:TO:STEPS, messages a second and 2 to {MOST_STEPS}"
        " steps, for example 100:1000:10"
    )
    try:
        first, last, count = text.split(":")
        begin, end, steps = float(first), float(last), int(count)
    except ValueError as error:
        raise wrong from error
    if not (0 < begin < float("inf") and 0 < end < float("inf") and 2 <= steps <= MOST_STEPS):
        raise wrong
    return tuple(begin + (end - begin) * number / (steps - 1) for number in range(steps))


def steps(
    rates: Sequence[float], duration_s: float | None, messages: int | None
) -> tuple[Step, ...]:
    """The steps of a load at these ``rates``, one after the other.

    Together they last ``duration_s``, where that is not given as long as their ``messages`` take,
    and where that is not given either :data:`STEP_S` each. No more than ``messages`` are sent.
    """
    if duration_s is None and messages is None:
        duration_s = STEP_S * len(rates)
    found: list[Step] = []
    begins_ns, first = 0, 0
    for rate in rates:
        lasts_s = (messages or 0) / rate if duration_s is None else duration_s / len(rates)
        count = round(rate * lasts_s)
        if messages is not None:
            count = min(count, messages - first)
        ends_ns = begins_ns + round(lasts_s * NS)
        found.append(Step(rate, first, first + count, begins_ns, ends_ns))
        begins_ns, first = ends_ns, first + count
    return tuple(found)


def offsets(
    steps: Sequence[Step], arrivals: str, seed: str, member: int = 0, members: int = 1
) -> Offsets:
    """When each message is to be sent, in ns after the load began, in order.

    ``constant`` has equal gaps. ``poisson`` has those of a Poisson process that sends exactly as
    many messages in the step as its rate asks for; the same ``seed`` gives the same times.
    Of several ``members`` each has every so many-th message, so that all together send what one
    would have.
    """
    everything: Offsets = array.array("Q")
    chance = random.Random(seed)  # noqa: S311 - times of messages, no secrets
    for step in steps:
        everything.extend(_evenly(step) if arrivals == "constant" else _by_chance(step, chance))
    return everything[member::members]


def _evenly(step: Step) -> list[int]:
    gap_ns = NS / step.rate
    return [step.begins_ns + round(number * gap_ns) for number in range(step.messages)]


def _by_chance(step: Step, chance: random.Random) -> list[int]:
    """Gaps of an exponential distribution, scaled so that one more would be beyond the step.

    That is how the messages of a Poisson process lie of which the number is known.
    """
    ends = list(itertools.accumulate(chance.expovariate(1.0) for _ in range(step.messages + 1)))
    lasts_ns = step.messages * NS / step.rate
    return [step.begins_ns + int(lasts_ns * each / ends[-1]) for each in ends[:-1]]
