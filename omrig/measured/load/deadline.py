"""Deadlines for what the driver would try for ever, and the reason that it gave last."""

import logging
import re
import threading
import time
from collections.abc import Callable

from omrig.measured.executors.base import Executor
from omrig.measured.load.side import POLL_S, Stop
from omrig.model import redaction
from omrig.model.errors import RunError

LONGEST_REASON = 400

_CONNECTION_ID = re.compile(r"^\[[0-9a-f-]{36}\] ")


class Late(RunError):
    """A step did not end by its deadline.

    ``likely`` is what it may come from, or what to do, unless the broker is asked and knows better.
    """

    def __init__(self, text: str, likely: str = "") -> None:
        super().__init__(text)
        self.likely = likely


class NoAnswer(Late):
    """Nobody answered: who listens may say why."""


class LastError(logging.Handler):
    """The last that was logged as an error, in one line without passwords."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it; called by any thread."""
        text = _CONNECTION_ID.sub("", " ".join(record.getMessage().split()))
        self.text = redaction.redact(text)[:LONGEST_REASON]


last_error = LastError()
"""That of this process; :func:`late` says it."""


def late(what: str, seconds: float) -> Late:
    """The error for a step that took longer than ``seconds``."""
    return Late(f"{what} within {seconds:g} s", last_error.text)


def words(error: BaseException) -> str:
    """An exception in one line without passwords."""
    return redaction.redact(f"{type(error).__name__}: {' '.join(str(error).split())}")


def is_hopeless(error: Exception) -> bool:
    """Whether another try of a message has no better chance.

    The driver tries again by itself whatever may work later; a reply may still come.
    """
    import oslo_messaging

    return not isinstance(error, oslo_messaging.MessagingTimeout)


def within(
    executor: Executor, stop: Stop, seconds: float, function: Callable[[], None], what: str
) -> bool:
    """Run ``function`` in a thread of the executor; False when a stop was requested before its end.

    Raises what it raises, and :class:`Late` when it has not ended after ``seconds``: the thread is
    left to itself then.
    """
    ended = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below, by the thread that waits
            errors.append(error)
        finally:
            ended.set()

    executor.spawn(work, "main")
    end = time.monotonic() + seconds
    while not ended.wait(POLL_S):
        if stop.requested:
            return False
        if time.monotonic() > end:
            raise late(what, seconds)
    if errors:
        raise errors[0]
    return True
