"""The counts a message as figures of a run: their names, their labels, and which are exact."""

from collections.abc import Mapping
from types import MappingProxyType

from omrig.model.counts import AT_START, METHODS, SIDES, Amqp, SideCounts

CALLS, SWITCHES, SYSCALLS, AMQP = "calls", "switches", "syscalls", "amqp"

NAMES = (
    "calls, amqp.round_trips, amqp.methods, amqp.frames, amqp.bytes, amqp.METHOD (amqp.basic.ack),"
    " amqp.declares, amqp.binds, amqp.connects (at the start), each also .SIDE, switches.SIDE,"
    " syscalls.SIDE"
)
"""Every one, for people who ask for one that is none."""

_WHOLE: Mapping[str, str] = MappingProxyType(
    {
        "round_trips": "AMQP round trips",
        "methods": "AMQP methods",
        "frames": "AMQP frames",
        "bytes": "AMQP bytes",
    }
)

_LABELS: Mapping[str, str] = MappingProxyType(
    {
        CALLS: "Python calls",
        SWITCHES: "context switches",
        SYSCALLS: "reads and writes of files",
        **{f"{AMQP}.{name}": label for name, label in _WHOLE.items()},
        **{f"{AMQP}.{name}": f"AMQP {name} at start" for name in AT_START},
        **{f"{AMQP}.{name}": name for name in METHODS.values()},
    }
)


def label(name: str) -> str | None:
    """What the figure ``name`` is called; None where there is none of that name."""
    kind, _, side = name.rpartition(".")
    if side in SIDES:
        return f"{_LABELS[kind]}, {side}" if kind in _LABELS else None
    return None if name in (SWITCHES, SYSCALLS) else _LABELS.get(name)


def figures(counts: Mapping[str, SideCounts]) -> dict[str, float]:
    """Every figure of the counts of a run; what both sides have is added up, too."""
    by_side = {side: _of_side(each) for side, each in counts.items()}
    found: dict[str, float] = {}
    for name in _LABELS:
        values = {side: each[name] for side, each in by_side.items() if name in each}
        if values and name not in (SWITCHES, SYSCALLS):
            found[name] = sum(values.values())
        found |= {f"{name}.{side}": value for side, value in values.items()}
    return found


def exact(counts: Mapping[str, SideCounts]) -> frozenset[str]:
    """The names of those that any other run of the same would have, too."""
    by_side = {side: _exact_of_side(each) for side, each in counts.items()}
    found = {f"{name}.{side}" for side, names in by_side.items() for name in names}
    for name in _LABELS:
        if by_side and all(name in names for names in by_side.values()):
            found.add(name)
    return frozenset(found)


def has_amqp(figures: Mapping[str, float]) -> bool:
    """Whether AMQP was counted in a run: a method that it has no figure of was not sent."""
    return f"{AMQP}.frames" in figures


def is_of_method(name: str) -> bool:
    """Whether it is the name of a figure of a method, of both sides or of one."""
    kind, _, side = name.rpartition(".")
    method = (kind if side in SIDES else name).removeprefix(f"{AMQP}.")
    return name.startswith(f"{AMQP}.") and method in _METHOD_NAMES


_METHOD_NAMES = frozenset(METHODS.values())


def _of_side(counts: SideCounts) -> dict[str, float]:
    found = {SWITCHES: counts.switches_voluntary + counts.switches_involuntary}
    if counts.syscalls is not None:
        found[SYSCALLS] = counts.syscalls
    if counts.calls:
        found[CALLS] = counts.calls.a_message
    if counts.amqp:
        found |= _of_amqp(counts.amqp)
    return found


def _of_amqp(amqp: Amqp) -> dict[str, float]:
    found = {f"{AMQP}.{name}": float(getattr(amqp, name)) for name in _WHOLE}
    found |= {f"{AMQP}.{name}": float(amqp.at_start[name]) for name in AT_START}
    for name, method in amqp.by_method.items():
        if method.sent or method.received or name in _MESSAGES:
            found[f"{AMQP}.{name}"] = float(method.sent + method.received)
    return {name: value for name, value in found.items() if name in _LABELS}


_MESSAGES = frozenset(
    {"basic.publish", "basic.deliver", "basic.ack", "queue.declare", "queue.bind"}
    | {"exchange.declare", "connection.open", "channel.open"}
)
"""What has a figure where there was none of it during the load, too, so that none can be compared
with some."""


def _exact_of_side(counts: SideCounts) -> set[str]:
    found: set[str] = set()
    if counts.calls and counts.calls.exact:
        found.add(CALLS)
    if counts.amqp:
        # None of a method is as exact as one of it.
        uneven = {name for name, each in counts.amqp.by_method.items() if not each.exact}
        found |= {f"{AMQP}.{name}" for name in METHODS.values() if name not in uneven}
        if counts.amqp.exact:
            found |= {f"{AMQP}.{name}" for name in _WHOLE}
        # How many connections a pool has is a matter of which thread came first.
        found |= {f"{AMQP}.{name}" for name in AT_START if name != "connects"}
    return found
