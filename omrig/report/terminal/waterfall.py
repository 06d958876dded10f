"""The waterfall: the stages of one message as bars in time, for the terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.model.result import Waterfall
from omrig.model.stages import STAGES
from omrig.report import owners
from omrig.report.layout import (
    LEAST_SHARE,
    TITLES,
    Span,
    drawn,
    fork,
    length,
    owner_of,
    spans,
)

_SIDE_BY_SIDE = 76
"""Width in columns from which both messages fit beside each other."""

_WITH_OWNERS = {1: 56, 2: 90}
"""Width from which owners are named, not only coloured, by the number of messages in a table."""

_SHORTEST_BAR = 8
_DURATION_WIDTH = 7
_OWNER_WIDTH = max(len(owner) for owner in owners.TITLES)
_STAGE_WIDTH = max(len(stage.name) for stage in STAGES)


def bar(span: Span, whole_ns: int, width: int, ascii_only: bool = False) -> str:
    """``span`` within ``whole_ns`` as ``width`` characters, to half a character.

    Whatever lasts at all is seen.
    """
    halves = 2 * width
    begin = round(halves * span.begin_ns / max(1, whole_ns))
    end = round(halves * span.end_ns / max(1, whole_ns))
    if span.length_ns and begin == end:
        begin = min(begin, halves - 1)
        end = begin + 1
    cells = ((begin <= half < end, begin <= half + 1 < end) for half in range(0, halves, 2))
    signs = {(False, False): " ", (True, False): "▌", (False, True): "▐", (True, True): "█"}
    if ascii_only:
        signs |= dict.fromkeys(((True, False), (False, True), (True, True)), "#")
    return "".join(signs[cell] for cell in cells)


def render(
    waterfall: Waterfall, pattern: str, width: int, ascii_only: bool = False
) -> list[Table | Text]:
    """Both messages, beside each other where there is room, and what was left out."""
    messages = {name: spans(waterfall.message(name), pattern) for name in TITLES}
    names = drawn(list(messages.values()))
    if not names:
        return []
    both = list(messages)
    groups = [both] if width >= _SIDE_BY_SIDE else [[name] for name in both]
    tables = [
        _table({name: messages[name] for name in group}, names, width, ascii_only)
        for group in groups
    ]
    notes = _left_out(messages, names)
    if two_ends := fork(waterfall.mean, pattern):
        notes.append(
            Text(f"{', '.join(two_ends.aside)} go on while the message is under way", "dim")
        )
    return [*tables, *notes]


def _table(
    messages: Mapping[str, Mapping[str, Span]], names: Sequence[str], width: int, ascii_only: bool
) -> Table:
    with_owners = width >= _WITH_OWNERS[len(messages)]
    taken = _STAGE_WIDTH + 1 + (_OWNER_WIDTH + 1) * with_owners
    room = (width - taken) // len(messages) - _DURATION_WIDTH - 2 * len(messages)
    bar_width = max(_SHORTEST_BAR, room)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    if with_owners:
        table.add_column("whose", width=_OWNER_WIDTH, no_wrap=True, style="dim")
    table.add_column("stage", width=_STAGE_WIDTH, no_wrap=True)
    for name, message in messages.items():
        table.add_column(_heading(name, message, bar_width), width=bar_width, no_wrap=True)
        table.add_column("", width=_DURATION_WIDTH, justify="right", no_wrap=True)
    for name in names:
        owner = owner_of(name)
        cells = [Text(name, owners.style(owner))]
        for message in messages.values():
            text = bar(message[name], length(message), bar_width, ascii_only)
            cells += [Text(text, owners.style(owner)), _duration(message[name])]
        table.add_row(*([Text(owner)] if with_owners else []), *cells)
    return table


def _heading(name: str, message: Mapping[str, Span], width: int) -> str:
    took = units.duration(length(message))
    whole = f"{TITLES[name]}, {took}"
    return whole if len(whole) <= width else f"{name} {took}"


def _duration(span: Span) -> Text:
    return Text(units.duration(span.length_ns) if span.length_ns else "0")


def _left_out(messages: Mapping[str, Mapping[str, Span]], names: Sequence[str]) -> list[Text]:
    hidden = [name for name in messages["mean"] if name not in names]
    if not hidden:
        return []
    parts = []
    for name, message in messages.items():
        together = sum(message[each].length_ns for each in hidden)
        share = 100 * together / max(1, length(message))
        parts.append(f"{units.duration(together)} ({share:.1f} %) of {TITLES[name]}")
    noun = "stage" if len(hidden) == 1 else "stages"
    text = f"{len(hidden)} more {noun} below {100 * LEAST_SHARE:g} % add up to {', '.join(parts)}"
    return [Text(text, "dim")]
