"""In which stage a stack is that was seen from outside: told by where on its way a message is when.

The stamps of a message are set at known places, and a program runs its lines from the top down. So
a stack that was sampled is compared with the stacks at which stamps were set, at the deepest level
that they share: what is further down there is later. The last stamp that the sample is not before
is that of its stage. Nothing is added to a call for that.

Loops and what runs at the end of a ``with`` come back to earlier lines: such a sample can be put
into too early a stage. Where two calls on one line are known in no order, it is put into none.
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from omrig.measured.profilers.whereabouts import At, Passed, Stack

OTHER_THREADS = "in threads and greenlets that handle no message: polling, heartbeats, the hub"
BETWEEN = "before or after a message: in loops that wait for the next one, in the load itself"
UNORDERED = "beside another call on the same line, in an order that is not known"

_RUNNERS = (
    ("threading.py",),
    ("concurrent", "futures", "thread.py"),
    ("futurist", "_green.py"),
    ("futurist", "_thread.py"),
    ("eventlet", "greenthread.py"),
    ("eventlet", "greenpool.py"),
    ("eventlet", "green", "thread.py"),
)
"""The ends of the files with which threads and greenlets begin, whatever they are for."""


class Step(NamedTuple):
    """A message goes on to ``stage`` (empty: it ends) where the stack is ``stack``.

    The levels with which threads begin, whatever they are for, are left out.
    """

    stage: str
    stack: Stack


Course = Sequence[Step]
"""What happens to a message in threads that began with the same function, in order."""

Courses = dict[tuple[str, str], Course]
"""By file and name of the function that the threads began with."""


class Placed(NamedTuple):
    """The stage of a stack; None, and why, where it is in none."""

    stage: str | None
    reason: str = ""


def learn(messages: Iterable[Sequence[Passed]]) -> Courses:
    """The courses that messages take, out of the passages of some of them."""
    courses: dict[tuple[str, str], list[Step]] = {}
    for passages in messages:
        behind: dict[tuple[str, str], int] = {}
        for stage, stack, _ in passages:
            own = _own(stack)
            if not own:
                continue
            began = own[0][:2]
            steps = courses.setdefault(began, [])
            at, step = behind.get(began, -1), Step(stage, own)
            if step not in steps:
                steps.insert(at + 1, step)
            behind[began] = max(at, steps.index(step))
    return dict(courses)


def place(stack: Stack, courses: Courses) -> Placed:
    """Where on its way the message is that a thread with this stack works on."""
    own = _own(stack)
    if not own or own[0][:2] not in courses:
        return Placed(None, OTHER_THREADS)
    course = courses[own[0][:2]]
    stage, possible = "", set[str]()
    for number, step in enumerate(course):
        order = _order(own, number, course)
        if order is None:
            possible.add(step.stage)
        elif order > 0:
            stage = step.stage
            possible.clear()
    if possible - {stage}:
        return Placed(None, UNORDERED)
    return Placed(stage) if stage else Placed(None, BETWEEN)


def _own(stack: Stack) -> Stack:
    """The stack from the function on that the thread or greenlet is there for."""
    return tuple(itertools.dropwhile(lambda level: _only_runs(level.file), stack))


@functools.cache
def _only_runs(file: str) -> bool:
    parts = PurePath(file).parts
    return any(parts[-len(end) :] == end for end in _RUNNERS)


def _order(stack: Stack, number: int, course: Course) -> int | None:
    """Whether a stack is after a step (1) or before it (-1); None where that is not known."""
    for depth, (here, there) in enumerate(zip(stack, course[number].stack, strict=False)):
        if here[:2] != there[:2]:
            return _order_of_calls(stack[: depth + 1], number, course)
        if here.line != there.line:
            return 1 if here.line > there.line else -1
    # On the very line: a stamp is set when what the line calls has returned, and at the beginning
    # of a function on the line of its name, from which nothing is called.
    return -1


def _order_of_calls(stack: Stack, number: int, course: Course) -> int | None:
    """As :func:`_order`, of two functions that are called on one line: as the course has them."""
    called = [at for at, step in enumerate(course) if _passes(step.stack, stack)]
    if not called:
        return None
    if number < called[0]:
        return 1
    return -1 if number > called[-1] else None


def _passes(stack: Stack, through: Sequence[At]) -> bool:
    *callers, called = through
    depth = len(callers)
    if len(stack) <= depth:
        return False
    return tuple(stack[:depth]) == tuple(callers) and stack[depth][:2] == called[:2]
