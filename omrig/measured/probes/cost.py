"""What a stamp costs in this process: measured on functions that do nothing, before the load.

A small message is sent again and again through stand-ins for a driver's functions, with stamps
grafted into them and without. *One* stamp is what the whole message costs more, over how many of
them were made: so it has its part of the message's record and, with native threads, of the threads'
CPU clocks.
"""

import contextvars
import statistics
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from omrig.measured.probes import actions, graft
from omrig.measured.probes.stamp import Clock, now
from omrig.measured.probes.state import State
from omrig.model.actions import Action

_BATCH = 40
"""Messages that are timed at once with hot caches: far longer than a reading of the clock takes."""

_BATCHES = 9
"""How often, with and without stamps in turn."""

_COLD_MESSAGES = 11
"""Messages of which each function is timed alone, with cold caches."""

_EVICTED_BYTES = 2 * 1024 * 1024
"""What is walked over before it: more than the caches of a core hold, less than a millisecond."""

_LINE_BYTES = 64

_MESSAGE = {"_msg_id": "0" * 32}

Step = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that a message passes, and its arguments."""


class Cost(NamedTuple):
    """What one stamp costs, in ns: where it has just been made, and where other things were done
    since."""

    hot_ns: float
    cold_ns: float


def calibrated(native: bool) -> Cost:
    """What one stamp costs hot and cold, by the implementation in use; takes some 20 ms.

    The stamps are made in a state of their own, and in a context of their own: nothing of them is
    left behind. ``native`` threads have their CPU time stamped.
    """
    return contextvars.copy_context().run(_calibrated, native)


def _calibrated(native: bool) -> Cost:
    state = State(None, sample=1, native=native)
    state.stamps.on = True
    plain, stamped = _steps(Clock(), None), _steps(Clock(), state)
    _send(stamped)
    stamps = state.stamps.made
    hot = statistics.median(_hot_ns(stamped) - _hot_ns(plain) for _ in range(_BATCHES)) / stamps
    cold = _cold_ns(plain, stamped) / stamps
    # Noise may say otherwise of either.
    hot = max(0.0, hot)
    return Cost(hot_ns=round(hot, 1), cold_ns=round(max(hot, cold), 1))


def _enter_and_leave() -> None:
    pass


def _serialise(message: Any) -> Any:
    return message


def _steps(clock: Clock, state: State | None) -> list[Step]:
    """What a message passes; with stamps where there is a ``state``."""
    pool, name, serialise = _enter_and_leave, _serialise, _enter_and_leave
    if state:
        clock.put_in(state.stamps)
        pool = _grafted(state, pool, "stamp", enter="pool_begin", exit="pool_end")
        name = _grafted(state, name, "adopt", **{"id": ("_msg_id",), "in": "message"}, sum=_SUM)
        serialise = _grafted(state, serialise, "span", sum=_SUM)
    return [
        (clock.begin, (0,)),
        (pool, ()),
        (name, (_MESSAGE,)),
        (serialise, ()),
        (clock.end, ()),
    ]


_SUM = "json_out"


def _grafted(state: State, function: Any, action: str, **says: Any) -> Any:
    code = graft.grafted(function.__code__, actions.graft(state, Action(action, says)))
    return types.FunctionType(code, function.__globals__)


def _send(steps: Sequence[Step]) -> None:
    for function, arguments in steps:
        function(*arguments)


def _hot_ns(steps: Sequence[Step]) -> float:
    begun = now()
    for _ in range(_BATCH):
        _send(steps)
    return (now() - begun) / _BATCH


def _cold_ns(plain: Sequence[Step], stamped: Sequence[Step]) -> float:
    """How much longer a message takes with stamps, each of its functions with cold caches.

    A reading of the clock is in both.
    """
    # Written to: of memory that nobody has written to there is one page alone.
    other = bytearray(b"\1") * _EVICTED_BYTES
    messages = [(_each_ns(plain, other), _each_ns(stamped, other)) for _ in range(_COLD_MESSAGES)]
    base, mine = zip(*messages, strict=True)
    return _sum_of_medians(mine) - _sum_of_medians(base)


def _each_ns(steps: Sequence[Step], other: bytearray) -> list[int]:
    taken = []
    for function, arguments in steps:
        other[::_LINE_BYTES]
        begun = now()
        function(*arguments)
        taken.append(now() - begun)
    return taken


def _sum_of_medians(messages: Sequence[Sequence[int]]) -> float:
    return float(sum(statistics.median(step) for step in zip(*messages, strict=True)))
