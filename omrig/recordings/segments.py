"""From the segments that the kernel noted to arrivals: by when how many bytes of a stream had come.

Pure functions over the logs of :mod:`omrig.watcher.capture`. TCP numbers the bytes of a stream from
an arbitrary beginning, which the segment with the SYN tells, and modulo 2**32 (RFC 9293, 3.4).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import Integers
from omrig.model.units import NS
from omrig.recordings import logs
from omrig.watcher import layout

Log = dict[int, tuple[Integers, Integers]]
"""By connection: times (CLOCK_MONOTONIC, ns), and the bytes received by each."""

_SYN = 0x02
_IPV4_BYTES = 20
_IPV6_BYTES = 40
_GIVEN_UP_AFTER = 64
"""Segments that may be waiting for one that is missing: TCP itself resends after three."""


def read(folder: Path) -> Log:
    """The arrivals on the connections that were followed, as far as the logs tell.

    Sorted by time, the bytes never falling. A connection whose beginning was not seen is not in
    it. Raises OSError without logs.
    """
    readings = _readings(folder)
    streams = list(_followed(folder, readings))
    row = 0
    # Many messages have many segments: of all at once only what is told of them has room.
    for part in logs.parts(folder / layout.SEGMENTS, len(layout.SEGMENT_COLUMNS), "<u4"):
        columns = _fields(part, readings)
        for stream in streams:
            stream.add(columns, row)
        row += len(part)
    found: Log = {}
    for stream in streams:
        times, counts = stream.arrivals()
        if stream.number in found:
            times = numpy.concatenate([found[stream.number][0], times])
            counts = numpy.concatenate([found[stream.number][1], counts])
        found[stream.number] = (times, numpy.maximum.accumulate(counts, out=counts))
    return found


def _followed(folder: Path, readings: Integers) -> Iterator["_Followed"]:
    """The streams that were followed and whose beginning was seen."""
    openings = _openings(folder, readings)
    for each in logs.rows(folder / layout.FOLLOWED, len(layout.FOLLOWED_COLUMNS)):
        number, since, local, remote, received = (int(value) for value in each)
        ours = (openings["local"] == local) & (openings["remote"] == remote)
        opened = numpy.flatnonzero(ours & (openings["t_ns"] <= since))
        if not len(opened):
            continue
        # A port may have served another connection before, and may serve another one later.
        start = int(openings["sequence"][opened[-1]]) + 1
        later = numpy.flatnonzero(ours & (openings["t_ns"] > since))
        end = int(openings["row"][later[0]]) if len(later) else None
        yield _Followed(number, since, (local, remote), received, end, _Stream(start, received))


def _openings(folder: Path, readings: Integers) -> dict[str, Integers]:
    """The fields of the segments that open a stream, with the ``row`` of each in the log."""
    found: list[dict[str, Any]] = []
    row = 0
    for part in logs.parts(folder / layout.SEGMENTS, len(layout.SEGMENT_COLUMNS), "<u4"):
        columns = _fields(part, readings)
        rows = numpy.flatnonzero(columns["syn"])
        found.append({name: column[rows] for name, column in columns.items()} | {"row": rows + row})
        row += len(part)
    names = ("local", "remote", "t_ns", "sequence", "row")
    nothing = numpy.zeros(0, numpy.int64)
    return {
        name: numpy.concatenate([nothing, *(columns[name] for columns in found)]) for name in names
    }


class _Followed:
    """A stream that was followed ``since`` then, when ``received`` bytes of it had come.

    It ends before the row ``end`` of the log, None for one that has no end there.
    """

    def __init__(
        self,
        number: int,
        since: int,
        ports: tuple[int, int],
        received: int,
        end: int | None,
        stream: "_Stream",
    ) -> None:
        self.number = number
        self._since, self._ports, self._end, self._stream = since, ports, end, stream
        # What was there when it was first followed.
        self._times = [numpy.array([since], numpy.int64)]
        self._counts = [numpy.array([received], numpy.int64)]

    def add(self, columns: dict[str, Any], row: int) -> None:
        """Add those of the segments that are its own; the first of them is ``row`` of the log."""
        local, remote = self._ports
        chosen = (columns["local"] == local) & (columns["remote"] == remote)
        chosen &= (columns["payload"] > 0) & (columns["t_ns"] >= self._since)
        if self._end is not None:
            chosen[max(0, self._end - row) :] = False
        if not chosen.any():
            return
        self._times.append(columns["t_ns"][chosen])
        self._counts.append(
            self._stream.reached(columns["sequence"][chosen], columns["payload"][chosen])
        )

    def arrivals(self) -> tuple[Integers, Integers]:
        """Times, and the bytes that had come by each; it has them no more."""
        times, self._times = numpy.concatenate(self._times), []
        counts, self._counts = numpy.concatenate(self._counts), []
        return times, counts


def stream(part: dict[str, Any], start: int, received: int) -> tuple[Integers, Integers]:
    """Times, and the bytes that had come without a gap by each.

    ``part`` are the fields of a stream's segments, of which byte ``received`` has the sequence
    number ``start`` and as many.
    """
    return part["t_ns"], _Stream(start, received).reached(part["sequence"], part["payload"])


class _Stream:
    """How far a stream has come, of which byte ``received`` has the sequence number ``start`` and
    as many."""

    def __init__(self, start: int, received: int) -> None:
        self._sequence, self._begin = start + received, received
        self._reached: int | None = None
        self._waiting: list[tuple[int, int]] = []

    def reached(self, sequence: Integers, payload: Integers) -> Integers:
        """How many bytes had come without a gap with each of the next segments."""
        if not len(sequence):
            return numpy.zeros(0, numpy.int64)
        # Each segment begins within 2 GiB of the one before it.
        position = numpy.concatenate([[self._sequence], sequence])
        steps = (numpy.diff(position) + (1 << 31)) % (1 << 32) - (1 << 31)
        begins: Integers = self._begin + numpy.cumsum(steps)
        ends = begins + payload
        self._sequence, self._begin = int(sequence[-1]), int(begins[-1])
        before = int(begins[0]) if self._reached is None else self._reached
        found: Integers = numpy.maximum(numpy.maximum.accumulate(ends), before)
        known = numpy.concatenate([[before], found[:-1]])
        if self._waiting or (begins > known).any():
            found = self._without_gaps(before, begins, ends)
        self._reached = int(found[-1])
        return found

    def _without_gaps(self, reached: int, begins: Integers, ends: Integers) -> Integers:
        """How far the stream had come at each segment, where some came out of order.

        A gap that is never filled is one of the log: the ring had no room. It counts as filled when
        ``_GIVEN_UP_AFTER`` segments after it wait, which is later than it was.
        """
        waiting = self._waiting
        result = numpy.empty(len(ends), numpy.int64)
        for number, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            waiting.append((begin, end))
            if len(waiting) > 1:
                waiting.sort()
            while waiting and (waiting[0][0] <= reached or len(waiting) > _GIVEN_UP_AFTER):
                reached = max(reached, waiting.pop(0)[1])
            result[number] = reached
        return result


def fields(folder: Path) -> dict[str, Any]:
    """The fields of the segments as columns, in the order of time: ``syn`` opens a stream.

    Raises OSError without a log.
    """
    rows = logs.rows(folder / layout.SEGMENTS, len(layout.SEGMENT_COLUMNS), "<u4")
    return _fields(rows, _readings(folder))


def _fields(rows: NDArray[Any], readings: Integers) -> dict[str, Any]:
    raw = {name: rows[:, place] for place, name in enumerate(layout.SEGMENT_COLUMNS)}
    four = (raw["ip"] & 0xF0) == 0x40

    def word(name: str) -> Any:
        # On the wire the first byte is the highest.
        return numpy.where(four, raw[f"{name}4"], raw[f"{name}6"]).byteswap().astype(numpy.int64)

    ports, flags = word("ports"), word("flags")
    header = numpy.where(four, _IPV4_BYTES, _IPV6_BYTES) + (flags >> 28) * 4
    real = raw["seconds"].astype(numpy.int64) * NS + raw["nanoseconds"]
    return {
        "t_ns": _monotonic(real, readings),
        "remote": ports >> 16,
        "local": ports & 0xFFFF,
        "sequence": word("sequence"),
        "syn": (flags >> 16) & _SYN > 0,
        "payload": raw["length"].astype(numpy.int64) - header,
    }


def _readings(folder: Path) -> Integers:
    """CLOCK_MONOTONIC and CLOCK_REALTIME at the same moments. Raises OSError without a log."""
    return logs.rows(folder / layout.CLOCK, len(layout.CLOCK_COLUMNS)).astype(numpy.int64)


def _monotonic(real: Integers, readings: Integers) -> Integers:
    """CLOCK_REALTIME as CLOCK_MONOTONIC, after the ``readings`` of both around it."""
    offsets = readings[:, 1] - readings[:, 0]
    # Differences are small: a float of 1.7e18 ns would be exact to 256 ns only.
    since = (real - readings[0, 1]).astype(numpy.float64)
    at = (readings[:, 1] - readings[0, 1]).astype(numpy.float64)
    drift = numpy.interp(since, at, (offsets - offsets[0]).astype(numpy.float64))
    monotonic: Integers = real - offsets[0] - numpy.rint(drift).astype(numpy.int64)
    return monotonic
