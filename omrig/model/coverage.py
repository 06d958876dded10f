"""How many messages of a run were profiled, and which of them its stages are of."""

import dataclasses
from collections.abc import Mapping

from omrig.model.values import UNLESS_NONE, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disturbance(Value):
    """Profilers that slow a run and were on while the messages of the stages went.

    ``modes`` by side, ``who`` they are in words; ``reason`` is why there are no stages without
    them, and what would help.
    """

    modes: Mapping[str, tuple[str, ...]]
    who: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coverage(Value):
    """How many messages were profiled, and which of them the stages are of.

    ``modes`` by side were taken out between slices; with ``slow_only`` other modes stayed on.
    ``stages_of`` is ``unprofiled``, None where the stages are of all that had stages, and
    ``profiled`` where nothing was taken out. ``disturbance`` is what these stages, and with them
    the verdict, include; None where that is nothing.
    """

    modes: Mapping[str, tuple[str, ...]]
    slow_only: bool
    profiled_messages: int
    unprofiled_messages: int
    stages_of: str | None = None
    disturbance: Disturbance | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    text: str = ""
