"""How much of a line's time its greenlet or thread did not run.

Line times are wall time, so a line that waits looks like one that works. Which lines wait is seen
from where greenlets and threads stand while they do not run: every line on their stack has the same
wait in it.

Greenlets tell: each switch is seen, and the wait is exact.

Threads do not tell: they are looked at, every 2 ms or, where they are many, as often as costs 2 %
of a core. What a thread did not use of the CPU between two looks at it in the same call, it waited
in that call: for the GIL, for the machine or for anything else. Where a call began or ended between
two looks, half of what was not used counts, as on average it is: if there was a second look at the
call, or if the thread hardly ran at all. Otherwise short calls are taken for running all the time.
"""

import contextlib
import itertools
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any, Protocol

import greenlet

from omrig.measured.profilers.targets import tracing

_LOOK_S = 0.002
"""The pause between two looks at threads, at least."""

_LOOK_COST = 0.02
"""The part of a core that looks may take."""

_IDLE = 0.1
"""A thread that used less of the CPU than this between two looks hardly ran."""

Waits = dict[CodeType, dict[int, int]]
"""By code and line: ns."""

_WAITING = "omrig_waiting"

_Instruction = tuple[int, int]
"""The id of a code object and the offset in it: a line number takes long to find."""

now_ns = time.perf_counter_ns


class Switches(Protocol):
    """Measures waits from ``start`` to ``stop``, which may be called several times."""

    exact: bool
    """Whether every wait is seen, or only those that last."""

    def start(self, codes: Sequence[CodeType]) -> None:
        """Begin; waits in other code are not looked for."""

    def stop(self) -> Waits:
        """End; the waits since ``start``."""


def make(executor: str) -> Switches:
    """What sees the waits of an executor's greenlets or threads."""
    return GreenletSwitches() if executor == "eventlet" else ThreadLooks()


class GreenletSwitches:
    """Sees each switch of the greenlets in the thread that calls ``start``."""

    exact = True

    def __init__(self) -> None:
        self._periods = itertools.count(1)
        self._period = 0
        self._previous: Any = None

    def start(self, codes: Sequence[CodeType]) -> None:
        """See :class:`Switches`."""
        self._codes = {id(code): code for code in codes}
        self._waits: defaultdict[_Instruction, int] = defaultdict(int)
        self._period = next(self._periods)
        self._previous = greenlet.settrace(self._switched)

    def stop(self) -> Waits:
        """See :class:`Switches`."""
        greenlet.settrace(self._previous)
        return _by_line(self._waits, self._codes)

    def _switched(self, _event: str, args: Any) -> None:
        """Called in the greenlet that begins to run, with the one that ran before it."""
        now = now_ns()
        origin, target = args
        stack = [instruction for _, instruction in _stack(origin.gr_frame, self._codes)]
        if stack:
            # On the greenlet itself: one that never runs again takes it along.
            setattr(origin, _WAITING, (self._period, now, stack))
        waiting = vars(target).pop(_WAITING, None)
        if waiting is not None and waiting[0] == self._period:
            for instruction in waiting[2]:
                self._waits[instruction] += now - waiting[1]


class ThreadLooks:
    """Looks at all threads of the process at intervals, from a thread of its own."""

    exact = False

    def start(self, codes: Sequence[CodeType]) -> None:
        """See :class:`Switches`."""
        self._codes = {id(code): code for code in codes}
        self._waits: defaultdict[_Instruction, int] = defaultdict(int)
        self._seen: dict[int, _Thread] = {}
        self._looked_ns = now_ns()
        self._native = tracing.native_threading("threading")
        self._over = self._native.Event()
        self._looking = self._native.Thread(target=self._loop, name="omrig looks", daemon=True)
        self._looking.start()

    def stop(self) -> Waits:
        """See :class:`Switches`."""
        self._over.set()
        self._looking.join()
        for thread in self._seen.values():
            thread.end(self._looked_ns)
        return _by_line(self._waits, self._codes)

    def _loop(self) -> None:
        # Not to be profiled itself, where threads have trace functions.
        sys.settrace(None)
        pause_s = _LOOK_S
        while not self._over.wait(pause_s):
            began = time.thread_time()
            self._look()
            pause_s = max(_LOOK_S, (time.thread_time() - began) / _LOOK_COST)

    def _look(self) -> None:
        # The clocks first: a thread that runs on before its stack is seen will be found to have.
        threads = list(self._clocks())
        frames = sys._current_frames()
        seen = {}
        for thread, now, cpu in threads:
            frame = frames.get(thread.ident)
            if frame is None:
                continue
            found = self._seen.pop(thread.native_id, None)
            if found is None:
                found = _Thread(self._waits, self._codes, self._looked_ns, cpu)
            found.look(now, cpu, frame)
            seen[thread.native_id] = found
        self._looked_ns = now_ns()
        for ended in self._seen.values():
            ended.end(self._looked_ns)
        self._seen = seen

    def _clocks(self) -> Iterator[tuple[Any, int, int]]:
        """Each thread but this, when it was asked, and the CPU time it had used by then."""
        for thread in self._native.enumerate():
            if thread is self._looking or thread.native_id is None:
                continue
            # One that has ended has no clock any more.
            with contextlib.suppress(OSError):
                yield thread, now_ns(), time.clock_gettime_ns(_cpu_clock(thread.native_id))


class _Call:
    """A call that a thread is in, as seen by the looks at it."""

    __slots__ = ("edge_ns", "instruction", "lasts")

    def __init__(self, instruction: _Instruction, edge_ns: int) -> None:
        self.instruction = instruction
        self.edge_ns = edge_ns
        """Half of what was waited before the first look, where it does not count yet."""
        self.lasts = False
        """Whether a second look has met it."""


class _Thread:
    """What the looks at a thread saw last."""

    def __init__(
        self,
        waits: "defaultdict[_Instruction, int]",
        codes: Mapping[int, CodeType],
        looked_ns: int,
        cpu_ns: int,
    ) -> None:
        self._waits = waits
        self._codes = codes
        self._looked_ns = looked_ns
        self._cpu_ns = cpu_ns
        self._still_ns = 0
        self._idle = False
        self._calls: dict[int, _Call] | None = None

    def look(self, now: int, cpu: int, frame: FrameType) -> None:
        """Look again; at ``now`` the thread has used ``cpu`` ns since it began."""
        passed, ran = now - self._looked_ns, cpu - self._cpu_ns
        self._looked_ns, self._cpu_ns = now, cpu
        if not ran and self._calls is not None:
            # Nothing can have changed: so it is with most threads, most of the time.
            self._still_ns += passed
            return
        self._idle = ran < _IDLE * passed
        self._calls = self._compared(max(0, passed - ran), frame, self._flushed())

    def end(self, now: int) -> None:
        """It has ended, or will not be looked at again."""
        self._idle = False
        self._leave(self._flushed(), now - self._looked_ns)

    def _flushed(self) -> dict[int, _Call]:
        """The calls it was in, once the time is added in which it did not run at all."""
        calls = self._calls or {}
        if self._still_ns:
            for call in calls.values():
                self._add(call, self._still_ns)
            self._still_ns = 0
        return calls

    def _compared(
        self, waited: int, frame: FrameType, before: dict[int, _Call]
    ) -> dict[int, _Call]:
        """The calls it is in now; what it waited is added to those it still is in."""
        calls = {}
        for each, instruction in _stack(frame, self._codes):
            call = before.get(id(each))
            # A frame at the same address can be a new one, which has no mark.
            if call and call.instruction == instruction and each.f_trace is _mark:
                del before[id(each)]
                self._add(call, waited)
            else:
                call = self._entered(instruction, waited)
                each.f_trace = _mark
            calls[id(each)] = call
        self._leave(before, waited)
        return calls

    def _entered(self, instruction: _Instruction, waited: int) -> _Call:
        if not self._idle:
            return _Call(instruction, waited // 2)
        self._waits[instruction] += waited // 2
        return _Call(instruction, 0)

    def _leave(self, calls: Mapping[int, _Call], waited: int) -> None:
        for call in calls.values():
            if call.lasts or self._idle:
                self._waits[call.instruction] += waited // 2

    def _add(self, call: _Call, waited: int) -> None:
        self._waits[call.instruction] += waited
        if not call.lasts:
            call.lasts = True
            self._waits[call.instruction] += call.edge_ns


def _mark(*_: object) -> None:
    """On frames that were seen. Only ``sys.settrace``, which nobody uses here, would call it."""


def _stack(
    frame: FrameType | None, codes: Mapping[int, CodeType]
) -> Iterator[tuple[FrameType, _Instruction]]:
    """The frames of known code on a stack, and where they are."""
    while frame is not None:
        code = id(frame.f_code)
        if code in codes:
            yield frame, (code, frame.f_lasti)
        frame = frame.f_back


def _by_line(waits: Mapping[_Instruction, int], codes: Mapping[int, CodeType]) -> Waits:
    lines: Waits = {}
    for (number, offset), wait in waits.items():
        code = codes[number]
        line = next(line for begin, end, line in code.co_lines() if begin <= offset < end)
        if line is not None:
            of_code = lines.setdefault(code, {})
            of_code[line] = of_code.get(line, 0) + wait
    return lines


def _cpu_clock(native_id: int) -> int:
    """The clock of the CPU time of a thread of this process.

    As ``MAKE_THREAD_CPUCLOCK`` in include/linux/posix-timers.h, with CPUCLOCK_SCHED. Unlike the one
    of pthread_getcpuclockid it can be asked for a thread that has just ended.
    """
    return ~native_id << 3 | 0b110
