"""Runs at once, whose loads begin at one instant: a duet.

Where a machine's speed changes from second to second, no two runs after each other had the same
one; at once and on one core they have, whatever it is. Each is supervised by a process of its own.
[L. Bulej, V. Horký, P. Tůma, F. Farquet, A. Prokopec: Duet Benchmarking: Improving Measurement
Accuracy in the Cloud. ICPE 2020.]
"""

import dataclasses
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.model import interpreter
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Plan
from omrig.supervisor import elsewhere
from omrig.supervisor.display import Display
from omrig.supervisor.elsewhere import Meeting
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.recorded import Recorded

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the runs: its ``plan``, the ``python`` whose packages it has, and ``code``, a path of
    folders by which that finds omrig (unless told, all that this process does).

    ``broker`` is as in :func:`omrig.supervisor.run.run`.
    """

    plan: Plan
    broker: "Embedded | None" = None
    python: Path = Path(sys.executable)
    code: str = dataclasses.field(default_factory=lambda: interpreter.environment()["PYTHONPATH"])


def core() -> int:
    """The core on which all of them run: the last that this process may use.

    The cores of a rented machine are of different speeds at any one time; a shared one is as fast
    for both.
    """
    return max(os.sched_getaffinity(0))


def run(parts: Sequence[Part], display: Display, interrupts: Interrupts) -> list[Recorded]:
    """Do what the plans say at once; what each of them recorded.

    ``display`` is told of all of them. Raises what :func:`omrig.supervisor.run.run` raises, of the
    one that failed first.
    """
    meeting = Meeting(len(parts), core())
    found: dict[int, Recorded] = {}
    failed: list[BaseException] = []

    def supervise(number: int, part: Part) -> None:
        try:
            found[number] = elsewhere.run(
                part.python, part.code, part.plan, display, interrupts, part.broker, meeting
            )
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            failed.append(error)

    threads = [
        threading.Thread(target=supervise, args=each, name="omrig duet")
        for each in enumerate(parts)
    ]
    with interrupts.deferring():
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    if failed:
        raise _cause(failed)
    return [found[number] for number in range(len(parts))]


def _cause(failed: Sequence[BaseException]) -> BaseException:
    """Why it failed: what was asked to end because of another one is no reason."""
    reasons = [each for each in failed if isinstance(each, UsageError | RunError | OSError)]
    return next(iter(reasons), failed[0])
