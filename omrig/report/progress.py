"""How far a run is, on standard error: a live bar on a terminal, else a line now and then."""

import sys
import time
from typing import Any

from omrig import redaction

LINE_EVERY_S = 5.0
"""How often a plain line is written where there is no terminal."""


class Progress:
    """What the supervisor tells; shows nothing itself: ``--quiet``."""

    def __init__(self, requested: int | None) -> None:
        self.requested = requested
        self.seen: dict[str, dict[str, int]] = {}
        self._rates: list[tuple[float, int]] = []

    def say(self, text: str) -> None:
        """A step that has been taken."""

    def waiting(self, left_s: float) -> None:
        """No consumer has answered yet; ``left_s`` seconds are left to wait."""

    def phase(self, side: str, phase: str) -> None:
        """A side goes on to ``warm-up``, ``load`` or ``saving``."""

    def counts(self, side: str, counts: dict[str, int]) -> None:
        """Messages of a side so far."""
        self.seen.setdefault(side, {}).update(counts)
        done = self.done()
        self._rates.append((time.monotonic(), done))
        del self._rates[:-11]

    def close(self) -> None:
        """The run has ended."""

    def done(self) -> int:
        """Messages that ended well, as the producer sees it where there is one."""
        if "producer" in self.seen:
            return self.seen["producer"].get("done", 0)
        return self.seen.get("consumer", {}).get("received", 0)

    def line(self) -> str:
        """The state in one line: messages, rate over the last seconds, errors, time left."""
        done, rate = self.done(), self.rate()
        of = f"/{self.requested:,}" if self.requested else ""
        errors = self.seen.get("producer", {}).get("errors", 0)
        parts = [f"{done:,}{of} messages", f"{rate:,.0f} msg/s", f"{errors:,} errors"]
        if self.requested and rate > 0:
            parts.append(f"{(self.requested - done) / rate:,.0f} s left")
        return ", ".join(parts)

    def rate(self) -> float:
        """Messages a second over the last readings."""
        if len(self._rates) < 2:
            return 0.0
        (then, before), (now, done) = self._rates[0], self._rates[-1]
        return (done - before) / (now - then) if now > then else 0.0


class Lines(Progress):
    """A plain line every few seconds."""

    _last = 0.0

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        sys.stderr.write(f"omrig: {redaction.redact(text)}\n")
        sys.stderr.flush()

    def waiting(self, left_s: float) -> None:
        """See :class:`Progress`."""
        if self._due():
            self.say(f"waiting for a consumer, {left_s:.0f} s left")

    def phase(self, side: str, phase: str) -> None:
        """See :class:`Progress`."""
        self.say(f"{side}: {phase}")

    def counts(self, side: str, counts: dict[str, int]) -> None:
        """See :class:`Progress`."""
        super().counts(side, counts)
        if self.done() and self._due():
            self.say(self.line())

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S:
            return False
        self._last = now
        return True


class Live(Progress):
    """A bar with rate, errors and time left on the terminal's last line."""

    def __init__(self, requested: int | None) -> None:
        super().__init__(requested)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("[bold]{task.fields[phase]}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=2,
        )
        self._task: Any = self._bar.add_task("", total=requested, phase="preparing", state="")
        self._bar.start()

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._bar.update(self._task, state=redaction.redact(text))

    def waiting(self, left_s: float) -> None:
        """See :class:`Progress`."""
        self._bar.update(self._task, phase="waiting", state=f"for a consumer, {left_s:.0f} s left")

    def phase(self, side: str, phase: str) -> None:
        """See :class:`Progress`."""
        self._bar.update(self._task, phase=f"{side}: {phase}", state="")

    def counts(self, side: str, counts: dict[str, int]) -> None:
        """See :class:`Progress`."""
        super().counts(side, counts)
        self._bar.update(self._task, completed=self.done(), state=self.line())

    def close(self) -> None:
        """See :class:`Progress`."""
        self._bar.stop()


def make(requested: int | None, quiet: bool, debug: bool) -> Progress:
    """The way to show progress that suits the terminal; a debug log does not mix with a bar."""
    if quiet:
        return Progress(requested)
    if sys.stderr.isatty() and not debug:
        return Live(requested)
    return Lines(requested)
