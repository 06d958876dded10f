"""How concurrency is done in the measured process: ``eventlet`` or ``threading``.

Everything above this package is written once, against :class:`Executor`; nothing else in omrig
imports eventlet. The names are oslo.messaging's own.
"""

import importlib
from collections.abc import Callable
from typing import Protocol, cast


class Worker(Protocol):
    """A started green or native thread."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; False when it has not ended within ``timeout_s``."""


class Executor(Protocol):
    """What the load needs from a concurrency model."""

    name: str

    def patch(self) -> None:
        """Make the standard library cooperate; called before anything else is imported."""

    def spawn(self, target: Callable[[], None], role: str) -> Worker:
        """Run ``target`` in a thread of this model; ``role`` names it in profiles."""

    def start_native_thread(self, target: Callable[[], None], name: str) -> None:
        """Run ``target`` in a daemonic thread of the operating system, whatever the model.

        ``target`` must not call anything that :meth:`patch` replaces; it waits with
        :meth:`native_sleep`.
        """

    def native_sleep(self, seconds: float) -> None:
        """Block the calling thread of the operating system, whatever the model."""


def load(name: str) -> Executor:
    """The executor called ``name``; imports eventlet only for ``eventlet``."""
    return cast(Executor, importlib.import_module(f"omrig.measured.executors.{name}").make())
