"""What a thread or a greenlet is there for: its role, told by a tag or by what it was started with.

A role is a short text: `producer worker`, `reply listener`, `consumer poller`, `executor worker`,
`heartbeat`, `hub`, `main`; for anything else the name of the function it was started with.
"""

import functools
import threading
from types import CodeType, FrameType
from typing import Any

import greenlet

# The attributes that hold a tag, on greenlets and threads, and what the contexts of a call graph
# made of it, on greenlets.
ROLE = "omrig_role"
CONTEXT = "omrig_context"

KNOWN_ROLES = {
    "oslo_messaging._drivers.amqpdriver:ReplyWaiter.poll": "reply listener",
    "oslo_messaging._drivers.base:PollStyleListenerAdapter._runner": "consumer poller",
    "oslo_messaging._drivers.impl_rabbit:Connection._heartbeat_thread_job": "heartbeat",
    "eventlet.hubs.hub:BaseHub.run": "hub",
    "eventlet.hubs.asyncio:Hub.run": "hub",
    "futurist._green:GreenWorker.__call__": "executor worker",
    "futurist._thread:ThreadWorker.run": "executor worker",
    "concurrent.futures.thread:_worker": "executor worker",
    "omrig.measured.progress:report.<locals>.loop": "omrig progress",
}

# Functions that only run another one, and the name of the argument that it is.
_WRAPPERS = {
    ("eventlet.greenthread", "main"): "function",
    ("eventlet.green.thread", "__thread_body"): "func",
    ("eventlet.greenpool", "_spawn_n_impl"): "func",
}


def name_context(role: str) -> None:
    """Give the current greenlet and thread a role; profilers show their time under it.

    Best called first thing in the thread or greenlet: what was measured before stays where it was.
    """
    current = greenlet.getcurrent()
    if getattr(current, ROLE, None) != role:
        setattr(current, ROLE, role)
        vars(current).pop(CONTEXT, None)
    thread = threading.current_thread()
    # Under eventlet a bare greenlet has no thread object of its own and would name the main one.
    if thread.ident == threading.get_ident():
        thread.name = role
        setattr(thread, ROLE, role)


def thread_role(thread: threading.Thread) -> str:
    """The role of a thread that has been started and has not ended."""
    tagged = getattr(thread, ROLE, None)
    if tagged is not None:
        return str(tagged)
    if thread is threading.main_thread():
        return "main"
    return known_or_name(entry_of(thread.run, ()))


def stack_thread(frame: FrameType) -> threading.Thread | None:
    """The thread that the stack under `frame` is of, if it was started as one."""
    outermost = _outermost(frame)
    return _thread_of(outermost.f_code, outermost)


def _outermost(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def stack_entry(frame: FrameType) -> str:
    """The function that the stack under `frame` was started with, as `module:qualified.name`."""
    outermost = _outermost(frame)
    module = str(outermost.f_globals.get("__name__", ""))
    code = outermost.f_code
    argument = _WRAPPERS.get((module, code.co_name))
    if argument is not None:
        return entry_of(outermost.f_locals[argument], outermost.f_locals.get("args", ()))
    thread = _thread_of(code, outermost)
    if thread is not None:
        return entry_of(thread.run, ())
    return f"{module}:{code.co_qualname}"


def known_or_name(entry: str) -> str:
    """The role of a function given as `module:qualified.name`."""
    return KNOWN_ROLES.get(entry) or entry.partition(":")[2].rpartition("<locals>.")[2]


def entry_of(function: Any, args: tuple[Any, ...]) -> str:
    """`module:qualified.name` of what calling `function(*args)` is really about.

    Sees through partials, eventlet's wrappers and the bootstrap of threads.
    """
    while True:
        owner = getattr(function, "__self__", None)
        if isinstance(function, functools.partial):
            function, args = function.func, (*function.args, *args)
        elif owner is not None and _is_thread(owner):
            target = getattr(owner, "_target", None)
            if target is None:
                function = type(owner).run
                break
            function, args = target, getattr(owner, "_args", ())
        elif args and (function.__module__, _name(function)) in _WRAPPERS:
            function, args = args[0], args[1] if len(args) > 1 else ()
        else:
            break
    if not hasattr(function, "__qualname__"):
        return f"{type(function).__module__}:{type(function).__qualname__}.__call__"
    return f"{function.__module__}:{function.__qualname__}"


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", ""))


def _thread_of(code: CodeType, frame: FrameType) -> threading.Thread | None:
    if code.co_name not in ("_bootstrap", "_bootstrap_inner", "run"):
        return None
    owner = frame.f_locals.get("self")
    return owner if _is_thread(owner) else None


def _is_thread(owner: Any) -> bool:
    # Beside eventlet's there is the original module, with a class of its own.
    return any(
        base.__name__ == "Thread" and base.__module__ == "threading" for base in type(owner).__mro__
    )
