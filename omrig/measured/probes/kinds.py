"""Numbers for what rows cannot hold: the kinds of messages, and the names of exceptions."""

from collections.abc import Callable
from itertools import count
from typing import Any

from omrig.model.stamps import ENDED_WELL

MOST = 4096
"""So many kinds get a number: whoever puts something else into the method of each message has as
many kinds as messages, and what is kept of them is not to grow."""


Key = tuple[str, str, str, str, str]
"""What messages have in common, by ``NAMES``: the pattern is ``call``, ``cast``, ``fanout`` or
``notify``, and on the other side ``served``. What there is not is empty."""

NAMES = ("pattern", "exchange", "topic", "namespace", "method")
"""The parts of a kind, in order."""


class Kinds:
    """Gives numbers, and calls ``write`` with each new one and what it stands for.

    Without a lock: of two threads that ask for the same new one at the same time one finds the
    other's, and its own number is nobody's.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self._kinds: dict[Key, int] = {}
        self._outcomes: dict[str, int] = {}
        self._next_kind = count(1)
        self._next_outcome = count(ENDED_WELL + 1)

    def kind(self, kind: Key) -> int:
        """The number of a kind; 0 where there are too many. Raises what ``write`` does."""
        return self._kinds.get(kind) or self._new_kind(kind)

    def _new_kind(self, kind: Key) -> int:
        if len(self._kinds) >= MOST:
            return 0
        number = next(self._next_kind)
        found = self._kinds.setdefault(kind, number)
        if found == number:
            told = {name: str(part) for name, part in zip(NAMES, kind, strict=True)}
            self._write({"number": number, **told})
        return found

    def outcome(self, name: str) -> int:
        """The number of an exception's name; 0 where there are too many. Raises as above."""
        found = self._outcomes.get(name)
        if found is not None:
            return found
        if len(self._outcomes) >= MOST:
            return 0
        number = next(self._next_outcome)
        found = self._outcomes.setdefault(name, number)
        if found == number:
            self._write({"outcome": number, "name": name})
        return found
