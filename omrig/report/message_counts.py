"""What a message takes that can be counted, in words for all media."""

from collections.abc import Iterator, Mapping

from omrig.model import units
from omrig.model.counts import AT_START, Amqp, SideCounts


def number(value: float) -> str:
    """So many a message: whole where it is, else with as many digits as can matter."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def rows(counts: Mapping[str, SideCounts]) -> list[tuple[str, tuple[str, ...]]]:
    """A label, and what each side has, in the order of ``counts``; empty where it has none."""
    found = [
        (
            "Python calls",
            [number(each.calls.a_message) if each.calls else "" for each in counts.values()],
        )
    ]
    for name, label in _WHOLES.items():
        values = [number(getattr(each.amqp, name)) if each.amqp else "" for each in counts.values()]
        found.append((label, values))
    methods = dict.fromkeys(
        name
        for each in counts.values()
        if each.amqp
        for name, method in each.amqp.by_method.items()
        if method.sent or method.received
    )
    found += [
        (f"  {name}", [_both_ways(each.amqp, name) for each in counts.values()]) for name in methods
    ]
    for name in AT_START:
        values = [number(each.amqp.at_start[name]) if each.amqp else "" for each in counts.values()]
        found.append((f"{name} at start", values))
    found.append(("context switches", [_switches(each) for each in counts.values()]))
    found.append(
        (
            "file reads and writes",
            [
                f"{each.syscalls:,.2f}" if each.syscalls is not None else ""
                for each in counts.values()
            ],
        )
    )
    return [(label, tuple(values)) for label, values in found if any(values)]


def notes(counts: Mapping[str, SideCounts]) -> Iterator[str]:
    """How exact that is, side by side, and what was left out."""
    for side, each in counts.items():
        if calls := each.calls:
            if calls.exact:
                how = f"exact, alike in {calls.messages_alike:,} of {each.messages:,} messages"
            else:
                how = f"a mean, not exact: {calls.reason}"
            yield f"{side}: Python calls {how}"
        if amqp := each.amqp:
            if amqp.exact:
                how = f"exact, alike in {amqp.messages_alike:,} of {each.messages:,} messages"
            else:
                uneven = ", ".join(n for n, method in amqp.by_method.items() if not method.exact)
                how = f"in part means, not exact: {uneven or 'round trips'}"
            beats = f"; {amqp.heartbeats:,} heartbeats apart" if amqp.heartbeats else ""
            size = units.size(amqp.bytes)
            yield f"{side}: AMQP {how}; {size} a message{beats}"
        else:
            yield f"{side}: no AMQP was spoken by py-amqp, so that none of it is counted"
    yield "context switches, and reads and writes of files and pipes, are means and never exact"


_WHOLES = {
    "round_trips": "AMQP round trips",
    "methods": "AMQP methods, both ways",
    "frames": "AMQP frames, both ways",
    "bytes": "AMQP bytes, both ways",
}


def _both_ways(amqp: Amqp | None, name: str) -> str:
    method = amqp.by_method.get(name) if amqp else None
    if method is None or not (method.sent or method.received):
        return ""
    ways = ((method.sent, "sent"), (method.received, "received"))
    return ", ".join(f"{number(value)} {way}" for value, way in ways if value)


def _switches(counts: SideCounts) -> str:
    return f"{counts.switches_voluntary + counts.switches_involuntary:,.2f}"
