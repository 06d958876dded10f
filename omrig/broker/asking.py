"""Asking a broker now and then, in a thread, whether it still does what the run needs."""

import threading
import time

from omrig.broker import preflight
from omrig.broker.connection import Login
from omrig.broker.trial import Needs
from omrig.errors import RunError, UsageError

EVERY_S = 10.0

CLOSE_S = 3.0

_ANSWER_S = 5.0


class Asking:
    """What the broker answered last, and since when it refuses."""

    def __init__(self, login: Login, needs: Needs) -> None:
        self._login, self._needs = login, needs
        self._thread: threading.Thread | None = None
        self._asked_at = 0.0
        self._refusal: tuple[float, str] | None = None

    def ask(self) -> None:
        """Ask again, unless that was not long ago; does not wait for the answer."""
        if time.monotonic() - self._asked_at < EVERY_S or (
            self._thread and self._thread.is_alive()
        ):
            return
        self._asked_at = time.monotonic()
        self._thread = threading.Thread(target=self._ask, name="asking the broker", daemon=True)
        self._thread.start()

    def refused_for(self, seconds: float) -> str | None:
        """The broker's words if it has refused for so long; a moment's alarm is none of it."""
        if self._refusal and time.monotonic() - self._refusal[0] > seconds:
            return self._refusal[1]
        return None

    def close(self) -> None:
        """Let a question that is under way delete what it declared; takes ``CLOSE_S`` at most."""
        if self._thread:
            self._thread.join(CLOSE_S)

    def _ask(self) -> None:
        since = self._refusal[0] if self._refusal else time.monotonic()
        try:
            preflight.check(self._login, _ANSWER_S, self._needs)
        except (RunError, UsageError) as error:
            self._refusal = since, str(error)
        else:
            self._refusal = None
