"""What each function of a process took, under a name that is the same in another environment."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from omrig.model.values import UNLESS_NONE, Value

Unit = Literal["nanoseconds", "samples"]
"""What own times are counted in."""

NOWHERE = ""
"""The stage of what belongs to no message."""


def file_of(mode: str) -> str:
    """The file in the folder of a side in which a profiler ``mode`` leaves its functions."""
    return f"functions.{mode}.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function(Value):
    """A function by its ``module`` and qualified ``name``, wherever that is installed.

    ``own`` is what it took itself, with the builtins that it called, and ``stages`` the parts of
    that by stage (``""``: in none); None where no stages are known. ``calls`` of it and the calls
    that it ``made`` are exact, None where they were not counted. ``file`` and ``line`` say where it
    was in this run.
    """

    module: str
    name: str
    own: float
    calls: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    made: int | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    stages: Mapping[str, float] | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    file: str = ""
    line: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Functions(Value):
    """All functions that a profiler saw in a process; ``clock`` is what it counted time with."""

    unit: Unit
    clock: str
    functions: tuple[Function, ...]
