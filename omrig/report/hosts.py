"""The hosts of a fleet in words for every medium: what each did, and how they differ."""

from collections.abc import Iterator, Sequence

from omrig.model import units
from omrig.model.by_host import AmongHosts, ClockAgainst, HostPart, Slowest
from omrig.model.members import side_of
from omrig.model.result import Result
from omrig.model.run import Run
from omrig.model.spread import Range
from omrig.report.members import UNKNOWN

FIGURES = ("members", "sent", "received", "msg/s", "CPU a message", "p50", "p99", "max", "clock")
"""The figures of a row, by their headings."""

_LOOPBACK = ("127.", "localhost:", "[::1]:")


def rows(result: Result) -> list[tuple[HostPart, tuple[str, ...]]]:
    """Each host with its figures in words, one for each of :data:`FIGURES`."""
    parts = result.hosts or ()
    references = {part.clock.against for part in parts if part.clock}
    return [(part, _figures(part, part.name in references)) for part in parts]


def _figures(part: HostPart, is_reference: bool) -> tuple[str, ...]:
    took = part.latency or part.served
    return (
        _counted(part.members),
        _number(part.sent),
        _number(part.received),
        UNKNOWN if part.messages_per_second is None else f"{part.messages_per_second:,.1f}",
        UNKNOWN if part.cpu_ns_per_message is None else units.duration(part.cpu_ns_per_message),
        *(units.duration(took.named(name)) if took else UNKNOWN for name in ("p50", "p99", "max")),
        "reference" if is_reference else _clock(part.clock),
    )


def _counted(members: Sequence[str]) -> str:
    sides = [side_of(name) for name in members]
    counts = ((sides.count(side), side) for side in dict.fromkeys(sides))
    return ", ".join(f"{count} {side}{'' if count == 1 else 's'}" for count, side in counts)


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _clock(clock: ClockAgainst | None) -> str:
    if clock is None:
        return UNKNOWN
    sign = "-" if clock.offset_ns < 0 else "+"
    drift = "" if clock.drift_ppm is None else f", {clock.drift_ppm:+.1f} ppm"
    return f"{sign}{units.duration(abs(clock.offset_ns))} ± {units.duration(clock.error_ns)}{drift}"


def lost(result: Result) -> Iterator[tuple[str, str]]:
    """The hosts that were lost or of which something is missing, by name, and what that is."""
    for part in result.hosts or ():
        said = [each for each in (_lost(part), _missing(part), _left(part)) if each]
        if said:
            yield part.name, "; ".join(said)


def _lost(part: HostPart) -> str:
    if part.ended_because is None:
        return ""
    if part.last_seen_seconds is None:
        return f"lost: {part.ended_because}"
    seconds = f"{abs(part.last_seen_seconds):,.1f}"
    when = "after" if part.last_seen_seconds >= 0 else "before"
    return f"lost, heard of last {seconds} s {when} the load began: {part.ended_because}"


def _missing(part: HostPart) -> str:
    if not part.missing:
        return ""
    if part.missing == part.members:
        return "none of its members left results here"
    return f"no results of {', '.join(part.missing)}"


def _left(part: HostPart) -> str:
    return f"what was not collected is there in {part.left_in}" if part.left_in else ""


def differences(run: Run) -> Iterator[str]:
    """In what the hosts differ, where that was allowed."""
    for each in run.fleet.differences if run.fleet else ():
        yield f"the hosts differ: {each}"


def notes(run: Run, result: Result) -> Iterator[str]:
    """How the hosts differ, a sentence each, and what the figures in the table are."""
    among, parts = result.among_hosts, result.hosts
    if not among or not parts:
        return
    yield from _slowest(among)
    yield from _spread(among)
    if among.begin_skew_ns is not None and among.begin_error_ns is not None:
        yield (
            f"the producers' hosts began within {units.duration(among.begin_skew_ns)} of each other"
            f" (± {units.duration(among.begin_error_ns)})"
        )
    if clocks := _told_by(parts):
        yield clocks
    if any(part.served and not part.latency for part in parts):
        yield "latencies of a host without producers are those of the calls that it served"
    yield from _brokers(among)
    if engine := _engine(run, parts):
        yield engine


def _slowest(among: AmongHosts) -> Iterator[str]:
    for each in among.slowest:
        yield _is_slowest(each)
    alike = [side for side in among.compared if side not in [each.side for each in among.slowest]]
    if alike:
        yield f"no host is slower than chance explains, by its {' or its '.join(map(_by, alike))}"


def _by(side: str) -> str:
    return "producers' messages" if side == "producer" else "consumers' calls"


def _is_slowest(found: Slowest) -> str:
    what = "the messages that it sent" if found.side == "producer" else "the calls that it served"
    return (
        f"the slowest host is {found.name}: {what} took {units.duration(found.median_ns)} at the"
        f" median, those of the others {units.duration(found.others_ns)}; it was the slowest in"
        f" {found.slowest_in} of {found.parts} parts of the load's time, where chance would have it"
        f" in {found.by_chance:g}"
    )


def _spread(among: AmongHosts) -> Iterator[str]:
    if rates := among.rates:
        yield (
            f"hosts with producers had from {rates.least:,.1f} msg/s ({rates.least_at}) to"
            f" {rates.most:,.1f} ({rates.most_at}){_ratio(rates)}"
        )
    if p50 := among.latencies:
        yield (
            f"their p50 is from {units.duration(p50.least)} ({p50.least_at}) to"
            f" {units.duration(p50.most)} ({p50.most_at}){_ratio(p50)}"
        )
    if (received := among.received) and received.least != received.most:
        yield (
            f"hosts with consumers received from {received.least:,.0f} messages"
            f" ({received.least_at}) to {received.most:,.0f} ({received.most_at}){_ratio(received)}"
        )


def _ratio(found: Range) -> str:
    return f": max/min {found.max_min:.2f}" if found.max_min else ""


def _told_by(parts: Sequence[HostPart]) -> str:
    clocks = [part.clock for part in parts if part.clock]
    if not clocks:
        return ""
    ways = {
        "messages": "the messages",
        "exchanges": "exchanges with the coordinator before the start",
    }
    by = " and ".join(words for way, words in ways.items() if way in [each.by for each in clocks])
    return (
        f"clocks are ahead (+) or behind that of {clocks[0].against} when the load began, by {by}"
    )


def _brokers(among: AmongHosts) -> Iterator[str]:
    known = [each for each in among.broker if each.host]
    for each in known:
        yield f"the broker at {each.address} is on {each.host}, beside the members there"
    others = [each.address for each in among.broker if not each.host]
    own = [address for address in others if address.startswith(_LOOPBACK)]
    if own:
        yield f"the broker is at {', '.join(own)}, which is each host itself"
    elsewhere = [address for address in others if address not in own]
    if elsewhere:
        yield f"the broker is at {', '.join(elsewhere)}, which is the address of no host here"


def _engine(run: Run, parts: Sequence[HostPart]) -> str:
    used = {part.name: part.engine_cores for part in parts if part.engine_cores is not None}
    if not used or run.fleet is None:
        return ""
    most = max(used, key=lambda name: used[name])
    return (
        f"the engine, {run.fleet.engine}, used {100 * used[most]:.2f} % of a core at most, on"
        f" {most}, while the load ran"
    )


def clocks_of_their_own(result: Result) -> Iterator[tuple[str, str]]:
    """What the time daemon of each host says, where there is one."""
    for part in result.hosts or ():
        if part.synchronisation:
            yield part.name, part.synchronisation
