"""Asking a broker now and then, in a thread, whether it still does what the run needs."""

import dataclasses
import threading
import time

from omrig.broker.base import Broker, Needs, PublishersBlocked, Refused
from omrig.model.errors import RunError, UsageError

EVERY_S = 10.0

CLOSE_S = 3.0

_ANSWER_S = 5.0


@dataclasses.dataclass(frozen=True)
class _Refusal:
    """The first and the last time of a row of refusals, and the words of the last."""

    since: float
    until: float
    words: str


class Asking:
    """What the broker answered last, and since when it refuses.

    A refusal is what the broker says itself; one that cannot be asked has said nothing.
    """

    def __init__(self, broker: Broker, needs: Needs) -> None:
        self._broker = broker
        # A broker that stalls is given nothing large, and nothing that stays when it hangs.
        self._needs = dataclasses.replace(needs, body_bytes=0, streams=False)
        self._thread: threading.Thread | None = None
        self._asked_at = float("-inf")
        self._forgot_at = float("-inf")
        self._refusal: _Refusal | None = None

    def ask(self) -> None:
        """Ask again, unless that was not long ago; does not wait for the answer."""
        now = time.monotonic()
        if now - self._asked_at < EVERY_S or (self._thread and self._thread.is_alive()):
            return
        self._asked_at = now
        self._thread = threading.Thread(
            target=self._ask, args=(now,), name="asking the broker", daemon=True
        )
        self._thread.start()

    def forget(self) -> None:
        """What was refused until now is so no more, nor is what is being asked."""
        self._forgot_at = time.monotonic()
        self._refusal = None

    def refused_for(self, seconds: float) -> str | None:
        """The broker's words if it has refused for so long; a moment's alarm is none of it."""
        now, refusal = time.monotonic(), self._refusal
        if refusal and _is_fresh(refusal, now) and now - refusal.since > seconds:
            return refusal.words
        return None

    def close(self) -> None:
        """Let a question that is under way delete what it declared; takes ``CLOSE_S`` at most."""
        if self._thread:
            self._thread.join(CLOSE_S)

    def _ask(self, asked_at: float) -> None:
        before, refusal = self._refusal, None
        try:
            self._broker.check(_ANSWER_S, self._needs)
        except (PublishersBlocked, Refused) as error:
            now = time.monotonic()
            since = before.since if before and _is_fresh(before, now) else asked_at
            refusal = _Refusal(since, now, str(error))
        except (RunError, UsageError):
            # It was not to be asked: that is found out by other means.
            return
        if asked_at > self._forgot_at:
            self._refusal = refusal


def _is_fresh(refusal: _Refusal, now: float) -> bool:
    return now - refusal.until < 2 * EVERY_S
