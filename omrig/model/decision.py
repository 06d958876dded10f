"""What an experiment says of two configurations: different, the same, or not decided yet."""

import dataclasses
from typing import Literal

from omrig.model.values import Value

Word = Literal["different", "same", "undecided"]


@dataclasses.dataclass(frozen=True)
class Answer(Value):
    """What is known of one metric after so many ``rounds``.

    ``ratio`` is of NEW to BASE; its interval ``low`` to ``high`` holds whenever one looks and
    whenever one stops, in 95 % of experiments for all metrics. ``least`` to ``most`` is the
    narrower one (90 %, of two one-sided tests) that has to lie within the margin. ``word`` is
    ``different`` where the first excludes 1, else ``same`` where the second is within. Where it is
    undecided, ``needed_to_differ`` and ``needed_to_match`` are the rounds, all together, after
    which it would probably be called the one or the other if it went on like this, and ``needed``
    the fewer of them; None where that is out of reach.
    """

    metric: str
    word: Word
    ratio: float
    low: float
    high: float
    rounds: int
    needed: int | None = None
    needed_to_differ: int | None = None
    needed_to_match: int | None = None
    least: float | None = None
    most: float | None = None


@dataclasses.dataclass(frozen=True)
class Decision(Value):
    """What is known of all metrics that decide: different if any is, the same if all are.

    ``margin`` is the change that does not matter (0.05: 5 %), ``rounds`` how many were looked at,
    ``text`` one sentence for people.
    """

    word: Word
    answers: tuple[Answer, ...]
    margin: float
    rounds: int
    text: str
