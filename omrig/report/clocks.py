"""What is said of the clocks of several hosts, and of what they leave uncertain."""

from collections.abc import Iterator, Mapping

from omrig.model import units
from omrig.model.host_clock import HostClock
from omrig.model.result import Result

_BY_CLOCKS = ("amqp_request", "amqp_reply")
"""The stages between two hosts: what one of them has too much of, the other one has too little."""

_SO_FAR = "so far may amqp_request and amqp_reply be wrong, their sum is not"


def lines(result: Result) -> list[str]:
    """What is known of the clocks; nothing of a run on one host, or of one side."""
    clocks = result.clocks or ()
    if result.clock is None:
        return _not_compared(clocks) if len(result.sides) > 1 else []
    if result.clock.same_host:
        return []
    if len(clocks) == 1 and abs(clocks[0].offset_ns or 0) == abs(result.clock.offset_ns):
        return [f"{_of_two(result, clocks[0])}: {_SO_FAR}"]
    found = [_of_one_of_many(clock) for clock in clocks]
    return [*found, f"± {units.duration(result.clock.error_ns)} at most: {_SO_FAR}"]


def errors_ns(result: Result) -> Mapping[str, int]:
    """By how much the mean of a stage may be wrong because of the clocks; none on one clock."""
    clock = result.clock
    if clock is None or clock.same_host:
        return {}
    return {name: clock.error_ns for name in _BY_CLOCKS if result.stage(name)}


def _not_compared(clocks: tuple[HostClock, ...]) -> list[str]:
    left_out = "what is on the wire is left out"
    if len(clocks) < 2:
        return [f"the two hosts' clocks cannot be compared: {left_out}"]
    return [
        *(_of_one_of_many(clock) for clock in clocks),
        f"not all hosts that messages went between can be compared: {left_out}",
    ]


def _of_two(result: Result, clock: HostClock) -> str:
    """The consumer's clock on the producer's, whichever of them came first."""
    offset = result.clock.offset_ns if result.clock else 0
    mirrored = offset == -(clock.offset_ns or 0) and offset != clock.offset_ns
    side = "ahead of" if offset >= 0 else "behind"
    return (
        f"the consumer's is {units.duration(abs(offset))} {side} the producer's,"
        f" {', '.join(_known(clock, -1 if mirrored else 1))}"
    )


def _of_one_of_many(clock: HostClock) -> str:
    if not clock.lines:
        return f"{clock.name}: {clock.reason}"
    offset = clock.offset_ns or 0
    side = "ahead of" if offset >= 0 else "behind"
    parts = [f"{units.duration(abs(offset))} {side} {clock.against}", *_known(clock, 1)]
    if clock.triangle_ns is not None:
        parts.append(f"{units.duration(clock.triangle_ns)} otherwise by ways around")
    return f"{clock.name}: {', '.join(parts)}"


def _known(clock: HostClock, sign: int) -> Iterator[str]:
    """Drift, where there is any to tell, steps, and how far all that may be wrong."""
    if clock.drift_ppm is not None:
        drift = sign * clock.drift_ppm
        verb = "gains" if drift >= 0 else "loses"
        yield f"{verb} {abs(drift):.1f} ± {clock.drift_error_ppm or 0:.1f} ppm"
    for step in clock.steps_ns:
        way = "forward" if sign * step >= 0 else "back"
        yield f"was stepped {way} by {units.duration(abs(step))}"
    error, network = clock.error_ns or 0, clock.network_ns or 0
    text = f"± {units.duration(error)}"
    if network:
        most = units.duration(error + network // 2)
        text += f" with a network as fast there as back, otherwise ± {most}"
    yield text
