"""Messages as bars in time: the waterfall of one message, ready to be drawn to scale."""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from omrig.model.stages import BY_NAME
from omrig.report import layout, owners
from omrig.report.layout import Span

_MOST_TICKS = 5
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))

_LEGS = {
    ("producer", 0): "producer",
    ("wire", 0): "network and broker",
    ("consumer", 0): "consumer",
    ("wire", 1): "network and broker, with the reply",
    ("producer", 1): "producer, with the reply",
}
"""Where a message is, by side and how often it was there before."""


@dataclasses.dataclass(frozen=True)
class Bar:
    """A stage of a message: whose it is, and where it lies, in percent of the whole."""

    name: str
    owner: str
    length_ns: int
    left: float
    width: float
    aside: bool


@dataclasses.dataclass(frozen=True)
class Leg:
    """A part of the way of a message, on one side or between two."""

    title: str
    length_ns: int
    bars: list[Bar]


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark of the time axis, ``left`` in percent of the whole."""

    text: str
    left: float


@dataclasses.dataclass(frozen=True)
class Message:
    """A message to be drawn.

    ``left_out`` and ``left_out_ns`` are how many stages are too short to be seen, and what they
    add up to. ``strip`` are all bars in a line, to a scale that other messages share.
    """

    length_ns: int
    legs: list[Leg]
    ticks: list[Tick]
    left_out: int
    left_out_ns: int
    strip: list[Bar]


def draw(
    messages: Sequence[Mapping[str, int]], pattern: str, common_ns: int | None = None
) -> list[Message]:
    """The messages, each to its own scale and with the same stages; strips to ``common_ns``."""
    placed = [layout.spans(durations, pattern) for durations in messages]
    names = layout.drawn(placed) if placed else []
    fork = layout.fork(messages[0], pattern) if messages else None
    aside = fork.aside if fork else ()
    return [_message(spans, names, aside, common_ns) for spans in placed]


def owner_of(stage: str) -> str:
    """Whose time a stage is."""
    known = BY_NAME[stage]
    return owners.owner_of(owners.bucket_of(stage, known.bucket))


def _message(
    spans: Mapping[str, Span], names: Sequence[str], aside: Collection[str], common_ns: int | None
) -> Message:
    whole = layout.length(spans)
    hidden = [name for name in spans if name not in names]
    return Message(
        length_ns=whole,
        legs=list(_legs(spans, names, aside, whole)),
        ticks=ticks(whole),
        left_out=len(hidden),
        left_out_ns=sum(spans[name].length_ns for name in hidden),
        strip=[
            _bar(name, span, aside, common_ns or whole)
            for name, span in spans.items()
            if span.length_ns >= layout.LEAST_SHARE * (common_ns or whole)
        ],
    )


def _legs(
    spans: Mapping[str, Span], names: Sequence[str], aside: Collection[str], whole: int
) -> Iterator[Leg]:
    seen: dict[str, int] = {}
    for side, group in itertools.groupby(spans, key=lambda name: BY_NAME[name].side):
        members = list(group)
        title = _LEGS.get((side, seen.get(side, 0)), side)
        if members[0] in aside:
            title = "producer, while the message is under way"
        seen[side] = seen.get(side, 0) + 1
        bars = [_bar(name, spans[name], aside, whole) for name in members if name in names]
        if bars:
            yield Leg(title, sum(spans[name].length_ns for name in members), bars)


def _bar(name: str, span: Span, aside: Collection[str], whole: int) -> Bar:
    return Bar(
        name=name,
        owner=owner_of(name),
        length_ns=span.length_ns,
        left=round(100 * span.begin_ns / max(1, whole), 3),
        width=round(100 * span.length_ns / max(1, whole), 3),
        aside=name in aside,
    )


def ticks(whole: int) -> list[Tick]:
    """Round times from 0 up to the whole."""
    if whole <= 0:
        return []
    step = _round_up(whole / _MOST_TICKS)
    factor, unit = next(each for each in _UNITS if whole >= each[0])
    return [
        Tick(
            f"{step * number / factor:g} {unit}" if number else "0",
            round(100 * step * number / whole, 3),
        )
        for number in range(int(whole // step) + 1)
    ]


def _round_up(value: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(each * magnitude for each in (1, 2, 5, 10) if each * magnitude >= value)
