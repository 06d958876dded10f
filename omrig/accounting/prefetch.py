"""How long messages waited in the broker because of prefetch, and how much of that is our own lag.

With ``rabbit_qos_prefetch_count`` N the broker sends a consumer no more than N messages that it has
not acknowledged; the others wait in their queue, which is on no wire and yet between departure and
arrival. The driver acknowledges what it has read and decoded, before it hands it on. So the message
that arrives as number k could not have been sent before number k - N was read: until then the
broker was not the reason. Of that time it was our process' own while there was one that had arrived
and was not read; else an acknowledgement or the next message was on its way.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy

from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Flags, Integers
from omrig.model.facts import Held
from omrig.model.patterns import NOTIFICATIONS, PATTERNS
from omrig.model.run import Run

_HANDED_ON = {"producer": "put", "consumer": "submit"}
"""The first stamp of a side after the acknowledgement of a message."""


_COLUMNS = ("total", "waited", "own", "own_most", "way")


@dataclasses.dataclass(frozen=True)
class Waits:
    """What each message waited in the broker, in ns, a row each.

    ``waited`` until an earlier message was read; ``own`` of that at least was the receiver's lag,
    ``own_most`` at most: the acknowledgement itself is not timed, but lies between two stamps.
    ``way`` is from then to the arrival: an acknowledgement, the broker, and this message's way.
    """

    prefetch: int
    side: str
    total: Integers
    waited: Integers
    own: Integers
    own_most: Integers
    way: Integers

    def take(self, rows: Integers | Flags) -> "Waits":
        """The same of these rows only."""
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def summary(self) -> Held:
        """Shares of all time between departure and arrival, and the median ``way_ns``."""
        whole = float(self.total.sum()) or 1.0
        held = self.way[self.waited > 0]
        return Held(
            prefetch=self.prefetch,
            side=self.side,
            waited_share=round(float(self.waited.sum()) / whole, 4),
            own_share=round(float(self.own.sum()) / whole, 4),
            own_most_share=round(float(self.own_most.sum()) / whole, 4),
            way_ns=int(numpy.median(held)) if len(held) else None,
        )


@dataclasses.dataclass(frozen=True)
class Credit:
    """All that a side received, in the order of arrival, and when it could have been acknowledged.

    ``read`` are the earliest such times, ``handed_on`` the latest, each never before an earlier
    message's.
    """

    prefetch: int
    side: str
    arrival: Integers
    read: Integers
    handed_on: Integers


def limit(run: Run) -> int:
    """``rabbit_qos_prefetch_count`` of a run, 0 where the broker may send all it has."""
    count = run.driver_option("rabbit_qos_prefetch_count", 0)
    return max(0, count) if isinstance(count, int) else 0


def credits_of(run: Run, table: StampTable, members: int) -> list[Credit]:
    """What each of the ``members`` of a table's side received, where the broker waits for it.

    Empty where it does not, and where that cannot be told: of a sample, and of notifications, which
    the driver acknowledges when it polls after the endpoint has returned.
    """
    count = limit(run)
    if PATTERNS[run.plan.pattern].traffic == NOTIFICATIONS:
        return []
    if not count or run.plan.sample > 1 or not table.rows:
        return []
    return [credit(table.take(table.member == number), count) for number in range(members)]


def credit(table: StampTable, prefetch: int) -> Credit:
    """What the stamps of the receiving side say: of all its messages, not of a sample."""
    known = (table.arrival > 0) & (table["read"] > 0)
    arrival = table.arrival[known]
    order = numpy.argsort(arrival, kind="stable")
    read = (table["read"] + table["json_in"])[known][order]
    handed_on = numpy.maximum(table[_HANDED_ON[table.side]][known][order], read)
    return Credit(
        prefetch,
        table.side,
        arrival[order],
        numpy.maximum.accumulate(read),
        numpy.maximum.accumulate(handed_on),
    )


def waits_of_members(
    credits: Sequence[Credit], member: Integers, departed: Integers, arrived: Integers
) -> Waits:
    """What messages waited that came to these members, each of which has a credit of its own."""
    if len(credits) == 1:
        return waits(credits[0], departed, arrived)
    rows = [numpy.flatnonzero(member == number) for number in range(len(credits))]
    parts = [
        waits(credit, departed[mine], arrived[mine])
        for credit, mine in zip(credits, rows, strict=True)
    ]
    # Back into the order of the messages.
    order = numpy.argsort(numpy.concatenate(rows), kind="stable")
    columns: dict[str, Any] = {
        name: numpy.concatenate([getattr(part, name) for part in parts])[order] for name in _COLUMNS
    }
    return dataclasses.replace(parts[0], **columns)


def waits(credit: Credit, departed: Integers, arrived: Integers) -> Waits:
    """What messages waited that left at ``departed`` and came at ``arrived``, on one clock."""
    number = numpy.searchsorted(credit.arrival, arrived, side="left")
    before = number - credit.prefetch
    nothing = numpy.zeros_like(departed)
    free = credit.read[numpy.maximum(before, 0)] if len(credit.read) else nothing
    # What came before it may have been sent, this prefetch did not hold back.
    held = (before >= 0) & (free > departed) & (free <= arrived)
    until = numpy.where(held, free, departed)
    later = credit.handed_on[numpy.maximum(before, 0)] if len(credit.read) else nothing
    until_most = numpy.where(held, numpy.minimum(later, arrived), departed)
    # The acknowledgement of a message came before what it made room for.
    following = credit.arrival[credit.prefetch :]
    handed_on = credit.handed_on.copy()
    handed_on[: len(following)] = numpy.minimum(handed_on[: len(following)], following)
    handed_on = numpy.maximum(handed_on, credit.read)
    return Waits(
        credit.prefetch,
        credit.side,
        total=arrived - departed,
        waited=until - departed,
        own=_covered(credit.arrival, credit.read, departed, until),
        own_most=_covered(credit.arrival, handed_on, departed, until_most),
        way=numpy.where(held, arrived - until, nothing),
    )


def _covered(begins: Integers, ends: Integers, since: Integers, until: Integers) -> Integers:
    """How much of each time from ``since`` to ``until`` lies within any of the spans."""
    times = numpy.concatenate([begins, ends])
    steps = numpy.concatenate([numpy.ones(len(begins)), -numpy.ones(len(ends))])
    order = numpy.argsort(times, kind="stable")
    times, open_spans = times[order], numpy.cumsum(steps[order])
    if len(times) < 2:
        return numpy.zeros_like(since)
    inside = numpy.diff(times) * (open_spans[:-1] > 0)
    # From the first time on: what a float can hold exactly.
    covered = numpy.concatenate([[0], numpy.cumsum(inside)])
    at = (times - times[0]).astype(numpy.float64)
    amounts = numpy.interp(until - times[0], at, covered) - numpy.interp(
        since - times[0], at, covered
    )
    rounded: Integers = numpy.maximum(0, amounts).astype(numpy.int64)
    return rounded
