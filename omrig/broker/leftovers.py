"""What the clean-up after a run could not delete; and the files, which need no broker."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from omrig.model.declared import FILE, Thing


@dataclasses.dataclass(frozen=True)
class Left:
    """What was not deleted, why, and the command with which whoever may deletes it."""

    thing: Thing
    reason: str
    command: str


def told(left: Sequence[Left]) -> list[str]:
    """What was left and why, in lines for a person, with the command that deletes each."""
    lines = []
    for reason in dict.fromkeys(each.reason for each in left):
        alike = [each for each in left if each.reason == reason]
        names = ", ".join(f"{each.thing.kind} {each.thing.name}" for each in alike)
        lines += [f"left behind: {names}: {reason}; what deletes it:"]
        lines += [f"  {each.command}" for each in alike]
    return lines


def of_kind(kind: str, things: Sequence[Thing]) -> list[Thing]:
    """Those of ``things`` that are of this kind."""
    return [each for each in things if each.kind == kind]


def remove_files(things: Sequence[Thing]) -> list[Left]:
    """Delete the files among ``things``, in which a driver keeps what it counts; those left."""
    return [left for each in of_kind(FILE, things) if (left := _unlink(each))]


def remaining_files(things: Sequence[Thing]) -> list[Thing]:
    """The files among ``things`` that are there."""
    return [each for each in of_kind(FILE, things) if Path(each.name).exists()]


def _unlink(thing: Thing) -> Left | None:
    try:
        Path(thing.name).unlink(missing_ok=True)
    except OSError as error:
        command = shlex.join(["rm", thing.name])
        return Left(thing, error.strerror or str(error), command)
    return None
