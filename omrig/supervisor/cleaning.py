"""What a run declares on the broker: written down before, deleted after it."""

from pathlib import Path

from omrig.broker import declared, leftovers
from omrig.model.declared import FILE
from omrig.model.run import Left
from omrig.supervisor.destination import Destination
from omrig.supervisor.display import Display


def record(to: Destination, display: Display) -> Path:
    """Begin the record of what the run declares; from now on its plan names the file."""
    path, elsewhere = declared.begin(
        to.plan, to.transport.login, broker_lasts=to.has_lasting_broker
    )
    to.plan = to.plan.with_transport(record=str(path))
    if elsewhere and to.has_lasting_broker:
        display.tell(elsewhere)
    return path


def clean_up(path: Path, to: Destination, display: Display) -> tuple[Left, ...]:
    """Delete what was declared, and the record of it; say what is left, and keep that.

    Returns what is left.
    """
    try:
        things = declared.read(path).things
        lasting = things if to.has_lasting_broker else leftovers.of_kind(FILE, things)
        left = to.broker.clean_up(lasting)
        if not left:
            path.unlink(missing_ok=True)
            return ()
    except (OSError, ValueError) as error:
        # The load is over, and what it measured is not lost with this.
        display.tell(
            f"the record of what the run declared cannot be used any more ({error}): look for"
            f" queues and exchanges with {to.plan.tag} in their names on the broker"
        )
        return ()
    for line in leftovers.told(left):
        display.tell(line)
    display.tell("or, with the same transport options: omrig clean")
    return tuple(
        Left(
            kind=each.thing.kind,
            name=each.thing.name,
            reason=each.reason,
            command=each.command,
        )
        for each in left
    )
