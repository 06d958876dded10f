"""Where in the code a message goes on from stage to stage, learned from the first few of a load.

What a sampling profiler saw can then be put in order (:mod:`omrig.measured.profilers.positions`).
"""

import sys
import threading
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from omrig.measured.probes.state import State
from omrig.measured.profilers.whereabouts import At, Passed
from omrig.model.places import PLACES

MOST_RECORDS = 24
"""Of so many it learns: a call has a record where it is sent, one where its reply was received, and
as many on the other side. The first ones make connections, which later ones do not."""

_ENTRY_BYTES = 60
"""A call at the beginning of a function is within so many bytes of its code: what there is for its
closures, and the instructions that were put in."""


class Learner:
    """Notes the stack at which each stamp of a few records is set."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._passed: dict[int, list[Passed]] = {}
        self._records: list[Any] = []
        state.stamps.learn(self)

    def __call__(self, record: Any, place: int) -> None:
        """A stamp has been set in ``record``, after which its code is at ``place``."""
        passed = self._passed.get(id(record))
        if passed is None:
            if len(self._records) == MOST_RECORDS:
                self._state.stamps.learn(None)
                return
            # Kept: another record must not get the same id.
            self._records.append(record)
            passed = self._passed[id(record)] = []
        # The caller: the stamp itself has no frame in C, and in Python those of its own module.
        passed.append(Passed(PLACES[place], _stack(sys._getframe(1)), threading.get_ident()))

    def passed(self) -> Sequence[Sequence[Passed]]:
        """Where the messages passed on to which stage, each in order."""
        return [list(each) for each in self._passed.values()]


def _stack(frame: FrameType | None) -> tuple[At, ...]:
    found: list[At] = []
    while frame is not None:
        if found or not _is_own(frame.f_code):
            line = frame.f_lineno if found else _line(frame)
            found.append(At(frame.f_code.co_filename, frame.f_code.co_qualname, line))
        frame = frame.f_back
    return tuple(reversed(found))


def _is_own(code: CodeType) -> bool:
    """Whether it is the code of the stamps."""
    return code.co_filename.startswith(_OWN)


_OWN = __file__.removesuffix("learning.py")


def _line(frame: FrameType) -> int:
    """The line at which a stamp is set: that of the name, where the function has just begun."""
    code = frame.f_code
    return code.co_firstlineno if frame.f_lasti < _ENTRY_BYTES else frame.f_lineno
