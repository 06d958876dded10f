"""Whose the time is: the stages' shares by owner, less what a limit of ours hides in the broker."""

import dataclasses
from collections.abc import Mapping, Sequence

from omrig.model.facts import Facts
from omrig.model.result import StageRow
from omrig.model.stages import BY_NAME, OWNERS


@dataclasses.dataclass(frozen=True)
class Part:
    """A stage, or what of it is another's than its bucket says; ``share`` is of all time.

    ``held`` marks what messages waited in the broker, by prefetch, for our own process to read
    earlier ones; ``side`` is whose time it is.
    """

    stage: StageRow
    owner: str
    side: str
    share: float
    held: bool = False


def is_mixed(stage: StageRow) -> bool:
    """Whether a stage holds other owners' time as well, as ``remote`` does."""
    known = BY_NAME.get(stage.name)
    return known is not None and known.mixed


def parts_of(stages: Sequence[StageRow], facts: Facts, at_most: bool = False) -> list[Part]:
    """All parts of the time; ``at_most`` counts as our own all that may be of what was held."""
    parts = []
    for stage in stages:
        bucket_owner = OWNERS.get(stage.bucket, "unknown")
        owner = "remote" if is_mixed(stage) else bucket_owner
        share = float(stage.share)
        held = facts.held.get(stage.name)
        own = share * (held.own_most_share if at_most else held.own_share) if held else 0.0
        parts.append(Part(stage, owner, stage.side, share - own))
        if held and own:
            parts.append(Part(stage, "process", held.side, own, held=True))
    return parts


def shares_of(parts: Sequence[Part]) -> dict[str, float]:
    """Share of each owner, and of ``remote``, which the buckets count as AMQP."""
    shares = dict.fromkeys(OWNERS.values(), 0.0)
    for part in parts:
        shares[part.owner] = shares.get(part.owner, 0.0) + part.share
    return shares


def named_alone(shares: Mapping[str, float], dominant: float) -> tuple[str, ...]:
    """The owner with more than ``dominant`` of the time; else the two largest, the larger first."""
    ranking = sorted(shares, key=lambda owner: -shares[owner])
    return tuple(ranking[:1] if shares[ranking[0]] > dominant else ranking[:2])
