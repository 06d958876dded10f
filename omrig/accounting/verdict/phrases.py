"""Words that verdict, reasons and evidence share."""

from omrig.accounting.verdict.thresholds import LONGEST_REASON
from omrig.model.facts import Comb
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result
from omrig.model.units import MS


def noun(result: Result) -> str:
    """What a message of this pattern is called."""
    return PATTERNS[result.pattern].noun


def subject(result: Result) -> str:
    """What the shares are of: a message, or the part of it that the only side has."""
    whole = f"a {noun(result)}"
    # Who waits for replies has the whole of a message, whatever of it is its own.
    if len(set(result.sides)) != 1 or (
        PATTERNS[result.pattern].replies and "producer" in result.sides
    ):
        return whole
    return f"the {result.sides[0]}'s part of {whole}"


def under(result: Result) -> str:
    """What slowed the messages of the stages, to stand before a sentence; empty for nothing."""
    disturbance = result.coverage.disturbance if result.coverage else None
    return f"under {disturbance.who}, " if disturbance else ""


def counted(number: int, name: str) -> str:
    """A number of things that have a regular plural."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def step(comb: Comb) -> str:
    """The period of a comb."""
    return f"{comb.period_ns / MS:g} ms"


def words(reason: str) -> str:
    """What a broker gave as its reason, on one line and not too long."""
    return " ".join(reason.split())[:LONGEST_REASON]


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percent."""
    return f"{100 * share:.0f} %"
