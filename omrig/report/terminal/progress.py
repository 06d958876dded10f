"""How far a run is, on standard error: a live screen on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from omrig.model import units

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

LINE_EVERY_S = 5.0
"""How often a plain line is written where there is no terminal."""

_BAR_WIDTH = 40
_PERCENTILES = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0))

# As precise as what is shown; the range that of result.json's percentiles.
_LOWEST_NS, _HIGHEST_NS, _DIGITS = 1_000, 3_600_000_000_000, 2


class Progress:
    """What the supervisor tells; shows nothing itself: ``--quiet``."""

    is_seen = False
    """Whether it is worth the while to work out what is shown."""

    def __init__(self, requested: int | None) -> None:
        self.requested = requested
        self.seen: dict[str, dict[str, int]] = {}
        self._rates: list[tuple[float, int]] = []

    def say(self, text: str) -> None:
        """A step that has been taken."""

    def tell(self, text: str) -> None:
        """What has to be known, whatever is shown otherwise: a line that stays."""
        sys.stderr.write(f"omrig: {text}\n")
        sys.stderr.flush()

    def ask(self, question: str) -> bool:
        """Ask on the terminal; whether the answer is yes."""
        sys.stderr.write(f"omrig: {question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

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

    def latencies(self, latencies_ns: Sequence[int]) -> None:
        """How long messages took that have ended since the last time."""

    def owners(self, owners: Mapping[str, float]) -> None:
        """Whose time the messages of the last seconds took, in shares that add up to 1."""

    def processors(self, used: Mapping[str, float]) -> None:
        """CPU seconds a second of each process."""

    def close(self) -> None:
        """The run has ended."""

    def done(self) -> int:
        """Messages that ended well, as the producer sees it where there is one."""
        if "producer" in self.seen:
            return self.seen["producer"].get("done", 0)
        return self.seen.get("consumer", {}).get("received", 0)

    def state(self) -> list[str]:
        """Messages, rate over the last seconds, errors, time left."""
        done, rate = self.done(), self.rate()
        of = f"/{self.requested:,}" if self.requested else ""
        errors = self.seen.get("producer", {}).get("errors", 0)
        parts = [f"{done:,}{of} messages", f"{rate:,.0f} msg/s", f"{errors:,} errors"]
        if self.requested and rate > 0:
            parts.append(f"{(self.requested - done) / rate:,.0f} s left")
        return parts

    def rate(self) -> float:
        """Messages a second over the last readings."""
        if len(self._rates) < 2:
            return 0.0
        (then, before), (now, done) = self._rates[0], self._rates[-1]
        return (done - before) / (now - then) if now > then else 0.0


class _Shown(Progress):
    """Keeps what is told of the load, for those that show it."""

    is_seen = True

    def __init__(self, requested: int | None) -> None:
        super().__init__(requested)
        from hdrh.histogram import HdrHistogram

        self._latencies = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
        self._owners: Mapping[str, float] = {}
        self._processors: Mapping[str, float] = {}

    def latencies(self, latencies_ns: Sequence[int]) -> None:
        """See :class:`Progress`."""
        for latency_ns in latencies_ns:
            self._latencies.record_value(latency_ns)

    def owners(self, owners: Mapping[str, float]) -> None:
        """See :class:`Progress`."""
        self._owners = owners

    def processors(self, used: Mapping[str, float]) -> None:
        """See :class:`Progress`."""
        self._processors = used

    def percentiles(self) -> list[str]:
        """The latencies so far, "p50 11.2 ms" each."""
        if not self._latencies.get_total_count():
            return []
        return [
            f"{name} {units.duration(self._latencies.get_value_at_percentile(percent))}"
            for name, percent in _PERCENTILES
        ]

    def shares(self) -> list[tuple[str, float]]:
        """The owners of the last seconds and their shares, the largest first."""
        return sorted(self._owners.items(), key=lambda each: -each[1])

    def cpu(self) -> list[str]:
        """What each process uses, "broker 41 %" each, of a core."""
        return [f"{name} {100 * used:.0f} %" for name, used in sorted(self._processors.items())]


class Lines(_Shown):
    """A plain line every few seconds."""

    _last = 0.0

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self.tell(text)

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

    def line(self) -> str:
        """All there is to say of the load in one line."""
        from omrig.report import owners as shares

        owners = [f"{shares.title(owner)} {100 * share:.0f} %" for owner, share in self.shares()]
        groups = (self.state() + self.percentiles(), owners, self.cpu())
        names = ("", "time: ", "CPU: ")
        return "; ".join(
            name + ", ".join(group) for name, group in zip(names, groups, strict=True) if group
        )

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S:
            return False
        self._last = now
        return True


class Live(_Shown):
    """A few lines at the bottom of the terminal that are drawn anew twice a second."""

    def __init__(self, requested: int | None) -> None:
        super().__init__(requested)
        from rich.console import Console
        from rich.live import Live as Screen

        self._phase = "preparing"
        self._said = ""
        self._screen = Screen(
            console=Console(stderr=True),
            get_renderable=self.draw,
            transient=True,
            refresh_per_second=2,
        )
        self._screen.start()

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._said = text

    def tell(self, text: str) -> None:
        """See :class:`Progress`."""
        from rich.text import Text

        # Above what is drawn, where it stays.
        self._screen.console.print(Text(f"omrig: {text}"), soft_wrap=True)

    def ask(self, question: str) -> bool:
        """See :class:`Progress`."""
        self._screen.stop()
        try:
            return super().ask(question)
        finally:
            self._screen.start()

    def waiting(self, left_s: float) -> None:
        """See :class:`Progress`."""
        self._phase, self._said = "waiting", f"for a consumer, {left_s:.0f} s left"

    def phase(self, side: str, phase: str) -> None:
        """See :class:`Progress`."""
        self._phase, self._said = f"{side}: {phase}", ""

    def draw(self) -> "RenderableType":
        """The screen as it is now; drawn by a thread of its own."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        if self._said or not self.seen:
            table.add_row(self._phase, self._said)
            return table
        table.add_row(self._phase, self._bar())
        for name, parts in (
            ("", self.state()),
            ("latency so far", self.percentiles()),
            ("CPU of a core", self.cpu()),
        ):
            if parts:
                table.add_row(name, Text("   ".join(parts)))
        if self._owners:
            table.add_row("last 10 seconds", self._stacked())
            table.add_row("", self._legend())
        return table

    def close(self) -> None:
        """See :class:`Progress`."""
        self._screen.stop()

    def _bar(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar

        return ProgressBar(
            total=self.requested,
            completed=self.done(),
            width=_BAR_WIDTH,
            pulse=not self.requested,
        )

    def _stacked(self) -> "Text":
        from rich.text import Text

        from omrig.report import owners as shares

        bar, drawn, whole = Text(), 0, 0.0
        for owner, share in self.shares():
            whole += share
            end = round(whole * _BAR_WIDTH)
            bar.append("█" * (end - drawn), shares.style(owner))
            drawn = end
        return bar

    def _legend(self) -> "Text":
        from rich.text import Text

        from omrig.report import owners as shares

        return Text("   ").join(
            Text(f"{shares.title(owner)} {100 * share:.0f} %", shares.style(owner))
            for owner, share in self.shares()
        )


def make(requested: int | None, quiet: bool, debug: bool) -> Progress:
    """The way to show progress that suits the terminal; a debug log does not mix with a screen."""
    if quiet:
        return Progress(requested)
    if sys.stderr.isatty() and not debug:
        return Live(requested)
    return Lines(requested)
