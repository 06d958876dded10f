"""A mix of patterns: how many messages of each are sent in one load."""

import dataclasses
from collections.abc import Mapping

from omrig.model.errors import UsageError
from omrig.model.patterns import PATTERNS, Pattern

MIX = "mix"
"""The name that stands for the pattern where a load has several."""

OPTION = "--mix"


@dataclasses.dataclass(frozen=True)
class Mix:
    """The patterns of a load by name, with their ``weights``: 70 and 30 are 70 % and 30 %.

    Raises ``UsageError`` when it is none.
    """

    weights: Mapping[str, int]

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if name not in PATTERNS:
                raise UsageError(f"{OPTION}: unknown {name!r}; choose from {', '.join(PATTERNS)}")
            if weight < 1:
                raise UsageError(f"{OPTION}: {name}={weight} is too small; give 1 or more")
        if len(self.weights) < 2:
            only = next(iter(self.weights), "call")
            raise UsageError(f"{OPTION}: {only} alone is no mix; give --pattern {only}")

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The patterns, in the order in which they were asked for."""
        return tuple(PATTERNS[name] for name in self.weights)

    def __str__(self) -> str:
        return ",".join(f"{name}={weight}" for name, weight in self.weights.items())


def parse(text: str) -> Mix:
    """The mix that ``call=70,cast=20,fanout=5`` is.

    Raises ``UsageError`` when the text is none.
    """
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (each.strip() for each in part.partition("="))
        if not equals or not number.isdecimal():
            raise UsageError(
                f"{OPTION}: {part.strip()!r} is no pattern with a whole number; give"
                " call=70,cast=20,fanout=10"
            )
        if name in weights:
            raise UsageError(f"{OPTION}: {name!r} is there twice; give each pattern once")
        weights[name] = int(number)
    return Mix(weights)
