"""Times in which nothing ended, and the few messages that hold much of all time."""

import dataclasses

from omrig.model.values import Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stall(Value):
    """Nothing ended from ``begins_ns`` to ``ends_ns``, in ns since the load began, and yet
    ``messages`` were under way."""

    begins_ns: int
    ends_ns: int
    messages: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stalls(Value):
    """The few messages that hold much of all time: ``messages`` of ``of``, with their ``share``.

    ``stalled_ns`` is how long nothing ended, in the ``stalls`` (none where others ended while these
    took so long). ``owner_share`` of their time is ``owner``'s, None where that is not known, and
    ``queue_share`` in queues behind others.
    """

    messages: int
    of: int
    share: float
    longest_ns: int
    stalled_ns: int
    stalls: tuple[Stall, ...] = ()
    owner: str | None = None
    owner_share: float | None = None
    queue_share: float | None = None
