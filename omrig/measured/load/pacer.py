"""When the next message of an open loop is to be sent: its worker waits until then."""

import array
import bisect
import time
from collections.abc import Callable, Sequence

from omrig.measured.load.side import POLL_S, Stop, now_ns
from omrig.model.arrivals import Offsets, Step
from omrig.model.members import names
from omrig.model.plan import Plan
from omrig.model.units import NS

LEAD_NS = 50_000_000
"""So long before the first message may be due the workers are started."""


class Pacer:
    """The times at which messages are due, by sequence number, once the load has begun.

    ``offsets`` are from then on, as are the ``steps`` of the load. With ``gives_up`` a message that
    could not be sent in its step of the load is not sent. ``clock`` tells ns and ``sleep`` blocks
    the worker for seconds, under whichever executor it runs.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        gives_up: bool,
        offsets: Offsets,
        stop: Stop,
        clock: Callable[[], int] = now_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._offsets = offsets
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._begins = [step.begins_ns for step in steps]
        self._ends = [step.ends_ns for step in steps]
        self._gives_up = gives_up
        self.began_ns = 0
        """When the load began; 0 before that."""

    def begin(self) -> None:
        """The load begins in a moment: as soon as there are workers."""
        self.began_ns = self._clock() + LEAD_NS

    def due_ns(self, seq: int) -> int:
        """When a message is to be sent."""
        return self.began_ns + self._offsets[seq]

    def wait(self, seq: int) -> bool:
        """Wait until a message is due; False when it is not to be sent.

        That is when it is too late for it, or a stop was requested meanwhile.
        """
        due_ns = self.due_ns(seq)
        left_ns = due_ns - self._clock()
        if left_ns <= 0:
            return not (self._gives_up and self._is_over(seq, due_ns - left_ns))
        while left_ns > 0:
            # In pieces: a stop is not to wait for a message that is due in an hour.
            self._sleep(min(left_ns / NS, POLL_S))
            if self._stop.requested:
                return False
            left_ns = due_ns - self._clock()
        return True

    def _is_over(self, seq: int, at_ns: int) -> bool:
        """Whether the step in which a message was due has ended by then."""
        step = bisect.bisect_right(self._begins, self._offsets[seq]) - 1
        return at_ns - self.began_ns >= self._ends[step]

    def intended_ns(self) -> "array.array[int]":
        """When each message was to be sent; empty where the load has not begun."""
        if not self.began_ns:
            return array.array("Q")
        return array.array("Q", map(self.began_ns.__add__, self._offsets))


def of_plan(plan: Plan, stop: Stop) -> Pacer:
    """The pacer of a producer: of its part of the messages, where there are several producers."""
    pace, count = plan.pace, plan.load.producers
    everything = plan.load.messages if pace.messages_of_all is None else pace.messages_of_all
    number = names("producer", count).index(plan.member) if plan.member else 0
    offsets = pace.offsets(everything, plan.run_id, number, count)
    return Pacer(pace.steps(everything), pace.gives_up, offsets, stop)
