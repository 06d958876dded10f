"""Tables whose names are shortened in the middle, for the terminal."""

import dataclasses
from collections.abc import Sequence

from rich.text import Text

from omrig.report.services.names import shortened

_SHORTEST = 16
"""A name is shortened to the room there is, but not further while columns can be spared."""

_GAPS = (2, 1)
"""Blanks between two columns: where there is room, and where there is not."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of figures; with ``named`` one of names, which share the room that is left."""

    heading: str
    values: Sequence[str | Text]
    named: bool = False

    @property
    def width(self) -> int:
        """In letters, where there is room."""
        return max(map(len, [self.heading, *self.values]))


def table(
    columns: Sequence[Column],
    width: int,
    *,
    spared: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> list[Text]:
    """The heading and a line a row, of ``width`` at most: names are shortened, figures never.

    Where names would have no room, the columns with the headings ``spared`` go, the first first.
    ``styles`` are those of the rows.
    """
    shown = _that_fit(columns, width, spared)
    gap = next((gap for gap in _GAPS if _whole(shown, gap) <= width), _GAPS[-1])
    rooms = _rooms(shown, width, gap)
    lines = [_line(shown, rooms, gap, [each.heading for each in shown], "bold")]
    for number in range(len(columns[0].values)):
        cells = [each.values[number] for each in shown]
        lines.append(_line(shown, rooms, gap, cells, styles[number] if styles else ""))
    return lines


def _line(
    columns: Sequence[Column],
    rooms: Sequence[int],
    gap: int,
    cells: Sequence[str | Text],
    style: str,
) -> Text:
    line = Text(style=style, no_wrap=True)
    for column, room, cell in zip(columns, rooms, cells, strict=True):
        if line:
            line.append(" " * gap)
        text = cell if isinstance(cell, Text) else Text(shortened(cell, room))
        blanks = " " * (room - len(text))
        line.append_text(
            Text.assemble(text, blanks) if column.named else Text.assemble(blanks, text)
        )
    line.rstrip()
    return line


def _that_fit(columns: Sequence[Column], width: int, spared: Sequence[str]) -> list[Column]:
    shown = list(columns)
    for heading in spared:
        least = sum(
            min(each.width, _SHORTEST) if each.named else each.width for each in shown
        ) + _GAPS[-1] * (len(shown) - 1)
        if least <= width:
            break
        shown = [each for each in shown if each.heading != heading]
    return shown


def _whole(columns: Sequence[Column], gap: int) -> int:
    return sum(each.width for each in columns) + gap * (len(columns) - 1)


def _rooms(columns: Sequence[Column], width: int, gap: int) -> list[int]:
    """The width of each column: the longest names give way first."""
    rooms = [each.width for each in columns]
    named = [place for place, each in enumerate(columns) if each.named]
    over = _whole(columns, gap) - width
    while over > 0 and any(rooms[place] > 1 for place in named):
        rooms[max(named, key=lambda place: rooms[place])] -= 1
        over -= 1
    return rooms
