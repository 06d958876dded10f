"""What the stages say themselves that they cost."""

import dataclasses

from omrig.model.values import Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate(Value):
    """The cost of stamping by count: stamps times what one was found to cost before the load.

    ``stamps_per_message`` are those of all recorded sides, one of which costs ``hot_ns`` where it
    was made just before, and ``cold_ns`` where the caches hold other things. ``cpu_share_hot`` and
    ``cpu_share_cold`` are what they come to, as shares (0 to 1) of the sides' CPU time a message.
    """

    stamps_per_message: float
    hot_ns: float
    cold_ns: float
    cpu_share_hot: float
    cpu_share_cold: float
