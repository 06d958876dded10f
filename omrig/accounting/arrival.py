"""The arrival clock: when the last byte of a message was in the kernel.

Pure functions over columns of integers. Times are CLOCK_MONOTONIC of the host that took them, in
ns.
"""

from collections.abc import Sequence

import numpy

from omrig.model.columns import Columns, Flags, Integers

Offsets = Sequence[tuple[int, int]]
"""Pairs of (monotonic time, CLOCK_REALTIME less CLOCK_MONOTONIC), in the order of time."""

CLOCKS_AGREE_NS = 10_000
"""How far CLOCK_REALTIME and CLOCK_MONOTONIC may be from what their readings at both ends say."""


def arrivals(
    columns: Columns,
    watched: Integers,
    offsets: Offsets,
    watching: bool,
    absent: Integers | int = 0,
) -> tuple[Integers, Flags]:
    """When the last byte of each message was in the kernel, and which of these are not to trust.

    ``watched`` are the watcher's times (0: it saw none before the process had read the message),
    ``absent`` those at which it saw that the message had not arrived, ``offsets`` pairs of
    (monotonic time, CLOCK_REALTIME less CLOCK_MONOTONIC). The watcher's event and the read are
    upper bounds: the smaller is taken. The kernel's stamp is exact while little is unread, but
    under a backlog the kernel merges segments and the stamp becomes that of a later or an earlier
    one, by up to a second: it is taken only where it lies between the watcher's two times. A
    message is flagged when only the read is left and nobody was watching.
    """
    read = columns["read"]
    stamp = columns["stamp"]
    arrival = latest(read, watched)
    stamped = (stamp > 0) & _steady(offsets)
    kernel = stamp - _realtime_offset(read, offsets)
    credible = stamped & (kernel >= absent - CLOCKS_AGREE_NS)
    arrival = numpy.where(credible, numpy.minimum(arrival, kernel), arrival)
    flagged = (columns["connection"] > 0) & ~stamped & (watched == 0) & (not watching)
    return arrival, flagged


def latest(read: Integers, watched: Integers) -> Integers:
    """The arrivals without the kernel's stamp: the first of the watcher's event and the read."""
    return numpy.where(watched > 0, numpy.minimum(watched, read), read)


def not_before(arrival: Integers, latest: Integers, departed: Integers) -> Integers:
    """Arrivals, where the kernel's stamp is before the departure replaced by ``latest``.

    ``latest`` is the arrival without the kernel's stamp; all times are on one clock.
    """
    return numpy.where(arrival < departed, latest, arrival)


def confirm_arrival(columns: Columns, offsets: Offsets) -> Integers:
    """When the publisher confirm was in the kernel; where that is unknown, when it was read.

    One message at a time is published on a connection, so there is no backlog to mislead the
    kernel's stamp.
    """
    confirm = columns["confirm"]
    kernel = columns["confirm_stamp"] - _realtime_offset(confirm, offsets)
    usable = (columns["confirm_stamp"] > 0) & _steady(offsets)
    kernel = numpy.clip(kernel, columns["depart"], confirm)
    return numpy.where(usable, kernel, confirm)


def _steady(offsets: Offsets) -> bool:
    """Whether nobody set the clock during the run (a slew of 500 ppm is what NTP allows itself)."""
    (began, first), (ended, last) = offsets[0], offsets[-1]
    return abs(last - first) <= 100_000 + (ended - began) * 500 // 1_000_000


def _realtime_offset(when: Integers, offsets: Offsets) -> Integers:
    (began, first), (ended, last) = offsets[0], offsets[-1]
    if ended == began:
        return numpy.full_like(when, first)
    # Integers throughout: a float of 1.7e18 ns is exact to 256 ns only.
    return first + (when - began) * (last - first) // (ended - began)
