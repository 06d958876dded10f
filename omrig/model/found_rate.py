"""The highest rate that holds, and the runs that it was found by."""

import dataclasses

from omrig.model.values import Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial(Value):
    """One run at a ``rate`` in msg/s: ``value`` is what it came to, in the unit of the gate's
    metric, ``broke`` why it does not hold, None where it does. ``run`` is its folder."""

    run: str
    rate: float
    value: float | None = None
    broke: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundRate(Value):
    """What came of the search for the highest rate that keeps a ``gate``.

    ``saturated_per_second`` is what a closed loop of the same workers came to. ``rate`` is the
    highest that held, None where none did; ``broken_rate`` the lowest beyond it that did not, and
    ``broke`` why. In msg/s.
    """

    gate: str
    saturated_per_second: float
    rate: float | None = None
    broken_rate: float | None = None
    broke: str | None = None
    trials: tuple[Trial, ...] = ()
