"""What happened during the load that a time series has to be read with: errors, broker events."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy

from omrig.model.connections import LOST, OPENED
from omrig.model.facts import Outage
from omrig.model.units import NS
from omrig.recordings import stamping, tcp_info
from omrig.recordings.series import BROKER
from omrig.report.html.recorded import Recorded

LOST_BEFORE_END_NS = 2 * NS
"""A connection whose last sample is so long before the end of the load was lost or closed: samples
are a second apart."""

_TOGETHER = 0.01
"""Events of a kind within this share of the load are told as one."""


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened ``at_ns`` after the load began, until ``until_ns`` if it lasted.

    ``kind`` is one of ``unanswered``, ``blocked``, ``opened``, ``lost`` and ``node``, of which the
    last is a node of the broker that was lost; ``side`` where it was seen; ``count`` how many of
    them came together; ``text`` the broker's words, or the address, if any.
    """

    kind: str
    side: str
    at_ns: int
    until_ns: int | None = None
    count: int = 1
    text: str = ""

    @property
    def words(self) -> str:
        """The event in words."""
        several = "s" if self.count > 1 else ""
        at = f" at {self.text}" if self.text else ""
        return {
            "unanswered": f"{self.count:,} message{several} sent that never ended well",
            "blocked": f"the broker blocked the connection: {self.text}",
            "opened": f"{self.count:,} connection{several} to the broker{at} opened",
            "lost": f"{self.count:,} connection{several} to the broker{at}"
            f" {'' if at else 'closed or '}lost",
            "node": f"node {self.text} of the broker lost, nothing moved",
        }[self.kind]


def found(recorded: Recorded, outages: Sequence[Outage] = ()) -> list[Event]:
    """All events of the load, in the order of time, the ``outages`` of the result among them."""
    near_ns = max(1, int(_TOGETHER * recorded.length_ns))
    events = [*_unanswered(recorded, near_ns), *_nodes(outages)]
    for side, folder in recorded.folders.items():
        if side in recorded.origins:
            origin = recorded.origins[side]
            connections = sorted(
                _connections(side, folder, origin, recorded.length_ns), key=_kind_and_time
            )
            events += [*_blocked(side, folder, origin), *_together(connections, near_ns)]
    return sorted(events, key=lambda event: event.at_ns)


def connections_seen(recorded: Recorded) -> bool:
    """Whether any side recorded what happened to its connections."""
    return any(tcp_info.sampled(folder) for folder in recorded.folders.values())


def _kind_and_time(event: Event) -> tuple[str, str, int]:
    return event.kind, event.text, event.at_ns


def _nodes(outages: Sequence[Outage]) -> Iterator[Event]:
    """Each node that was lost, and until when nothing moved."""
    for each in outages:
        until = each.still_from_ns + each.still_ns
        yield Event("node", BROKER, each.at_ns, max(each.at_ns, until), text=each.node)


def _unanswered(recorded: Recorded, near_ns: int) -> Iterator[Event]:
    # There may be a million of them: counted before they are anything else.
    _, first, counts = numpy.unique(
        recorded.unanswered // near_ns, return_index=True, return_counts=True
    )
    for place, count in zip(first.tolist(), counts.tolist(), strict=True):
        yield Event("unanswered", "producer", int(recorded.unanswered[place]), count=count)


def _blocked(side: str, folder: Path, origin: int) -> Iterator[Event]:
    """The notices of a side, each until the next unblocked or the end of what was recorded."""
    found = stamping.read(folder)
    for each in found.blocked() if found else ():
        begin, end = each.begin_ns - origin, each.end_ns - origin
        yield Event("blocked", side, begin, end, text=each.reason)


def _connections(side: str, folder: Path, origin: int, length: int) -> Iterator[Event]:
    noted = stamping.read(folder)
    if noted and noted.connections:
        for when, _, what, address in noted.connections:
            if what in (OPENED, LOST) and 0 < when - origin < length:
                yield Event(what, side, when - origin, text=address)
        return
    if not tcp_info.sampled(folder):
        return
    for connection in tcp_info.read(folder):
        opened, last = connection["first_ns"] - origin, connection["last_ns"] - origin
        if 0 < opened < length:
            yield Event("opened", side, opened)
        if 0 < last < length - LOST_BEFORE_END_NS:
            yield Event("lost", side, last)


def _together(events: Sequence[Event], near_ns: int) -> Iterator[Event]:
    """``events`` by kind and time, those of a kind that come closely together as one."""
    group: Event | None = None
    for event in events:
        is_same = group and (event.kind, event.text) == (group.kind, group.text)
        if group and is_same and event.at_ns - group.at_ns <= near_ns:
            group = dataclasses.replace(group, count=group.count + 1)
            continue
        if group:
            yield group
        group = event
    if group:
        yield group
