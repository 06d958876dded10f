"""Nodes of the broker that were lost during the load: when, and how each side recovered."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy

from omrig.model import patterns
from omrig.model.columns import Integers
from omrig.model.connections import LOST, OPENED
from omrig.model.facts import LostConnections, Outage
from omrig.model.result import Clock
from omrig.model.units import NS
from omrig.recordings.recording import Recording, Sides

TOGETHER_NS = 5 * NS
"""Connections to a node that break within this time broke for one reason: one that is not in use is
found to be lost when it is used next."""

Note = tuple[int, int, str, str]
"""When, the number of the connection, what happened to it, the address."""


def of_run(sides: Sides, clock: Clock | None) -> tuple[Outage, ...] | None:
    """Each node that was lost, in the order of time; None where none was.

    A node counts as lost where its process ended, and where connections to it broke. ``clock`` is
    how the consumer's was put on the producer's.
    """
    began, last = _span(sides)
    if began is None or last is None:
        return None
    ahead = clock.offset_ns if clock and "producer" in sides else 0
    notes = {
        name: _notes(side, began + (ahead if name == "consumer" else 0))
        for name, side in sides.items()
    }
    ended = _ended(sides, began)
    broken = {
        (address, when)
        for each in notes.values()
        for _, when, address in _breaks(each)
        if 0 <= when <= last + TOGETHER_NS
    }
    if not ended and not broken:
        return None
    ends = _ends(sides)
    ends = numpy.sort(ends[ends > 0]) - began
    found = []
    for address in dict.fromkeys([*ended, *(address for address, _ in sorted(broken))]):
        times = [when for each, when in broken if each == address]
        at = min([*times, ended[address]] if address in ended else times)
        of_sides = tuple(
            told
            for name, each in notes.items()
            if (told := _recovered(name, address, each)) is not None
        )
        outage = Outage(node=address, at_ns=at, ended=address in ended, sides=of_sides)
        found.append(_with_stillness(outage, ends))
    return tuple(sorted(found, key=lambda each: each.at_ns)) or None


def _span(sides: Sides) -> tuple[int | None, int | None]:
    """When the load began, on the clock of the host, and when its last message ended since then;
    None where it did not."""
    ends = _ends(sides)
    starts = sides["producer"].messages.start_ns if "producer" in sides else ends
    begun, over = starts[starts > 0], ends.max(initial=0)
    if not len(begun):
        return None, None
    began = int(begun.min())
    return began, int(over) - began if over > 0 else None


def _ends(sides: Sides) -> Integers:
    """When the messages ended, 0 for one that did not: by what the producer saw where messages end
    there, else by what the consumer received."""
    producer, consumer = sides.get("producer"), sides.get("consumer")
    some = producer or consumer
    if some is None:
        return numpy.zeros(0, numpy.int64)
    by_reply = patterns.all_reply(some.run.plan.patterns)
    if producer is not None and (by_reply or consumer is None):
        return producer.messages.end_ns
    return consumer.messages.received() if consumer else numpy.zeros(0, numpy.int64)


def _notes(side: Recording, began: int) -> list[Note]:
    """What all members of a side noted of their connections, on the load's clock."""
    noted = [note for each in side.members if each.stamping for note in each.stamping.connections]
    return sorted((when - began, number, what, address) for when, number, what, address in noted)


def _ended(sides: Sides, began: int) -> dict[str, int]:
    """When the process of a node ended, by its address."""
    some = next(iter(sides.values()))
    return {
        node.address: node.ended_ns - began
        for node in some.run.broker_nodes or ()
        if node.ended_ns is not None and node.ended_ns >= began
    }


def _breaks(notes: Sequence[Note]) -> Iterator[tuple[int, int, str]]:
    """The first of each group of connections to an address that broke: number, when, address."""
    last: dict[str, int] = {}
    for when, number, what, address in notes:
        if what == LOST:
            if address not in last or when - last[address] > TOGETHER_NS:
                yield number, when, address
            last[address] = when


def _recovered(side: str, address: str, notes: Sequence[Note]) -> LostConnections | None:
    """How a side lost its connections to an address, and had others again."""
    lost = [when for when, _, what, where in notes if what == LOST and where == address]
    if not lost:
        return None
    again = [
        (when, where)
        for when, _, what, where in notes
        if what == OPENED and when >= lost[0] and where != address
    ][: len(lost)]
    return LostConnections(
        side=side,
        lost=len(lost),
        at_ns=lost[0],
        first_again_ns=again[0][0] if again else None,
        all_again_ns=again[-1][0] if len(again) == len(lost) else None,
        nodes=tuple(sorted({where for _, where in again})),
    )


def _with_stillness(outage: Outage, ends: Integers) -> Outage:
    """With the longest time in which no message ended, from the loss to the recovery of all."""
    until = max(
        (each.all_again_ns or each.first_again_ns or each.at_ns for each in outage.sides),
        default=outage.at_ns,
    )
    after = int(numpy.searchsorted(ends, outage.at_ns, side="right"))
    if after == len(ends):
        return dataclasses.replace(
            outage, still_from_ns=int(ends[-1]), still_ns=0, ended_again=False
        )
    last = int(numpy.searchsorted(ends, max(until, outage.at_ns), side="right"))
    previous = numpy.concatenate([[0], ends[:-1]])[after : last + 1]
    gaps = ends[after : last + 1] - previous
    longest = int(gaps.argmax())
    return dataclasses.replace(
        outage, still_from_ns=int(previous[longest]), still_ns=int(gaps[longest])
    )
