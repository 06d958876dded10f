"""The highest rate that holds: runs of an open loop in turn on one broker, each at another rate.

A rate is judged by two runs that agree, of three at most: beside its limit it holds in one run and
not in the next. The rates begin below what a closed loop comes to, go up or down until one holds
and one does not, and then halve what lies between the two.
"""

import contextlib
import dataclasses
import math
import uuid
from collections.abc import Callable
from pathlib import Path

from omrig.model.errors import RunError, UsageError
from omrig.model.found_rate import FoundRate, Trial
from omrig.model.pace import Pace
from omrig.model.plan import Plan
from omrig.model.result import Result
from omrig.supervisor import brokers
from omrig.supervisor.brokers import Measure
from omrig.supervisor.display import Display
from omrig.supervisor.interrupts import Interrupts

CLOSE = 1.05
"""How far above the rate that holds the one that does not may be in the end, as a ratio."""

BEGINS = 0.7
"""Part of what a closed loop comes to at which the search begins."""

UP, DOWN = 1.5, 0.5
"""Steps until one rate holds and another does not."""

MOST_STEPS = 16
"""So many steps in one direction: further away there is nothing to be found."""

TRIAL_S = 5.0
"""How long a run lasts unless ``--duration`` says it, or its percentile needs more messages."""


Judge = Callable[[Result], tuple[float | None, str | None]]
"""What a run came to, and why it does not hold: None where it does."""


def highest(first: float, holds: Callable[[float], bool]) -> tuple[float | None, float | None]:
    """The highest rate that holds and the lowest that does not, :data:`CLOSE` together.

    None for one of them where it was not found within :data:`MOST_STEPS`.
    """
    low = high = None
    rate = _rounded(first)
    for _ in range(MOST_STEPS):
        if holds(rate):
            low, rate = rate, _rounded(rate * UP)
        else:
            high, rate = rate, _rounded(rate * DOWN)
        if low is not None and high is not None:
            break
    while low is not None and high is not None and high > low * CLOSE:
        rate = _rounded(math.sqrt(low * high))
        if holds(rate):
            low = rate
        else:
            high = rate
    return low, high


def _rounded(rate: float) -> float:
    """A rate as it is shown, and asked for again."""
    return float(f"{rate:.3g}")


class Search:
    """The runs of one search, into ``folder``/01, ``folder``/02 and so on.

    ``needed`` is how many messages a run has to have for its figure to say something.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        measure: Measure,
        make_display: Callable[[int | None], Display],
        judge: Judge,
        needed: int,
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._measure = measure
        self._make_display = make_display
        self._judge = judge
        self._needed = needed
        self._say = say
        self._runs = 0
        self.trials: list[Trial] = []
        self.saturated = 0.0

    def run(self, gate: str, arrivals: str | None, first: float | None) -> tuple[FoundRate, bool]:
        """Search, from the rate ``first`` where that is given; whether it was interrupted, too.

        Raises ``UsageError`` when the folder holds runs already or the plan cannot be run, and
        ``RunError`` where a closed loop does not get through.
        """
        if self._folder.exists() and any(self._folder.iterdir()):
            raise UsageError(f"--output: {self._folder} already holds runs; name another folder")
        interrupts = Interrupts()
        low: float | None = None
        high: float | None = None
        with interrupts.handled(), brokers.opened((self._plan,), self._make_display) as shared:
            broker = shared.of(self._plan)

            def made(pace: Pace) -> tuple[Path, Result]:
                plan = self._next(pace)
                with contextlib.closing(self._make_display(plan.load.messages)) as shown:
                    found = self._measure(plan, shown, interrupts, broker)
                if interrupts.count:
                    raise KeyboardInterrupt
                return found

            def holds(rate: float) -> bool:
                return self._holds(rate, arrivals, made)

            try:
                if first is None:
                    first = self._saturate(made)
                low, high = highest(first, holds)
            except KeyboardInterrupt:
                return self._found(gate), True
        return dataclasses.replace(self._found(gate), rate=low, broken_rate=high), False

    def _next(self, pace: Pace) -> Plan:
        self._runs += 1
        folder = str(self._folder / f"{self._runs:02}")
        return dataclasses.replace(
            # Who agreed to the first run did to the others.
            self._plan.with_transport(yes=self._plan.transport.yes or self._runs > 1),
            run_id=uuid.uuid4().hex,
            pace=pace,
            load=dataclasses.replace(self._plan.load, messages=pace.messages(None, None)),
            output=dataclasses.replace(self._plan.output, folder=folder),
        )

    def _saturate(self, made: Callable[[Pace], tuple[Path, Result]]) -> float:
        lasts_s = self._plan.pace.duration_s or TRIAL_S
        folder, result = made(Pace(duration_s=lasts_s))
        if not result.complete or not result.throughput:
            raise RunError(f"a closed loop failed: {result.reason} ({folder})")
        self.saturated = result.throughput.messages_per_second
        self._say(
            f"a closed loop of {self._plan.load.workers} workers: {self.saturated:,.1f} msg/s"
        )
        return self.saturated * BEGINS

    def _holds(
        self, rate: float, arrivals: str | None, made: Callable[[Pace], tuple[Path, Result]]
    ) -> bool:
        """Whether two of up to three runs at this rate hold."""
        lasts_s = max(self._plan.pace.duration_s or TRIAL_S, self._needed / rate)
        votes: list[bool] = []
        while max(votes.count(True), votes.count(False)) < 2:
            folder, result = made(Pace(rate=rate, arrivals=arrivals, duration_s=lasts_s))
            value, broke = self._judge(result)
            self.trials.append(Trial(run=str(folder), rate=rate, value=value, broke=broke))
            self._say(f"{rate:,.1f}/s: {'it holds' if broke is None else broke}")
            votes.append(broke is None)
        return votes.count(True) == 2

    def _found(self, gate: str) -> FoundRate:
        """What is known of the runs so far: nothing, of which rate is the highest."""
        return FoundRate(
            gate=gate,
            saturated_per_second=round(self.saturated, 3),
            trials=tuple(self.trials),
        )
