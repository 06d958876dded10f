"""Which greenlet or thread yappi is looking at, as a small number of contexts with a role each."""

import itertools
import os
import sys
import threading
from collections import defaultdict
from typing import Any

import greenlet
import yappi

from omrig.measured.executors import roles

_LEASE = "omrig_lease"


class GreenletContexts:
    """Contexts of a process in which eventlet runs, pooled.

    Executors start a greenlet a message, and yappi keeps a context for ever: with one context a
    greenlet, memory and the time to save grow with the number of messages. So a context is lent
    to a greenlet for its life and then goes to the next one of the same role.
    """

    def __init__(self) -> None:
        self._roles: dict[int, str] = {}
        self._free: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        self._learned: dict[str, str] = {}

    def install(self) -> None:
        """Make yappi ask here; before it is started."""
        getcurrent = greenlet.getcurrent
        lend = self._lend

        # Called at every event that yappi sees: nothing but one attribute may be looked up.
        def context_id() -> int:
            try:
                context: int = getcurrent().omrig_context
            except AttributeError:
                return lend(getcurrent())
            return context

        yappi.set_context_backend("greenlet")
        yappi.set_context_id_callback(context_id)
        yappi.set_context_name_callback(lambda: self._roles[context_id()])

    def measured(self) -> dict[int, tuple[str, float]]:
        """By context: its role and the seconds it took."""
        return {
            stat.id: (self._roles.get(stat.id, "unnamed"), stat.ttot)
            for stat in yappi.get_greenlet_stats()
        }

    def _lend(self, current: Any) -> int:
        role = self._role(current)
        lease = vars(current).get(_LEASE)
        if lease is None or lease.role != role:
            if lease is not None:
                lease.retire()
            # A context belongs to one native thread; eventlet's patched get_ident tells greenlets
            # apart instead.
            lease = _Lease(role, self._free[role, threading.get_native_id()], self._roles)
            setattr(current, _LEASE, lease)
        context: int = lease.context
        setattr(current, roles.CONTEXT, context)
        return context

    def _role(self, current: Any) -> str:
        entry = roles.stack_entry(sys._getframe())
        tagged = getattr(current, roles.ROLE, None)
        if tagged is not None:
            # The next greenlet with this function is known before it has had time to tag itself,
            # and need not change contexts half-way.
            if entry not in roles.KNOWN_ROLES:
                self._learned[entry] = tagged
            return str(tagged)
        # On Linux the main thread has the number of the process.
        if current.parent is None and threading.get_native_id() == os.getpid():
            return "main"
        return self._learned.get(entry) or roles.known_or_name(entry)


class _Lease:
    """A context for as long as a greenlet lives: the greenlet's attributes die with it."""

    __slots__ = ("_free", "context", "role")

    def __init__(self, role: str, free: list[int], all_roles: dict[int, str]) -> None:
        self.role = role
        self._free: list[int] | None = free
        if free:
            self.context = free.pop()
        else:
            # From 1: yappi takes 0 for "no context".
            self.context = len(all_roles) + 1
            all_roles[self.context] = role

    def retire(self) -> None:
        """Never lend this context again: its stack still holds functions that have not returned."""
        self._free = None

    def __del__(self) -> None:
        if self._free is not None:
            self._free.append(self.context)


class ThreadContexts:
    """Contexts of a process with native threads: one a thread.

    A thread may be tagged after yappi has asked for its name, and yappi asks once: so what yappi
    is told is a number, and the role is looked up at the end.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._threads: dict[str, tuple[threading.Thread | None, str]] = {}

    def install(self) -> None:
        """Make yappi ask here; before it is started."""
        yappi.set_context_backend("native_thread")
        yappi.set_context_name_callback(self._register)

    def measured(self) -> dict[int, tuple[str, float]]:
        """By context: its role and the seconds it took."""
        return {stat.id: (self._role(stat.name), stat.ttot) for stat in yappi.get_thread_stats()}

    def _register(self) -> str:
        # current_thread() may take the very lock whose use is being profiled.
        thread = getattr(threading, "_active", {}).get(threading.get_ident())
        if thread is None:
            # It has begun and is not listed yet.
            thread = roles.stack_thread(sys._getframe())
        if thread is not None:
            role = roles.thread_role(thread)
        else:
            role = roles.known_or_name(roles.stack_entry(sys._getframe()))
        number = str(next(self._numbers))
        self._threads[number] = (thread, role)
        return number

    def _role(self, number: str) -> str:
        thread, role = self._threads.get(number, (None, "unnamed"))
        return str(getattr(thread, roles.ROLE, role))
