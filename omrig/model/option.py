"""A field of the Plan that the command line can set, and how: the parsers are built from these."""

import dataclasses
from typing import Any, Literal

Kind = Literal[
    "count",
    "count_or_none",
    "rate",
    "sizes",
    "mix",
    "seconds",
    "fraction",
    "text",
    "names",
    "list",
    "flag",
]
"""How an option is written: a number from 1 or from 0, messages a second, kilobytes for bytes or
what stands for many sizes, patterns with their proportions, seconds, ``1/N`` for N, a text, several
in one separated by commas, one each time it is given, or nothing at all."""


@dataclasses.dataclass(frozen=True)
class FieldOption:
    """The spellings of an option, its kind of value, and its help.

    ``{default}`` in the help stands for the field's default as it would be typed.
    """

    flags: tuple[str, ...]
    kind: Kind
    help: str
    metavar: str | None = None

    @property
    def name(self) -> str:
        """The attribute that argparse makes of the long spelling."""
        return self.flags[-1].removeprefix("--").replace("-", "_")


def option(
    default: Any,
    *flags: str,
    kind: Kind,
    help: str,
    metavar: str | None = None,
    repr: bool = True,
    **more: Any,
) -> Any:
    """A dataclass' field with an option; ``more`` goes into its metadata."""
    made = FieldOption(flags, kind, help, metavar)
    return dataclasses.field(default=default, repr=repr, metadata={"option": made, **more})


def choices(values: tuple[str, ...]) -> str:
    """The help of an option that is one of ``values``."""
    *first, last = values
    return f"{', '.join(first)} or {last} (default {{default}})"
