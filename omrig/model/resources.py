"""What a process used during the load."""

import dataclasses

from omrig.model.values import UNLESS_NONE, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampled(Value):
    """A process during the load by samples: CPU in cores, and the highest of what rises and falls.

    ``cpu_share_max`` is of the busiest second. ``core_wait_mean`` is how many of its threads were
    ready and waited for a core, on average. None for what could not be read.
    """

    cpu_share_mean: float
    cpu_share_max: float
    peak_rss_bytes: int | None = None
    peak_uss_bytes: int | None = None
    threads_max: int | None = None
    descriptors_max: int | None = None
    samples: int = 0
    core_wait_mean: float | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources(Value):
    """What a process used during the load; ``process`` is the name of the broker's."""

    wall_seconds: float
    cpu_user_seconds: float
    cpu_system_seconds: float
    peak_rss_bytes: int
    voluntary_context_switches: int = 0
    involuntary_context_switches: int = 0
    sampled: Sampled | None = None
    process: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @property
    def cpu_seconds(self) -> float:
        """Both kinds of CPU time."""
        return self.cpu_user_seconds + self.cpu_system_seconds

    @property
    def cpu_share(self) -> float:
        """CPU seconds per second: over the load where it was sampled."""
        return self.sampled.cpu_share_mean if self.sampled else self.cpu_seconds / self.wall_seconds
