"""Two configurations measured at once: how ``--duet`` is checked and done."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import environments
from omrig.cli.run import accounted
from omrig.model.errors import UsageError
from omrig.model.plan import Plan
from omrig.model.result import Result
from omrig.supervisor import duet
from omrig.supervisor.display import Display
from omrig.supervisor.duet import Part
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded


def check(plans: Sequence[Plan]) -> None:
    """Refuse what would have one of the loads alone on the machine for a while.

    Raises ``UsageError``.
    """
    lasting = {plan.pace.duration_s for plan in plans}
    if len(lasting) > 1 or None in lasting:
        raise UsageError(
            "--duet: both loads have to last as long, or the slower one ends alone on the machine;"
            " give each the same --duration"
        )
    if any(plan.load.messages is not None and not plan.pace.is_open for plan in plans):
        raise UsageError(
            "--duet: -m would end a load before its --duration, and leave the other one alone;"
            " leave it out"
        )


def measure(
    plans: Sequence[Plan],
    display: Display,
    interrupts: Interrupts,
    brokers: Sequence["Embedded | None"],
) -> list[tuple[Path, Result]]:
    """Run the plans at once, and account for them afterwards: the folder and result of each.

    ``display`` is one that shows no counts: those of two runs would be taken for one's. Raises what
    :func:`omrig.cli.run.measure` raises.
    """
    parts = [_part(plan, display, broker) for plan, broker in zip(plans, brokers, strict=True)]
    recorded = duet.run(parts, display, interrupts)
    return [(each.folder, accounted(each, interrupts)) for each in recorded]


def _part(plan: Plan, display: Display, broker: "Embedded | None") -> Part:
    if not plan.software.has_environment:
        return Part(plan, broker)
    made = environments.made_for(plan, display)
    return Part(plan, broker, made.python, str(made.code))
