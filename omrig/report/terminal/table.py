"""Tables of names and figures that fit a terminal: names are cropped, figures never."""

import dataclasses
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

_SHORTEST = 12
"""A name is cropped to the room there is, but not further."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column beside that of the names."""

    heading: str
    values: Sequence[str]
    text_width: int = 0
    """Texts are cropped to this width; figures, with 0, are not."""

    @property
    def width(self) -> int:
        """In columns, without what is between them."""
        longest = max(map(len, [self.heading, *self.values]))
        return min(longest, self.text_width) if self.text_width else longest


def fitting(
    names: Sequence[str], columns: Sequence[Column], left_out: Sequence[str], width: int
) -> list[Column]:
    """The columns that fit beside whole names; those that are ``left_out``, by their headings, go
    first, in that order."""
    found = list(columns)
    for heading in left_out:
        if max(map(len, names)) + sum(column.width + 3 for column in found) + 2 <= width:
            break
        found = [column for column in found if column.heading != heading]
    return found


def sentence(line: str) -> Text:
    """A note below a table."""
    return Text(f"{line[:1].upper()}{line[1:]}.")


def table(heading: str, names: Sequence[str], columns: Sequence[Column], width: int) -> Table:
    """A table of this width at most, whose names get the room that the other columns leave."""
    # The box draws a blank at either edge and three between columns.
    left = width - 2 - sum(column.width + 3 for column in columns)
    named = Column(heading, names, max(_SHORTEST, left))
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in (named, *columns):
        made.add_column(
            column.heading,
            justify="left" if column.text_width else "right",
            no_wrap=True,
            overflow="ellipsis",
            width=column.width,
        )
    for row in zip(named.values, *(column.values for column in columns), strict=True):
        made.add_row(*map(Text, row))
    return made
