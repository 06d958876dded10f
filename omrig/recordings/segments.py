"""From the segments that the kernel noted to arrivals: by when how many bytes of a stream had come.

Pure functions over the logs of :mod:`omrig.watcher.capture`. TCP numbers the bytes of a stream from
an arbitrary beginning, which the segment with the SYN tells, and modulo 2**32 (RFC 9293, 3.4).
"""

from pathlib import Path
from typing import Any

import numpy

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
    columns = fields(folder)
    found: Log = {}
    for row in logs.rows(folder / layout.FOLLOWED, len(layout.FOLLOWED_COLUMNS)):
        number, since, local, remote, received = (int(value) for value in row)
        ours = (columns["local"] == local) & (columns["remote"] == remote)
        opened = numpy.flatnonzero(ours & columns["syn"] & (columns["t_ns"] <= since))
        if not len(opened):
            continue
        # A port may have served another connection before.
        first = opened[-1]
        later = numpy.flatnonzero(ours & columns["syn"] & (columns["t_ns"] > since))
        end = later[0] if len(later) else len(ours)
        chosen = ours & (columns["payload"] > 0) & (columns["t_ns"] >= since)
        chosen[end:] = False
        part = {name: column[chosen] for name, column in columns.items()}
        start = int(columns["sequence"][first]) + 1
        times, counts = stream(part, start, received)
        # What was there when it was first followed.
        times = numpy.concatenate([[since], times])
        counts = numpy.concatenate([[received], counts])
        if number in found:
            times = numpy.concatenate([found[number][0], times])
            counts = numpy.concatenate([found[number][1], counts])
        found[number] = (times, numpy.maximum.accumulate(counts))
    return found


def stream(part: dict[str, Any], start: int, received: int) -> tuple[Integers, Integers]:
    """Times, and the bytes that had come without a gap by each.

    ``part`` are the fields of a stream's segments, of which byte ``received`` has the sequence
    number ``start`` and as many.
    """
    if not len(part["t_ns"]):
        return numpy.zeros(0, numpy.int64), numpy.zeros(0, numpy.int64)
    # Each segment begins within 2 GiB of the one before it.
    position = numpy.concatenate([[start + received], part["sequence"]])
    steps = (numpy.diff(position) + (1 << 31)) % (1 << 32) - (1 << 31)
    begins = received + numpy.cumsum(steps)
    ends = begins + part["payload"]
    reached = numpy.maximum.accumulate(ends)
    before = numpy.concatenate([[begins[0]], reached[:-1]])
    if (begins > before).any():
        reached = _without_gaps(begins, ends)
    return part["t_ns"], reached


def _without_gaps(begins: Integers, ends: Integers) -> Integers:
    """How far the stream had come at each segment, where some came out of order.

    A gap that is never filled is one of the log: the ring had no room. It counts as filled when
    ``_GIVEN_UP_AFTER`` segments after it wait, which is later than it was.
    """
    reached = int(begins[0])
    waiting: list[tuple[int, int]] = []
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
    raw = {name: rows[:, place] for place, name in enumerate(layout.SEGMENT_COLUMNS)}
    four = (raw["ip"] & 0xF0) == 0x40

    def word(name: str) -> Any:
        # On the wire the first byte is the highest.
        return numpy.where(four, raw[f"{name}4"], raw[f"{name}6"]).byteswap().astype(numpy.int64)

    ports, flags = word("ports"), word("flags")
    header = numpy.where(four, _IPV4_BYTES, _IPV6_BYTES) + (flags >> 28) * 4
    real = raw["seconds"].astype(numpy.int64) * NS + raw["nanoseconds"]
    return {
        "t_ns": _monotonic(real, folder),
        "remote": ports >> 16,
        "local": ports & 0xFFFF,
        "sequence": word("sequence"),
        "syn": (flags >> 16) & _SYN > 0,
        "payload": raw["length"].astype(numpy.int64) - header,
    }


def _monotonic(real: Integers, folder: Path) -> Integers:
    """CLOCK_REALTIME as CLOCK_MONOTONIC, after the readings of both around it."""
    readings = logs.rows(folder / layout.CLOCK, len(layout.CLOCK_COLUMNS)).astype(numpy.int64)
    offsets = readings[:, 1] - readings[:, 0]
    # Differences are small: a float of 1.7e18 ns would be exact to 256 ns only.
    since = (real - readings[0, 1]).astype(numpy.float64)
    at = (readings[:, 1] - readings[0, 1]).astype(numpy.float64)
    drift = numpy.interp(since, at, (offsets - offsets[0]).astype(numpy.float64))
    monotonic: Integers = real - offsets[0] - numpy.rint(drift).astype(numpy.int64)
    return monotonic
