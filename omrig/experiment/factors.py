"""What a sweep varies: options, their levels, and the grid of all their combinations."""

import itertools
import math
import re
from collections.abc import Sequence

from omrig.model.errors import UsageError
from omrig.model.sweep import Factor

_FORM = "give {flag} NAME=A,B: an option and two levels of it or more"

NO_LIMIT_AT_0 = ("rabbit_qos_prefetch_count",)
"""Options of which 0 is no limit: their largest level."""

_LONGEST = 100
"""A folder's name is no longer, however many factors there are."""


def split(text: str, flag: str) -> tuple[str, tuple[str, ...]]:
    """The name of an option and its levels; ``flag`` is named in errors.

    Raises ``UsageError`` for anything else, for one level only and for one that is there twice.
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not re.fullmatch(r"[\w.-]+", name):
        # What stands there may be a part of a password.
        raise UsageError(f"{flag}: {_FORM.format(flag=flag)}")
    levels = tuple(level.strip() for level in rest.split(","))
    if "" in levels:
        raise UsageError(f"{flag}: {name} has an empty level; {_FORM.format(flag=flag)}")
    if len(levels) < 2:
        raise UsageError(f"{flag}: {name} has one level only; {_FORM.format(flag=flag)}")
    for number, level in enumerate(levels):
        if any(_same(level, other) for other in levels[:number]):
            raise UsageError(f"{flag}: {name} has the level {level} twice; leave one of them out")
    return name, levels


def factor(name: str, flag: str, levels: Sequence[str], default: str | None = None) -> Factor:
    """The factor of these levels; ``default`` is the option's own, whether among them or not."""
    is_numeric = all(_number(level) is not None for level in levels)
    ordered = sorted(levels, key=lambda each: _size(name, each)) if is_numeric else list(levels)
    of_default = [level for level in ordered if default is not None and _same(level, default)]
    return Factor(
        name=name,
        flag=flag,
        levels=tuple(ordered),
        is_numeric=is_numeric,
        default=of_default[0] if of_default else None,
    )


def _size(name: str, level: str) -> float:
    """A level as a number to go by: no limit is larger than any."""
    found = float(level)
    return math.inf if found == 0 and name.rpartition(".")[2] in NO_LIMIT_AT_0 else found


def grid(factors: Sequence[Factor]) -> list[tuple[str, ...]]:
    """A level of each factor: all combinations, the last factor changing first."""
    return list(itertools.product(*(each.levels for each in factors)))


def names(factors: Sequence[Factor], points: Sequence[tuple[str, ...]]) -> list[str]:
    """What the folder of each point is called: its levels where these are short, else a number."""
    spelt = [
        ",".join(map("=".join, zip(_names_of(factors), point, strict=True))) for point in points
    ]
    made = [re.sub(r"[^\w.=,+-]", "_", name) for name in spelt]
    if len(set(made)) < len(made) or max(map(len, made)) > _LONGEST:
        return [f"point-{number:02}" for number in range(1, len(points) + 1)]
    return made


def _names_of(factors: Sequence[Factor]) -> list[str]:
    return [each.name for each in factors]


def _number(level: str) -> float | None:
    try:
        found = float(level)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


def _same(level: str, default: str) -> bool:
    one, other = _number(level), _number(default)
    if one is not None and other is not None:
        return one == other
    return level.lower() == default.lower()
