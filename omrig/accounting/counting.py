"""From what processes counted in mode ``counts`` to what one message takes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from omrig.model.counts import (
    AT_START,
    METHODS,
    Amqp,
    Calls,
    Method,
    Recorded,
    SideCounts,
    TaskCalls,
)
from omrig.model.run import Run
from omrig.recordings import folder as run_folder
from omrig.recordings.recording import Recording, Sides

ALIKE = 0.8
"""At least this share of the messages must have the usual count of calls to call it that of each:
near a half another run could have another one."""

_ENDS = 4
"""Methods of a kind that a load's beginning and end may have more, or less, than its messages: the
last acknowledgement, and what closes a connection. Beside them as many as there are workers."""

_ANSWERS = frozenset(METHODS.values())

_LEAST_MESSAGES = 10
"""Fewer messages than so many times the methods of the ends say nothing exactly."""


def of_sides(run: Run, sides: Sides) -> dict[str, SideCounts] | None:
    """By side what a message takes; None where mode ``counts`` was not on."""
    found = {}
    for name, side in sides.items():
        recorded = [counted for each in side.members if (counted := _read(each))]
        if recorded and len(recorded) == len(side.members):
            found[name] = side_counts(
                recorded, _messages(name, side), run.plan.workers, _inexact(run, side)
            )
    return found or None


def _read(member: Recording) -> Recorded | None:
    data = run_folder.read_json(member.folder / run_folder.COUNTS)
    return None if data is None else Recorded.from_json(data)


def _messages(name: str, side: Recording) -> int:
    about = side.about
    return about.sent if name == "producer" else about.received + about.duplicated


def _inexact(run: Run, side: Recording) -> str | None:
    """Why a run cannot have exact counts of calls, whatever was counted."""
    if run.plan.workers > 1:
        return "several workers wait for one another: -w 1 would be exact"
    if side.about.errors:
        return "messages failed"
    if run.plan.mix or run.plan.sizes:
        return "messages differ"
    return None


def side_counts(
    recorded: Sequence[Recorded], messages: int, workers: int, inexact: str | None = None
) -> SideCounts:
    """What a message takes of what the processes of a side counted together.

    ``inexact`` is why calls cannot be exact, None where they can.
    """
    each = max(1, messages)
    calls = _calls(recorded, messages, inexact)
    amqp = _amqp(recorded, messages, workers)
    told = [one.syscalls for one in recorded if one.syscalls is not None]
    return SideCounts(
        messages=messages,
        exact=all(part.exact for part in (calls, amqp) if part),
        calls=calls,
        amqp=amqp,
        switches_voluntary=sum(one.switches_voluntary for one in recorded) / each,
        switches_involuntary=sum(one.switches_involuntary for one in recorded) / each,
        syscalls=sum(told) / each if len(told) == len(recorded) else None,
    )


def _calls(recorded: Sequence[Recorded], messages: int, inexact: str | None) -> Calls | None:
    """Functions entered a message, by what threads do for it; None where no message passed."""
    tasks: dict[str, TaskCalls] = {}
    passed: Counter[str] = Counter()
    for one in recorded:
        passed.update(one.marks)
    for kind in passed:
        histogram: Counter[int] = Counter()
        for one in recorded:
            for entered, times in one.calls.get(kind, {}).items():
                histogram[int(entered)] += times
        if histogram:
            waiting = sum(one.waiting.get(kind, 0) * one.marks.get(kind, 0) for one in recorded)
            tasks[kind] = _task(histogram, waiting / passed[kind])
    if not tasks or not messages:
        return None
    turns = {kind: round(passed[kind] / messages) for kind in tasks}
    shares = [task.alike / task.counted for task in tasks.values()]
    reason = inexact or _uneven(min(shares), passed, messages, tasks)
    if reason is None:
        a_message: float = sum(turns[kind] * task.usual for kind, task in tasks.items())
    else:
        a_message = sum(passed[kind] / messages * task.mean for kind, task in tasks.items())
    return Calls(
        a_message=a_message,
        exact=reason is None,
        messages_alike=int(min(shares) * messages),
        by_task=tasks,
        reason=reason,
    )


def _task(histogram: Counter[int], waiting: float) -> TaskCalls:
    counted = sum(histogram.values())
    usual, alike = max(histogram.items(), key=lambda item: (item[1], -item[0]))
    total = sum(entered * times for entered, times in histogram.items())
    return TaskCalls(
        usual=usual, mean=total / counted, counted=counted, alike=alike, waiting=waiting
    )


def _uneven(
    share: float, passed: Mapping[str, int], messages: int, tasks: Mapping[str, TaskCalls]
) -> str | None:
    """Why the usual counts are not those of each message; None where they are."""
    if messages < _LEAST_MESSAGES * _ENDS:
        return f"{messages:,} messages are too few: -m {_LEAST_MESSAGES * _ENDS} would do"
    for kind in tasks:
        if not _is_multiple(passed[kind], messages, _ENDS):
            return f"{passed[kind]:,} passed the thread that {kind}, of {messages:,} messages"
    if share < ALIKE:
        return f"only {share:.0%} of the messages have the most frequent count"
    return None


def _is_multiple(times: int, messages: int, ends: int) -> bool:
    return abs(times - round(times / messages) * messages) <= min(ends, messages // _LEAST_MESSAGES)


def _amqp(recorded: Sequence[Recorded], messages: int, workers: int) -> Amqp | None:
    """What was exchanged with the broker; None where nothing was."""
    load, start = (_added(recorded, phase) for phase in ("load", "start"))
    if not messages or not any(start.values()):
        return None
    ends = _ENDS + workers
    names = sorted({name for found in (load, start) for _, name in found})
    methods, off = {}, 0
    frames = size = 0.0
    for name in names:
        a_message: dict[str, float] = {}
        exact = True
        for direction in ("sent", "received"):
            times, its_frames, its_bytes = load.get((direction, name), (0, 0, 0))
            even = _is_multiple(times, messages, ends)
            value = round(times / messages) if even else times / messages
            a_message[direction] = value
            if even:
                off = max(off, abs(times - round(value) * messages))
            exact = exact and even
            if times:
                frames += value * its_frames / times
                size += value * its_bytes / times
        methods[name] = Method(
            **a_message,
            exact=exact,
            load_sent=load.get(("sent", name), (0,))[0],
            load_received=load.get(("received", name), (0,))[0],
            start_sent=start.get(("sent", name), (0,))[0],
            start_received=start.get(("received", name), (0,))[0],
        )
    waits = sum(one.waits.get("load", 0) for one in recorded) - _of_no_message(methods)
    even = _is_multiple(waits, messages, ends)
    return Amqp(
        exact=even and all(method.exact for method in methods.values()),
        messages_alike=messages - off,
        round_trips=round(waits / messages) if even else waits / messages,
        methods=sum(method.sent + method.received for method in methods.values()),
        frames=round(frames, 6),
        bytes=round(size, 6),
        by_method=methods,
        at_start=_at_start(methods, sum(one.waits.get("start", 0) for one in recorded)),
        heartbeats=sum(one.heartbeats for one in recorded),
    )


def _of_no_message(methods: Mapping[str, Method]) -> int:
    """Methods in the load that an answer was waited for, and that messages do not take.

    They open connections and channels: a pool of connections may grow in any message.
    """
    return sum(
        method.load_sent
        for name, method in methods.items()
        if not method.sent and f"{name}-ok" in _ANSWERS
    )


def _added(recorded: Sequence[Recorded], phase: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """By direction and method, of all processes: how many, their frames, their bytes."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for one in recorded:
        for direction, methods in one.frames.get(phase, {}).items():
            for name, counted in methods.items():
                before = found.get((direction, name), (0, 0, 0))
                found[direction, name] = tuple(map(sum, zip(before, counted, strict=True)))
    return found


def _at_start(methods: Mapping[str, Method], waits: int) -> dict[str, int]:
    found = {
        name: sum(methods[each].start_sent for each in of if each in methods)
        for name, of in AT_START.items()
    }
    return found | {"round_trips": waits}
