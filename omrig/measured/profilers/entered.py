"""Counts the Python functions that are entered, for each thread or greenlet by itself.

A thread's count is cut at each message that passes it, so that what it does for one message is
known whatever other threads do meanwhile, and whenever. Three things would make it wobble, and are
kept apart: functions that have threads wait for one another, which are entered more or less often
by who comes first; turns of a loop that waits for messages and finds none, by how long that takes;
and what omrig does itself. Builtins are not counted; a generator that is resumed is entered again.
"""

import array
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import greenlet

import omrig

SENDS, RECEIVES, SERVES = "sends", "receives", "serves"
"""What a thread does for a message: that by which it is first seen to take part in one."""

KINDS = (SENDS, RECEIVES, SERVES)

OWN, COUNTED, WAITING, MADE = range(4)
"""What the functions of a file are: omrig's, a message's, those by which threads wait for one
another, or made of text at run time: these are whose caller's file it is."""

_OURS = str(Path(omrig.__file__).parent) + "/"

_WAITING_PACKAGES = ("/eventlet/", "/futurist/", "/concurrent/futures/")

_WAITING_MODULES = frozenset(
    str(Path(threading.__file__).with_name(name))
    for name in (
        "threading.py",
        "queue.py",
        "socket.py",
        "ssl.py",
        "selectors.py",
        "weakref.py",
        "_weakrefset.py",
    )
)

_HERE = "omrig_entered"
"""The attribute of a greenlet, or of a thread's outermost one, that has its count."""

_IDLE_BITS = 16

_current = greenlet.getcurrent


class Task:
    """One thread or greenlet: functions entered so far, of those that ``waiting`` is of, too; what
    they were at its last message (-1 before the first); turns that found nothing since then."""

    __slots__ = ("again", "at", "entered", "idle", "kind", "read_at", "waited_at", "waiting")

    def __init__(self) -> None:
        self.kind = ""
        self.entered = 0
        self.waiting = 0
        self.at = -1
        self.waited_at = 0
        self.again = False
        self.idle = 0
        self.read_at = -1


class Files(dict[str, int]):
    """By the name of a file what its functions are."""

    def __missing__(self, name: str) -> int:
        self[name] = kind = _kind_of(name)
        return kind


def _kind_of(name: str) -> int:
    if name.startswith(_OURS):
        return OWN
    if name in _WAITING_MODULES or any(each in name for each in _WAITING_PACKAGES):
        return WAITING
    return MADE if name == "<string>" else COUNTED


class Entered:
    """The count of a process, on from :meth:`install`; messages count from :meth:`begin`."""

    def __init__(self) -> None:
        # What several threads append to, none of which is lost: a dict would lose some.
        self._windows = {kind: array.array("Q") for kind in KINDS}
        self._waited = {kind: array.array("Q") for kind in KINDS}
        self._idle_turns = array.array("Q")
        self._marks = {kind: itertools.count() for kind in KINDS}
        self._new: list[Task] = []
        self._on = False

    def install(self, native: bool) -> None:
        """Count from now on: in this thread, and with ``native`` in every one that is started."""
        hook = _hook()
        if native:
            threading.setprofile(hook)
        sys.setprofile(hook)

    def begin(self) -> None:
        """The load begins."""
        self._on = True

    def end(self) -> None:
        """No message counts from now on."""
        self._on = False

    def mark(self, kind: str) -> None:
        """A message passes in this thread: what it did since the last one was for that."""
        task = _here()
        is_new = not task.kind
        if is_new:
            task.kind = kind
        if task.kind != kind:
            return
        if not self._on:
            task.at = -1
            return
        next(self._marks[kind])
        if task.at >= 0:
            task.again = True
            self._note(task, task.at, task.waited_at)
        elif is_new:
            self._new.append(task)
        task.at, task.waited_at, task.idle = task.entered, task.waiting, 0

    def reads(self) -> tuple[Task, int]:
        """This thread begins to wait for a frame: for :meth:`found_none`."""
        task = _here()
        if task.read_at >= 0 and task.kind == RECEIVES and self._on:
            self._idle_turns.append(task.entered - task.read_at)
        task.read_at = -1
        return task, task.entered

    def found_none(self, task: Task, at: int) -> None:
        """None came before the time was over."""
        task.read_at = at
        if task.kind == RECEIVES:
            task.idle += 1

    def marks(self) -> dict[str, int]:
        """How often messages of the load passed, by what threads do. To be asked once."""
        self._end_of_new()
        return {kind: passed for kind, each in self._marks.items() if (passed := next(each))}

    def histograms(self) -> dict[str, dict[str, int]]:
        """How often so many functions were entered for a message, by what threads do."""
        turns = Counter(self._idle_turns).most_common(1)
        turn = turns[0][0] if turns else 0
        return {
            kind: {str(entered): times for entered, times in sorted(_corrected(each, turn).items())}
            for kind, each in self._windows.items()
            if each
        }

    def waiting(self) -> dict[str, float]:
        """Functions of those that wait entered a message, on average, by what threads do."""
        return {kind: sum(each) / len(each) for kind, each in self._waited.items() if each}

    def _note(self, task: Task, since: int, waited_since: int) -> None:
        idle = min(task.idle, (1 << _IDLE_BITS) - 1)
        self._windows[task.kind].append(task.entered - since << _IDLE_BITS | idle)
        self._waited[task.kind].append(task.waiting - waited_since)

    def _end_of_new(self) -> None:
        """Who was started for one message did for it all that it did."""
        for task in self._new:
            if not task.again:
                self._note(task, 0, 0)
        self._new.clear()


_ENTERS = "call"
"""What ``sys.setprofile`` tells where a Python function is entered."""


def _here() -> Task:
    here = vars(_current())
    task = here.get(_HERE)
    if task is None:
        task = here[_HERE] = Task()
    return task  # type: ignore[no-any-return]


def _hook() -> Callable[[FrameType, str, object], None]:
    files, current, here, enters = Files(), _current, _HERE, _ENTERS

    def hook(frame: FrameType, event: str, _argument: object) -> None:
        if event != enters:
            return
        kind = files[frame.f_code.co_filename]
        if kind == MADE and frame.f_back is not None:
            kind = files[frame.f_back.f_code.co_filename]
        if kind == OWN:
            return
        of = vars(current())
        task = of.get(here)
        if task is None:
            task = of[here] = Task()
        if kind == WAITING:
            task.waiting += 1
        else:
            task.entered += 1

    return hook


def _corrected(windows: Iterable[int], turn: int) -> Counter[int]:
    """Functions entered from message to message without the turns that found nothing."""
    found: Counter[int] = Counter()
    for each, times in Counter(windows).items():
        entered, idle = each >> _IDLE_BITS, each & (1 << _IDLE_BITS) - 1
        found[max(0, entered - idle * turn)] += times
    return found
