"""Whose time a stage is, as it is shown: names, colours, and percentages that add up."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from omrig.model.result import StageRow
from omrig.model.stages import BY_NAME, OWNERS

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "amqp": "AMQP",
        "driver": "driver",
        "process": "own process",
        "endpoint": "endpoint",
        "remote": "remote",
    }
)
"""Each owner in words."""

STYLES: Mapping[str, str] = MappingProxyType(
    {
        "amqp": "cyan",
        "driver": "yellow",
        "process": "magenta",
        "endpoint": "green",
        "remote": "bright_black",
    }
)
"""The colour of each owner on a terminal."""

_STEPS = 1000
"""Percentages are shown with one decimal."""


def bucket_of(name: str, bucket: str) -> str:
    """What a stage counts as; ``remote``, which is everybody's time, as itself."""
    return name if name in BY_NAME and BY_NAME[name].mixed else bucket


def owner_of(bucket: str) -> str:
    """Whose time a bucket is; what this omrig does not know stands for itself."""
    return OWNERS.get(bucket, bucket)


def title(owner: str) -> str:
    """An owner in words."""
    return TITLES.get(owner, owner)


def style(owner: str) -> str:
    """An owner's colour."""
    return STYLES.get(owner, "white")


def percentages(shares: Sequence[float]) -> list[float]:
    """``shares`` in percent with one decimal, rounded so that a whole stays 100 %.

    The largest remainders are rounded up. What does not add up to a whole is rounded one by one.
    """
    if abs(sum(shares) - 1) > 1 / _STEPS:
        return [round(100 * share, 1) for share in shares]
    steps = [int(share * _STEPS // 1) for share in shares]
    order = sorted(range(len(shares)), key=lambda each: steps[each] - shares[each] * _STEPS)
    for each in order[: _STEPS - sum(steps)]:
        steps[each] += 1
    return [step * 100 / _STEPS for step in steps]


def of_buckets(rows: Iterable[StageRow]) -> dict[str, dict[str, float]]:
    """Percentages by owner and bucket, the largest first; together they are 100 %."""
    sums: dict[str, float] = {}
    for row in rows:
        bucket = bucket_of(row.name, row.bucket)
        sums[bucket] = sums.get(bucket, 0.0) + row.share
    shown = dict(zip(sums, percentages(list(sums.values())), strict=True))
    owners: dict[str, dict[str, float]] = {}
    for bucket in sorted(shown, key=lambda each: -shown[each]):
        owners.setdefault(owner_of(bucket), {})[bucket] = shown[bucket]
    return dict(sorted(owners.items(), key=lambda each: -sum(each[1].values())))
