"""How long messages took, summed up."""

import dataclasses

from omrig.model.values import Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency(Value):
    """How long ``count`` messages took, in ns."""

    count: int
    mean: int
    p50: int
    p90: int
    p99: int
    p999: int
    max: int

    def named(self, statistic: str) -> int:
        """``mean``, ``p50`` ... ``max`` by its name."""
        return int(getattr(self, statistic))
