"""What the messages of a recording are called: the numbers of each process as those of all."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

import numpy

from omrig.model.columns import Flags, Integers
from omrig.model.patterns import CALL, CAST, FANOUT, NOTIFY, PATTERNS
from omrig.model.service import MethodName
from omrig.model.stamps import ENDED_WELL
from omrig.recordings.services.processes import Recorded

_Name = TypeVar("_Name")

NOT_ENDED = 0
"""The outcome of a message that has not ended, or of which it is not known."""

TIMED_OUT = "MessagingTimeout"
"""What a call raises to which nobody answered in time."""


class Numbers(Generic[_Name]):
    """Names in the order of their numbers, which begin at ``first``."""

    def __init__(self, first: int = 0) -> None:
        self.names: list[_Name] = []
        self._first = first
        self._places: dict[_Name, int] = {}

    def of(self, name: _Name) -> int:
        """The number of a name, which it has from now on."""
        if name not in self._places:
            self._places[name] = len(self.names) + self._first
            self.names.append(name)
        return self._places[name]


UNKNOWN = "unknown"
"""What a message raised whose process did not say it."""


PRIORITIES = frozenset({"audit", "debug", "info", "warn", "error", "critical", "sample"})
"""What the topic of a notification ends with, after a dot."""


def renumbered(column: Integers, known: Mapping[int, int], other: int) -> Integers:
    """A column with other numbers; those that are not ``known`` are ``other``."""
    values, places = numpy.unique(column, return_inverse=True)
    numbers = numpy.array([known.get(int(value), other) for value in values], numpy.int64)
    return numbers[places] if len(column) else column


def of_process(
    process: Recorded, side: str, kinds: Numbers[MethodName], outcomes: Numbers[str]
) -> dict[str, Integers]:
    """The columns ``kind`` and ``outcome`` of a process in the numbers of all processes."""
    columns = process.columns[side]
    known = {number: kinds.of(name) for number, name in process.kinds.items()}
    ends = {number: outcomes.of(name) for number, name in process.outcomes.items()}
    ends |= {NOT_ENDED: NOT_ENDED, ENDED_WELL: ENDED_WELL}
    return {
        "kind": renumbered(columns["kind"], known, kinds.of(MethodName())),
        "outcome": renumbered(columns["outcome"], ends, outcomes.of(UNKNOWN)),
    }


def as_sent(kind: Integers, replied: Flags, kinds: Numbers[MethodName]) -> Integers:
    """The kinds of messages of which only a server has a row, as their senders would call them.

    A server does not know whether it was a cast, a fanout or a notification: it is what others send
    under that name, and a notification where the topic says so.
    """
    known = list(kinds.names)
    sent = [each for each in known if each.pattern in PATTERNS]
    found = numpy.empty_like(kind)
    for number in numpy.unique(kind).tolist():
        for answered in (False, True):
            mine = (kind == number) & (replied == answered)
            if mine.any():
                found[mine] = kinds.of(_as_sent(known[number], answered, sent))
    return found


def _as_sent(name: MethodName, answered: bool, sent: Iterable[MethodName]) -> MethodName:
    if name.pattern in PATTERNS:
        patterns = [name.pattern]
    else:
        patterns = [CALL.name] if answered else [CAST.name, FANOUT.name, NOTIFY.name]
        if not answered and name.topic.rpartition(".")[2] in PRIORITIES:
            patterns = [NOTIFY.name]
    for pattern in patterns:
        for each in sent:
            if each.pattern == pattern and _key(each) == _key(name):
                return each
    return dataclasses.replace(name, pattern=patterns[0])


def _key(name: MethodName) -> tuple[str, str, str]:
    # The exchange is a default of the one side's configuration, and written out by the other.
    return name.topic, name.namespace, name.method
