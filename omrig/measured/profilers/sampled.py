"""What samples of stacks say of each function."""

from collections import Counter
from collections.abc import Sequence

from omrig.formats.stacks import Frame, Profile
from omrig.measured.profilers import positions
from omrig.measured.profilers.names import Names
from omrig.measured.profilers.whereabouts import At
from omrig.model.functions import NOWHERE, Function, Functions


def at(frame: Frame) -> At:
    """A level of a stack, as it is compared with places that are known."""
    return At(frame.file or "", frame.name, frame.line or 0)


def functions(
    profiles: Sequence[Profile], courses: positions.Courses | None, names: Names
) -> Functions:
    """The samples by function, and by stage where the ``courses`` of messages are known.

    Functions that were never on top of a stack are there, too.
    """
    own: dict[tuple[str, str], Counter[str]] = {}
    lines: dict[tuple[str, str], int] = {}
    counted = Counter(stack for profile in profiles for stack, _ in profile.stacks if stack)
    for stack, samples in counted.items():
        for frame in stack:
            key = frame.file or "", frame.name
            own.setdefault(key, Counter())
            lines[key] = min(lines.get(key, frame.line or 0), frame.line or 0)
        placed = positions.place(tuple(map(at, stack)), courses) if courses else None
        stage = (placed.stage if placed else None) or NOWHERE
        own[stack[-1].file or "", stack[-1].name][stage] += samples
    made = [
        Function(
            module=names.module(file),
            name=name,
            own=stages.total(),
            stages=dict(stages) if courses else None,
            file=file,
            line=lines[file, name],
        )
        for (file, name), stages in own.items()
    ]
    made.sort(key=lambda each: (-each.own, each.module, each.name))
    return Functions(unit="samples", clock="running", functions=tuple(made))
