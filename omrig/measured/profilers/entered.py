"""Counts the Python functions that are entered, for each thread or greenlet by itself.

A thread's count is cut at each message that passes it, so that what it does for one message is
known whatever other threads do meanwhile, and whenever. Functions of omrig's own files are not
counted, and neither are builtins; a generator that is resumed is entered again.
"""

import array
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import greenlet

import omrig

SENDS, RECEIVES, SERVES = "sends", "receives", "serves"
"""What a thread does for a message: that by which it is first seen to take part in one."""

_OWN = str(Path(omrig.__file__).parent) + "/"

_HERE = "omrig_entered"
"""The attribute of a greenlet, or of a thread's outermost one, that has its count."""

_current = greenlet.getcurrent

_RESUMED = ("PY_START", "PY_RESUME")


class _Task:
    """One thread or greenlet: functions entered so far, and at its last message."""

    __slots__ = ("entered", "kind", "last")

    def __init__(self) -> None:
        self.entered = 0
        self.kind = ""
        self.last = -1


class _Files(dict[str, bool]):
    """By the name of a file whether its functions are counted."""

    def __missing__(self, name: str) -> bool:
        counted = self[name] = not name.startswith(_OWN)
        return counted


class Entered:
    """The count of a process, on from :meth:`install`; messages count from :meth:`begin`."""

    def __init__(self) -> None:
        self.windows = {kind: array.array("Q") for kind in (SENDS, RECEIVES, SERVES)}
        self._marks = {kind: itertools.count() for kind in (SENDS, RECEIVES, SERVES)}
        self._on = False
        self._files = _Files()

    def install(self, native: bool) -> None:
        """Count from now on: in this thread, and with ``native`` in every one that is started."""
        if sys.version_info >= (3, 12):
            self._monitor()
            return
        hook = self._hook()
        if native:
            threading.setprofile(hook)
        sys.setprofile(hook)

    def begin(self) -> None:
        """The load begins."""
        self._on = True

    def end(self) -> None:
        """The load has ended."""
        self._on = False

    def mark(self, kind: str) -> None:
        """A message passes in this thread: what it did since the last one was for that."""
        here = vars(_current())
        task = here.get(_HERE)
        if task is None:
            task = here[_HERE] = _Task()
        if not task.kind:
            task.kind = kind
        if task.kind != kind:
            return
        if not self._on:
            task.last = -1
            return
        next(self._marks[kind])
        if task.last >= 0:
            self.windows[kind].append(task.entered - task.last)
        task.last = task.entered

    def marks(self) -> dict[str, int]:
        """How often messages of the load passed, by what threads do. To be asked once."""
        return {kind: next(each) for kind, each in self._marks.items()}

    def histograms(self) -> dict[str, dict[str, int]]:
        """How often so many functions were entered for a message, by what threads do."""
        return {
            kind: {str(entered): times for entered, times in sorted(Counter(each).items())}
            for kind, each in self.windows.items()
            if each
        }

    def _hook(self) -> Callable[[FrameType, str, object], None]:
        files, current, here = self._files, _current, _HERE

        def hook(frame: FrameType, event: str, _argument: object) -> None:
            if event == "call" and files[frame.f_code.co_filename]:
                of = vars(current())
                task = of.get(here)
                if task is None:
                    task = of[here] = _Task()
                task.entered += 1

        return hook

    def _monitor(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        files, current, here = self._files, _current, _HERE
        disable = monitoring.DISABLE

        def entered(code: CodeType, _offset: int) -> object:
            if not files[code.co_filename]:
                return disable
            of = vars(current())
            task = of.get(here)
            if task is None:
                task = of[here] = _Task()
            task.entered += 1
            return None

        tool = monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, "omrig counts")
        events = 0
        for name in _RESUMED:
            event = getattr(monitoring.events, name)
            monitoring.register_callback(tool, event, entered)
            events |= event
        monitoring.set_events(tool, events)
