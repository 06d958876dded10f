"""In which stage the running code is: what the stage instrument offers the other modes."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

NO_MESSAGE = "no message was being worked on: polling, heartbeats, the hub, the load itself"
"""Why code is in no stage, where the instrument knew of no message."""

NOT_LEARNED = "the stage instrument has seen no message on its way"
"""Why stages cannot be told, where that takes to know at which places messages go on."""

NOWHERE = 0
"""The number for no message."""


class At(NamedTuple):
    """A level of a stack: where its function is at work."""

    file: str
    function: str
    """The qualified name."""
    line: int


Stack = tuple[At, ...]
"""The outermost level first."""


class Passed(NamedTuple):
    """A message went on to ``stage`` (empty: it ended), when the stack of ``thread`` was this."""

    stage: str
    stack: Stack
    thread: int
    """The number of the thread or greenlet."""


@dataclasses.dataclass(frozen=True)
class Whereabouts:
    """Tells in which stage the message is that the running thread or greenlet works on.

    ``where`` costs little: it may be called at every call of a function. It returns the place of
    the stage in ``places``, from 1, or 0 where there is no message. ``passed`` are the passages of
    some messages, each in the order in which they happened.
    """

    where: Callable[[], int]
    places: Sequence[str]
    passed: Callable[[], Iterable[Sequence[Passed]]] = tuple

    def stage(self, number: int) -> str | None:
        """The stage that ``where`` means; None where there is no message."""
        return self.places[number - 1] if NOWHERE < number <= len(self.places) else None
