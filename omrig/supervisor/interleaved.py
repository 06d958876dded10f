"""Two configurations measured in turn on one broker, so that a drift favours neither.

A machine's speed changes over minutes: neighbours, temperature, the broker's own state. Runs of A
and then runs of B compare two times as well as two configurations. In the order A B B A A B B A ...
every pair is made within one and the same stretch, and each is first as often as the other.
"""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Plan
from omrig.model.result import Result
from omrig.supervisor import destination
from omrig.supervisor.display import Display
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.model.result import Result

NAMES = ("a", "b")
"""The folders of the two configurations' runs."""


def order(pairs: int) -> Iterator[tuple[int, str]]:
    """The runs in order: number of the pair from 1, and whose turn it is."""
    for number in range(pairs):
        for name in NAMES if number % 2 == 0 else reversed(NAMES):
            yield number + 1, name


Measure = Callable[[Plan, Display, Interrupts, "Embedded | None"], "tuple[Path, Result]"]
"""Runs a plan and accounts for it: the run folder and the result."""


def run(
    plans: tuple[Plan, Plan],
    pairs: int,
    folder: Path,
    measure: Measure,
    make_display: Callable[[int | None], Display],
    say: Callable[[str], None],
) -> tuple[int, bool]:
    """Measure both plans ``pairs`` times each, into ``folder``/a/01, ``folder``/b/01 and so on.

    A plan without a transport uses one embedded broker, the same for all runs. ``make_display``
    makes what shows a run of so many messages, ``say`` is told of each run that has ended. Returns
    how many pairs there are in the end and whether it was interrupted. Raises
    ``UsageError`` when the folder holds runs already or a plan cannot be run,
    and ``RunError`` when a run fails: what was measured until then stays.
    """
    if any((folder / name).exists() for name in NAMES):
        raise UsageError(f"--output: {folder} already holds runs; name another folder")
    done = 0
    begun: set[str] = set()
    interrupts = Interrupts()
    with interrupts.handled(), one_broker(plans, make_display(None)) as broker:
        for number, name in order(pairs):
            plan = plans[NAMES.index(name)]
            # Who agreed to the first run of a plan did to the others.
            plan = plan.with_transport(yes=plan.transport.yes or name in begun)
            output = dataclasses.replace(plan.output, folder=str(folder / name / f"{number:02}"))
            plan = dataclasses.replace(plan, run_id=uuid.uuid4().hex, output=output)
            try:
                with contextlib.closing(make_display(plan.load.messages)) as display:
                    path, result = measure(plan, display, interrupts, broker)
            except KeyboardInterrupt:
                return done // 2, True
            begun.add(name)
            if interrupts.count:
                return done // 2, True
            if not result.complete:
                raise RunError(f"run {name} of pair {number} failed: {result.reason} ({path})")
            done += 1
            rate = result.throughput.messages_per_second if result.throughput else 0.0
            say(f"pair {number} of {pairs}: {name.upper()} {rate:,.1f} msg/s")
    return done // 2, False


@contextlib.contextmanager
def one_broker(plans: Sequence[Plan], display: Display) -> "Iterator[Embedded | None]":
    """An embedded broker for all runs; None where none of the plans needs one."""
    if not any(destination.needs_broker(plan) for plan in plans):
        yield None
        return
    try:
        with destination.own_broker(display) as broker:
            display.close()
            yield broker
    finally:
        display.close()
