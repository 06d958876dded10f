"""The implementation of the stamps that this process uses: in C, or in Python where that was not
built or ``OMRIG_STAMP=python`` asks for it. Both do the same (``tests/unit/measured/test_stamps``).

The load reads its clock with :data:`clock`, which stamps the message's record in the same call
where the instrument is in.
"""

import importlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omrig.model.errors import UsageError

CHOICE = "OMRIG_STAMP"
"""The environment variable that asks for ``python`` or ``c``."""

_IN_PYTHON = "omrig.measured.probes.stamp_python"
"""Not imported where it is not used: each process of a service pays for what is."""


def _chosen() -> Any:
    """The module to use. Raises ``UsageError`` where the one that was asked for is not there."""
    asked = os.environ.get(CHOICE, "")
    if asked not in ("", "c", "python"):
        raise UsageError(f"{CHOICE}={asked}: give c or python, or unset it")
    if asked == "python":
        return importlib.import_module(_IN_PYTHON)
    try:
        return importlib.import_module("omrig.measured.probes._stamp")
    except ImportError as error:
        if asked == "c":
            raise UsageError(
                f"{CHOICE}=c: the stamps in C cannot be used here ({error}); with a compiler and"
                " Python's headers set-up builds them; or unset it"
            ) from error
        return importlib.import_module(_IN_PYTHON)


_implementation = _chosen()

IMPLEMENTATION = "python" if _implementation.__name__ == _IN_PYTHON else "c"
"""``c`` or ``python``."""

if TYPE_CHECKING:
    from omrig.measured.probes.stamp_python import Link as Link
    from omrig.measured.probes.stamp_python import Record as Record
    from omrig.measured.probes.stamp_python import Stamps as Stamps
else:
    Link, Record, Stamps = (getattr(_implementation, name) for name in ("Link", "Record", "Stamps"))

now = time.perf_counter_ns


class Clock:
    """What the load reads its clock with (:func:`time.perf_counter_ns`): ``begin(seq)`` and
    ``end()`` where a message of its own begins and ends, ``entered()`` where its endpoint is.

    Once stamps are put in, each also stamps the message's record, so that nothing comes between the
    two readings.
    """

    def __init__(self) -> None:
        self.begin: Callable[[int], int] = _clock_of
        self.end: Callable[[], int] = now
        self.entered: Callable[[], int] = now

    def put_in(self, stamps: Stamps) -> None:
        """Have the load's messages stamped from now on."""
        self.begin, self.end, self.entered = stamps.begin, stamps.end, stamps.entered


def _clock_of(_seq: int) -> int:
    return now()


clock = Clock()
"""Of this process: there is one load and one instrument in it."""
