"""Signals that ask for the end, from the first step of a run to its last."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the system, and a terminal that has been closed."""


class Interrupts:
    """An exception while nothing is under way, a request to stop while ``deferred``."""

    def __init__(self) -> None:
        self.count = 0
        self.deferred = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self.deferred:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Take the signals until the block ends.

        Those that are ignored stay so: the terminal's end under ``nohup``, the Ctrl-C meant for
        another of a job in the background.
        """
        before = {number: signal.getsignal(number) for number in ASKING}
        before = {n: handler for n, handler in before.items() if handler != signal.SIG_IGN}
        for number in before:
            signal.signal(number, self)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def deferring(self, deferred: bool = True) -> Iterator[None]:
        """Have signals only counted until the block ends, or have them raise."""
        before, self.deferred = self.deferred, deferred
        try:
            yield
        finally:
            self.deferred = before
