"""Words that verdict, reasons and evidence share."""

from omrig.accounting.verdict.thresholds import (
    CORE_WAIT,
    CORE_WAIT_SEEN,
    LEAST_INSIDE,
    LONGEST_REASON,
)
from omrig.model.facts import Comb, EndpointTime, Facts
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


def inside(endpoint: EndpointTime) -> str:
    """What endpoints do in their time; empty where nothing is known of that."""
    nested, computing = endpoint.nested_share, endpoint.computing_share
    parts = [f"{percent(nested)} is in messages that it sends"] if nested >= LEAST_INSIDE else []
    if computing is not None:
        waits = max(0.0, 1 - nested - computing)
        parts += [f"in {percent(computing)} its thread computes", f"in {percent(waits)} it waits"]
    return ", ".join(parts)


def core_wait(facts: Facts) -> str | None:
    """That the broker's threads wait for a core, where that is most of the time that it takes."""
    waited, ran = facts.broker_core_wait, facts.broker_cpu_share
    if not waited or not ran or waited < max(CORE_WAIT_SEEN, CORE_WAIT * ran):
        return None
    return f"wait {waited / ran:.1f} times as long for a core as they run on one"


def words(reason: str) -> str:
    """What a broker gave as its reason, on one line and not too long."""
    return " ".join(reason.split())[:LONGEST_REASON]


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percent."""
    return f"{100 * share:.0f} %"
