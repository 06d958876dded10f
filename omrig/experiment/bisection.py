"""Search by halves for the first bad one of candidates in a row, as git bisect does.

The first of the row is known to be good and the last to be bad. What lies between is taken to
change once: all are good up to one, and bad from the next on. A candidate of which nothing can be
told is passed over, and its neighbours are asked; where only such are left the answer is a range.
"""

import dataclasses
import math
from collections.abc import Sequence

from omrig.model.bisection import Word


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What is known of a row: the positions of the last good one and of the first bad one.

    They are neighbours where the answer is one candidate; else nothing is known of what is between.
    """

    last_good: int
    first_bad: int

    @property
    def between(self) -> range:
        """The positions of which it is not known whether they are good or bad."""
        return range(self.last_good + 1, self.first_bad)


def bounds(words: Sequence[Word | None]) -> Bounds:
    """Where the change is by the ``words`` known of each candidate of the row.

    A bad one before a good one, as where there is more than one change, ends the search there: the
    first change is the answer. The ends of the row need no word of their own.
    """
    last = len(words) - 1
    first_bad = next((at for at in range(1, last) if words[at] == "bad"), last)
    good = [at for at in range(1, first_bad) if words[at] == "good"]
    return Bounds(max(good, default=0), first_bad)


def next_position(words: Sequence[Word | None]) -> int | None:
    """The position to ask next: nearest to the middle of what is open; None where all is said."""
    known = bounds(words)
    middle = (known.last_good + known.first_bad) / 2
    untried = [at for at in known.between if words[at] is None]
    return min(untried, key=lambda at: abs(at - middle), default=None)


def most_steps(candidates: int) -> int:
    """How many steps the search takes at most where each candidate can be told good or bad."""
    return math.ceil(math.log2(candidates - 1)) if candidates > 2 else 0
