"""Holding up workers that would run far ahead of the consumers: nothing else does, without replies.

A message counts as under way from when it was sent until a consumer has it. The workers may have
:attr:`omrig.model.patterns.Pattern.ahead` of them each, all together; they look every half of that.
"""

import threading
import time
from collections.abc import Callable

from omrig.measured.load.control import Answers
from omrig.measured.load.side import DRAIN_S
from omrig.model import patterns
from omrig.model.load import Load
from omrig.model.patterns import CATCH_UP_S

_LOOK_AGAIN_S = 0.01


class Ahead:
    """What is under way of a ``load``, and the wait until that is little enough.

    ``sent`` is how many messages have been sent well so far, ``arrived`` asks the consumers how
    many of them they have: None where they do not answer because the run ends. ``deliveries`` is
    how many they are to have, as :func:`omrig.model.patterns.arrived` counts, of so many sent.
    """

    def __init__(
        self,
        load: Load,
        sent: Callable[[], int],
        arrived: Callable[[], Answers | None],
        deliveries: Callable[[int], int] = lambda sent: sent,
    ) -> None:
        self._patterns = load.patterns
        ahead = min((pattern.ahead for pattern in load.patterns if pattern.ahead), default=0)
        messages = load.messages or 1
        self._limit = load.workers * ahead // 2 * deliveries(messages) // messages
        self._deliveries = deliveries
        self._sent = sent
        self._arrived = arrived
        self._counts: dict[str, int] = {}
        self._received = 0
        self._written_off = 0
        self._asking = threading.Lock()

    def wait(self) -> None:
        """Return when little enough is under way; what does not come any more is lost, and does
        not count.

        Raises ``TimeoutError`` when that takes longer than ``CATCH_UP_S``.
        """
        best, since = self._received, time.monotonic()
        end = since + CATCH_UP_S
        while (under_way := self._under_way()) > self._limit:
            if not self._ask():
                return
            now = time.monotonic()
            if self._received > best:
                best, since = self._received, now
            elif now - since > DRAIN_S:
                self._written_off = self._deliveries(self._sent()) - self._received
            if now > end:
                raise TimeoutError(f"{under_way} messages are under way")

    def _under_way(self) -> int:
        return self._deliveries(self._sent()) - self._received - self._written_off

    def _all_copies(self) -> bool:
        return all(pattern.copies for pattern in self._patterns)

    def _ask(self) -> bool:
        """Learn what has arrived, one worker for all; False when nobody answers any more."""
        if not self._asking.acquire(blocking=False):
            time.sleep(_LOOK_AGAIN_S)
            return True
        try:
            answers = self._arrived()
            if not answers:
                # The run ends, or there is nobody left to keep up.
                return False
            counts = {name: int(str(count)) for name, count in answers.items()}
            # Who is gone has what it had of messages that go to one; of copies it gets no more.
            self._counts = counts if self._all_copies() else {**self._counts, **counts}
            self._received = patterns.arrived(self._patterns, self._counts.values())
        finally:
            self._asking.release()
        if self._under_way() > self._limit:
            time.sleep(_LOOK_AGAIN_S)
        return True
