"""The embedded brokers that runs in turn share: one of each RabbitMQ that their plans ask for."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.model.plan import Plan
from omrig.model.result import Result
from omrig.supervisor import destination
from omrig.supervisor.display import Display
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded

Measure = Callable[[Plan, Display, Interrupts, "Embedded | None"], "tuple[Path, Result]"]
"""Runs a plan and accounts for it: the run folder and the result."""

MeasureAtOnce = Callable[
    [Sequence[Plan], Display, Interrupts, Sequence["Embedded | None"]], list[tuple[Path, Result]]
]
"""Runs plans at once, each with its broker: the run folder and the result of each. What shows them
shows no counts."""


class Brokers:
    """Brokers by what they are started from, each from when it is first needed until the end."""

    def __init__(
        self, stack: contextlib.ExitStack, make_display: Callable[[int | None], Display]
    ) -> None:
        self._stack = stack
        self._make_display = make_display
        self._started: dict[str, Embedded] = {}

    def of(self, plan: Plan) -> "Embedded | None":
        """The broker for a run of ``plan``; None where that needs none.

        Raises ``UsageError`` where there is no such RabbitMQ or the configuration cannot be read,
        ``RunError`` where it does not come up.
        """
        if not destination.needs_broker(plan):
            return None
        from omrig.broker.rabbitmq import installed, versions

        key = os.path.realpath(installed.server(*versions.asked(plan.software.rabbitmq)))
        if key not in self._started:
            with contextlib.closing(self._make_display(None)) as display:
                made = destination.own_broker(display, plan.software.rabbitmq)
                self._started[key] = self._stack.enter_context(made)
        return self._started[key]


@contextlib.contextmanager
def opened(
    plans: Sequence[Plan], make_display: Callable[[int | None], Display]
) -> Iterator[Brokers]:
    """The brokers that the runs of ``plans`` need, and room for more, until the block ends."""
    with contextlib.ExitStack() as stack:
        brokers = Brokers(stack, make_display)
        for plan in plans:
            brokers.of(plan)
        yield brokers
