"""The profilers and the counters of a measured process: on and off around the load."""

from collections.abc import Sequence

from omrig.measured.profilers.base import Profiler
from omrig.measured.usage import Usage
from omrig.model.values import Json


class Measurement:
    """The profilers and the usage counters around the measured load: on once, off once.

    In between :meth:`profile` may take profilers out and in.
    """

    def __init__(self, profilers: Sequence[Profiler]) -> None:
        self.profilers = profilers
        self.usage = Usage()
        self.progress_seconds = 0.0
        """CPU time of saying how far the side is, so far."""
        self._running = False
        self._over = False
        self._on: list[Profiler] = []

    def start(self) -> None:
        """Begin, unless it has begun before."""
        if self._running or self._over:
            return
        self._running = True
        self._switch(self.profilers, True)
        self.usage.start()

    def stop(self) -> None:
        """End, if it has begun."""
        if not self._running:
            return
        self._running = False
        self._over = True
        self.usage.stop()
        self._switch(self.profilers, False)

    def profile(self, on: bool, slow_only: bool = False) -> None:
        """Have the profilers on or off from now on, with ``slow_only`` those that slow the run.

        What cannot be stopped and started stays on, and nothing is done before the beginning or
        after the end.
        """
        if not self._running:
            return
        with self.usage.left_out():
            self._switch(self._switchable(slow_only), on)

    def recent(self) -> dict[str, list[list[int]]]:
        """What the profilers can show already of messages that ended since the last time."""
        found: dict[str, list[list[int]]] = {}
        for profiler in self.profilers:
            found |= profiler.recent()
        return found

    def offer(self, twin: bool) -> dict[str, Json]:
        """The modes that can be compared in slices of the load, and whether that is asked for."""
        return {
            "slow": [each.name for each in self._switchable(slow_only=True)],
            "all": [each.name for each in self._switchable(slow_only=False)],
            "lasting": [each.name for each in self.profilers if not each.pausable],
            "twin": twin,
        }

    def _switchable(self, slow_only: bool) -> list[Profiler]:
        return [
            each for each in self.profilers if each.pausable and (each.is_slow or not slow_only)
        ]

    def _switch(self, chosen: Sequence[Profiler], on: bool) -> None:
        for profiler in chosen if on else reversed(chosen):
            if (profiler in self._on) == on:
                continue
            if on:
                profiler.start()
                self._on.append(profiler)
            else:
                profiler.stop()
                self._on.remove(profiler)
