"""What the producers of a run ask its consumers: carried from one pipe to the others, and back.

The measured processes are told nothing by the broker that is measured. The load begins for all at
one instant: whoever is ready waits for the others.
"""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Sequence

from omrig.broker.base import Hearer
from omrig.model import events
from omrig.model.units import NS
from omrig.model.values import Json

BEGIN = "begin"
"""What a producer asks when it has warmed up."""

AHEAD_S = 0.05
"""So long before all begin they are told when."""

Agree = Callable[[Callable[[int], None]], None]
"""Is told that a run is ready, and calls what it is given with the instant to begin at, in ns on
CLOCK_MONOTONIC, when others are ready as well; it does not wait."""


@dataclasses.dataclass
class _Question:
    """Who asked, under which number each, and which consumers have not answered.

    ``begins`` is whether the load begins with the answer.
    """

    askers: list[tuple[Hearer, int]]
    waiting: set[str]
    begins: bool
    values: dict[str, Json] = dataclasses.field(default_factory=dict)


class Relay:
    """Carries questions to all consumers that are there, and their answers back.

    ``consumers`` are those now, ``producers`` is how many have to be ready before the load begins.
    ``ahead_s`` is how long before the load begins they are told when, where that is not ``AHEAD_S``
    and a single producer is told, too; ``agree`` has it begin with that of another run. Its methods
    are called by any thread.
    """

    def __init__(
        self,
        producers: int,
        consumers: Callable[[], Sequence[Hearer]],
        ahead_s: Callable[[], float | None] = lambda: None,
        agree: Agree | None = None,
    ) -> None:
        self._producers = producers
        self._consumers = consumers
        self._ahead_s = ahead_s
        self._agree = agree
        self._ready: list[tuple[Hearer, int]] = []
        self._questions: dict[int, _Question] = {}
        self._last = 0
        self._lock = threading.RLock()

    def take(self, who: Hearer, event: events.Ask | events.Answer) -> None:
        """A producer asks or a consumer answers."""
        with self._lock:
            if isinstance(event, events.Ask):
                self._asked(who, event)
            else:
                self._answered(who, event)

    def _asked(self, asker: Hearer, ask: events.Ask) -> None:
        askers = [(asker, ask.number)]
        if ask.method == BEGIN:
            # Who has waited long asks again.
            others = [each for each in self._ready if each[0].name != asker.name]
            self._ready = others + askers
            if len(self._ready) < self._producers:
                return
            askers, self._ready = self._ready, []
        self._last += 1
        consumers = self._consumers()
        waiting = {each.name for each in consumers}
        self._questions[self._last] = _Question(askers, waiting, ask.method == BEGIN)
        for each in consumers:
            each.tell(events.Ask(self._last, ask.method, ask.arguments))
        self._settle(self._last)

    def _answered(self, who: Hearer, answer: events.Answer) -> None:
        """A consumer answers; what nobody asked, any more, is passed over."""
        if question := self._questions.get(answer.number):
            question.values.update(answer.values)
            # Those of another command answer together.
            question.waiting -= {who.name, *answer.values}
            self._settle(answer.number)

    def gone(self, consumer: str) -> None:
        """A consumer answers no more."""
        with self._lock:
            for number in list(self._questions):
                self._questions[number].waiting.discard(consumer)
                self._settle(number)

    def tell_all(self, method: str, arguments: dict[str, Json]) -> None:
        """Have all consumers hear something, whose answers nobody waits for."""
        with self._lock:
            self._last += 1
            for each in self._consumers():
                each.tell(events.Ask(self._last, method, arguments))

    def _settle(self, number: int) -> None:
        question = self._questions[number]
        if question.waiting:
            return
        del self._questions[number]
        if question.begins and self._agree:
            self._agree(functools.partial(_answer, question))
            return
        ahead_s = self._ahead_s() if question.begins else None
        if len(question.askers) == 1 and ahead_s is None:
            _answer(question, None)
            return
        begin_in_s = AHEAD_S if ahead_s is None else ahead_s
        _answer(question, time.perf_counter_ns() + int(begin_in_s * NS))


def _answer(question: _Question, begin_ns: int | None) -> None:
    """Tell all who asked what the consumers answered, and when to begin."""
    values = dict(question.values)
    if begin_ns is not None:
        values.setdefault(events.BEGIN_AT, begin_ns)
    for asker, its_number in question.askers:
        asker.tell(events.Answer(its_number, values))
