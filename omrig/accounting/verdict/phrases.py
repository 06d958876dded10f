"""Words that verdict, reasons and evidence share."""

from collections.abc import Mapping
from typing import Any

from omrig.model.facts import Comb
from omrig.model.units import MS

LONGEST_REASON = 60
"""Characters of a broker's own words that are quoted."""

_NOUNS = {"notify": "notification"}


def noun(result: Mapping[str, Any]) -> str:
    """What a message of this pattern is called."""
    pattern = str(result.get("pattern", "call"))
    return _NOUNS.get(pattern, pattern)


def counted(number: int, name: str) -> str:
    """A number of things that have a regular plural."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def stage_of(result: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The row of a stage; None where it was not measured."""
    return next((stage for stage in result.get("stages") or () if stage["name"] == name), None)


def step(comb: Comb) -> str:
    """The period of a comb."""
    return f"{comb.period_ns / MS:g} ms"


def words(reason: str) -> str:
    """What a broker gave as its reason, on one line and not too long."""
    return " ".join(reason.split())[:LONGEST_REASON]


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percent."""
    return f"{100 * share:.0f} %"
