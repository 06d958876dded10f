"""line_profiler in every thread of the process, those that were there before it began included.

From Python 3.12 on it sits on ``sys.monitoring``, which sees all threads. It asks for the events of
all code and drops what it does not know; here only the code that was asked for has events, and the
rest of the process runs at its own speed.

Python 3.11 has a trace function for each thread. line_profiler sets that of the thread that enables
it; here the same function is given to all threads that were started since ``install``.
"""

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any

from omrig.model.errors import RunError


def native_threading(executor: str) -> Any:
    """The module ``threading`` with the threads of the operating system, under either executor."""
    if executor == "eventlet":
        return sys.modules["eventlet.patcher"].original("threading")
    return threading


class EveryThread:
    """Turns a line profiler on and off for the whole process."""

    def __init__(self, executor: str) -> None:
        self._native = native_threading(executor)
        self._core: _Monitoring | _TraceFunctions = (
            _Monitoring() if hasattr(sys, "monitoring") else _TraceFunctions(self._native)
        )
        self._over: Any = None
        self._keeper: Any = None
        self._failures: list[BaseException] = []

    def install(self) -> None:
        """Notice every thread that is started from now on. Called in the main thread."""
        self._core.install()

    def start(self, profiler: Any, codes: Sequence[CodeType]) -> None:
        """Turn ``profiler`` on, which has ``codes`` registered."""
        ready, self._over = self._native.Event(), self._native.Event()

        # Only the thread that enabled a line profiler can disable it, and the load may begin and
        # end in different ones: so one of its own does both.
        def keep() -> None:
            try:
                with self._core.enabled(profiler, codes):
                    ready.set()
                    self._over.wait()
            except BaseException as failure:  # noqa: BLE001 - raised where it can be told
                self._failures.append(failure)
            finally:
                ready.set()

        self._keeper = self._native.Thread(target=keep, name="omrig lines", daemon=True)
        self._keeper.start()
        ready.wait()
        self._raise()

    def stop(self) -> None:
        """Turn it off."""
        self._over.set()
        self._keeper.join()
        self._raise()

    def _raise(self) -> None:
        """What went wrong in the other thread goes on in this one."""
        if self._failures:
            raise self._failures.pop()


class _Monitoring:
    """Python 3.12 and newer."""

    def install(self) -> None:
        """Nothing to prepare."""

    @contextlib.contextmanager
    def enabled(self, profiler: Any, codes: Sequence[CodeType]) -> Iterator[None]:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        tool, events = profiler.tool_id, monitoring.events
        profiler.enable()
        try:
            if monitoring.get_tool(tool) is None:
                raise RunError(
                    "profiler mode lines: line_profiler does not use sys.monitoring; unset"
                    " LINE_PROFILER_CORE"
                )
            # These have no local kind.
            monitoring.set_events(tool, events.RAISE | events.RERAISE)
            # Nobody listens to PY_START, but without it Python 3.13 says nothing of a line on which
            # a function begins and its body, too (python/cpython issue 155992).
            local = events.LINE | events.PY_RETURN | events.PY_YIELD | events.PY_START
            for code in codes:
                monitoring.set_local_events(tool, code, local)
            yield
            for code in codes:
                monitoring.set_local_events(tool, code, events.NO_EVENTS)
        finally:
            profiler.disable()


_Trace = tuple[int | None, int | None]
"""A trace function of C and the object that it is called with, as addresses."""


class _TraceFunctions:
    """Python 3.11."""

    def __init__(self, native: Any) -> None:
        self._native = native
        # Held whenever a thread's state is used: a thread cannot end meanwhile.
        self._lock = native.Lock()
        self._states: set[int] = set()
        self._trace: _Trace = (None, None)

    def install(self) -> None:
        """Note the state of this thread and of all that are to come."""
        self._states.add(_current_state())
        begin: Callable[[Any], None] = self._native.Thread._bootstrap_inner

        def noted(thread: Any) -> None:
            state = _current_state()
            with self._lock:
                self._states.add(state)
                _set_trace(state, *self._trace)
            try:
                begin(thread)
            finally:
                with self._lock:
                    self._states.discard(state)

        self._native.Thread._bootstrap_inner = noted

    @contextlib.contextmanager
    def enabled(self, profiler: Any, _codes: Sequence[CodeType]) -> Iterator[None]:
        profiler.enable()
        try:
            self._set_all(_own_trace())
            yield
            self._set_all((None, None))
        finally:
            profiler.disable()

    def _set_all(self, trace: _Trace) -> None:
        with self._lock:
            self._trace = trace
            for state in self._states:
                _set_trace(state, *trace)


class _ThreadState(ctypes.Structure):
    """The beginning of ``struct _ts`` in Include/cpython/pystate.h of Python 3.11."""

    _fields_ = (
        ("prev", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("interp", ctypes.c_void_p),
        # _initialized, _static, recursion_remaining, recursion_limit, recursion_headroom, tracing,
        # tracing_what
        ("numbers", ctypes.c_int * 7),
        ("cframe", ctypes.c_void_p),
        ("c_profilefunc", ctypes.c_void_p),
        ("c_tracefunc", ctypes.c_void_p),
        ("c_profileobj", ctypes.c_void_p),
        ("c_traceobj", ctypes.c_void_p),
    )


def _current_state() -> int:
    get = ctypes.pythonapi.PyThreadState_Get
    get.restype = ctypes.c_void_p
    state: int = get()
    return state


def _own_trace() -> _Trace:
    state = _ThreadState.from_address(_current_state())
    if state.c_traceobj != id(sys.gettrace()):
        raise RunError(
            "profiler mode lines: this build of Python 3.11 lays out threads differently"
        )
    return state.c_tracefunc, state.c_traceobj


def _set_trace(state: int, function: int | None, argument: int | None) -> None:
    # As PyEval_SetTrace, for any thread; Python 3.12 has PyEval_SetTraceAllThreads instead.
    set_trace = ctypes.pythonapi._PyEval_SetTrace
    set_trace.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    set_trace(state, function, argument)
