"""When messages came to recorded processes, from the recorder's capture.

The capture has no beginning of connections that were open before it. Which byte of a stream its
segments are is found by vote: a message is read soon after its last segment came, so for most
messages the end of what they say and of the last segment before the read are the same byte.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from omrig.model.columns import Columns, Integers
from omrig.recordings import segments
from omrig.recordings.segments import Log
from omrig.recordings.services.processes import Link, Recorded

AGREE = 0.25
"""Part of the messages on a connection that have to vote alike. Of those that were read at once it
is three quarters and more; those of a stream that is another's agree on nothing."""

Segments = Mapping[tuple[int, int], Mapping[str, Any]]
"""By local and remote port: the fields of the segments in the order of time."""


def read(folder: Path) -> Segments:
    """The segments of a capture by the ports between which they came; none without one."""
    try:
        fields = segments.fields(folder)
    except FileNotFoundError:
        return {}
    ports = fields["local"] * (1 << 16) + fields["remote"]
    order = numpy.argsort(ports, kind="stable")
    found, begins = numpy.unique(ports[order], return_index=True)
    ends = [*begins[1:].tolist(), len(order)]
    return {
        (port >> 16, port & 0xFFFF): {
            name: column[order[begin:end]] for name, column in fields.items()
        }
        for port, begin, end in zip(found.tolist(), begins.tolist(), ends, strict=True)
    }


def of_process(captured: Segments, process: Recorded) -> Log:
    """When so many bytes had come on each connection of a process, by its number.

    What is not in it was not captured, or cannot be told.
    """
    log: Log = {}
    for link in process.links:
        part = _stream_of(captured.get(link.ports, {}), link, process.links)
        if part is None:
            continue
        times, ends = segments.stream(part, int(part["sequence"][0]), 0)
        base = _base(times, ends, _messages_on(link.number, process.columns))
        if base is not None:
            log[link.number] = (times, ends + base)
    return log


def _stream_of(part: Mapping[str, Any], link: Link, links: Sequence[Link]) -> dict[str, Any] | None:
    """The segments of one connection: its ports may have been another's before, and after."""
    if not part:
        return None
    opened = part["t_ns"][part["syn"]]
    begin = opened[opened <= link.t_ns].max(initial=0)
    later = [each.t_ns for each in links if each.ports == link.ports and each.t_ns > link.t_ns]
    after = opened[(opened > link.t_ns) & (opened <= min(later, default=0))]
    end = after.min(initial=numpy.iinfo(numpy.int64).max)
    chosen = (part["payload"] > 0) & (part["t_ns"] >= begin) & (part["t_ns"] < end)
    return {name: column[chosen] for name, column in part.items()} if chosen.any() else None


def _messages_on(number: int, sides: Mapping[str, Columns]) -> tuple[Integers, Integers]:
    """When each message on a connection was read, and the byte of the stream after it."""
    found = [(each, each["connection"] == number) for each in sides.values()]
    reads = numpy.concatenate([each["read"][mine] for each, mine in found])
    offsets = numpy.concatenate([each["offset"][mine] for each, mine in found])
    return reads, offsets


def _base(times: Integers, ends: Integers, messages: tuple[Integers, Integers]) -> int | None:
    """The bytes of the stream before the capture's first, by vote; None where it is not clear."""
    reads, offsets = messages
    last = numpy.searchsorted(times, reads, side="right") - 1
    votes = (offsets - ends[last])[last >= 0]
    if not len(votes):
        return None
    bases, counts = numpy.unique(votes, return_counts=True)
    most = int(counts.argmax())
    return int(bases[most]) if counts[most] >= AGREE * len(votes) else None
