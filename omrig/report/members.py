"""The members of a side, where there are several, in words for every medium."""

from collections.abc import Iterator

from omrig.model import units
from omrig.model.result import Result
from omrig.model.spread import MemberRow, Range

UNKNOWN = "-"
"""What is said of a figure that is not known, or not of this side."""

FIGURES = ("messages", "msg/s", "CPU", "CPU a message", "p50", "p99")
"""The figures of a row, by their headings."""


def figures(row: MemberRow) -> tuple[str, ...]:
    """The figures of a member in words, one for each of :data:`FIGURES`."""
    counted = row.sent if row.side == "producer" else row.received
    return (
        UNKNOWN if counted is None else f"{counted:,}",
        UNKNOWN if row.messages_per_second is None else f"{row.messages_per_second:,.1f}",
        UNKNOWN if row.cpu_seconds is None else f"{row.cpu_seconds:,.2f} s",
        _duration(row.cpu_ns_per_message),
        _duration(row.p50_ns),
        _duration(row.p99_ns),
    )


def _duration(value_ns: int | None) -> str:
    return UNKNOWN if value_ns is None else units.duration(value_ns)


def incomplete(result: Result) -> Iterator[tuple[str, str]]:
    """The members of which something is missing, and what that is."""
    for row in result.members or ():
        if not row.complete:
            yield row.name, row.reason or "incomplete"


def spread(result: Result) -> Iterator[str]:
    """How far the members of each side are apart, in a sentence a side."""
    found = result.spread
    if found and found.producers:
        yield _producers(found.producers)
    if found and found.consumers:
        rows = [row for row in result.members or () if row.side == "consumer"]
        yield _consumers(found.consumers, all(row.received is not None for row in rows))


def _producers(found: Range) -> str:
    return (
        f"the slowest producer is {found.least_at} with {found.least:,.1f} msg/s, the fastest"
        f" {found.most_at} with {found.most:,.1f}{_ratio(found)}"
    )


def _consumers(found: Range, knows_all: bool) -> str:
    if found.most == found.least:
        known = "" if knows_all else " of which that is known"
        return f"each consumer{known} got {found.most:,.0f} messages"
    return (
        f"an even share is {found.even:,.0f} messages a consumer: {found.most_at} got the most,"
        f" {found.most:,.0f} ({_of(found.most, found.even)}), {found.least_at} the least,"
        f" {found.least:,.0f} ({_of(found.least, found.even)}){_ratio(found)}"
    )


def _ratio(found: Range) -> str:
    return f": max/min {found.max_min:.2f}" if found.max_min else ""


def _of(value: float, even: float) -> str:
    return f"{100 * value / even:.0f} % of it"
