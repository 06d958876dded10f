"""What a producer asks its consumers beside the load: who they are, to begin, what has arrived.

It goes by the process that started this one (:mod:`omrig.supervisor.control`), or straight to the
consumer where both are one process. Nothing of it is on the broker that is measured.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from omrig.measured.load import deadline
from omrig.measured.load.side import POLL_S, Stop
from omrig.measured.load.workers import STOP_GRACE_S
from omrig.model import events
from omrig.model.events import Emit
from omrig.model.values import Json

PATIENCE_S = 60.0
"""How long the consumers may take to answer: they may have profilers to turn on."""

Answers = Mapping[str, Json]
"""What each consumer answered, by its name."""


class Control(Protocol):
    """The way to the consumers."""

    def ask(self, method: str, arguments: dict[str, Json], patience_s: float) -> Answers | None:
        """What the consumers answer.

        None when they do not in the grace after a request to stop. Raises
        :class:`omrig.measured.load.deadline.NoAnswer` when they have not after ``patience_s``.
        """


class Direct:
    """The consumer is in this process, and answers when it is called."""

    def __init__(self, answer: Callable[[str, Mapping[str, Json]], Json]) -> None:
        self._answer = answer

    def ask(self, method: str, arguments: dict[str, Json], patience_s: float) -> Answers:  # noqa: ARG002
        """See :class:`Control`."""
        return {"consumer": self._answer(method, arguments)}


class Relayed:
    """The consumers are elsewhere: questions are events, and answers come on standard input."""

    def __init__(self, emit: Emit, stop: Stop) -> None:
        self._emit = emit
        self._stop = stop
        self._numbers = itertools.count(1)
        self._waiting: dict[int, threading.Event] = {}
        self._answers: dict[int, Answers] = {}

    def heard(self, answer: events.Answer) -> None:
        """An answer has come, whoever waits for it."""
        waiting = self._waiting.pop(answer.number, None)
        if waiting:
            self._answers[answer.number] = answer.values
            waiting.set()

    def ask(self, method: str, arguments: dict[str, Json], patience_s: float) -> Answers | None:
        """See :class:`Control`."""
        number = next(self._numbers)
        answered = self._waiting[number] = threading.Event()
        self._emit(events.Ask(number, method, arguments))
        end, stop_at = time.monotonic() + patience_s, None
        while not answered.wait(POLL_S):
            now = time.monotonic()
            if self._stop.requested:
                stop_at = stop_at or now + STOP_GRACE_S
                if now > stop_at:
                    return None
            if now > end:
                raise deadline.NoAnswer(
                    f"the consumer did not answer {method!r} within {patience_s:g} s"
                )
        return self._answers.pop(number)
