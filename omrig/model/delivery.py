"""What a client library that sends in the background says of itself: librdkafka's statistics."""

import dataclasses
from collections.abc import Mapping

from omrig.model.values import Value

CLIENT_QUEUE, SENDING, ROUND_TRIP = "client_queue", "send", "round_trip"

TITLES: Mapping[str, str] = {
    CLIENT_QUEUE: "in the client's queue",
    SENDING: "waiting to be sent",
    ROUND_TRIP: "round trip to the broker",
}
"""What is known of the way to the broker, in its order, in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window(Value):
    """Averages over windows of one second each, as the library gives them: of no message alone.

    ``mean_ns`` is over all that was counted, ``p99_ns`` the highest of any window.
    """

    count: int
    mean_ns: int
    p99_ns: int
    max_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delivery(Value):
    """What became of messages that were handed to the library: by its reports, one a message.

    ``mean_ns`` to ``max_ns`` are from handing over to the report, of each message that was
    ``delivered``; None where none was. ``failed`` are the others by the library's error.
    ``windows`` are by the names of :data:`TITLES`, from ``statistics`` windows.
    """

    delivered: int
    failed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    mean_ns: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    max_ns: int | None = None
    statistics: int = 0
    windows: Mapping[str, Window] = dataclasses.field(default_factory=dict)

    @property
    def reported(self) -> int:
        """How many messages there was a report of."""
        return self.delivered + sum(self.failed.values())
