"""What a measured process is about, and how long that may take."""

import dataclasses
import time

from omrig.model.patterns import CATCH_UP_S
from omrig.model.plan import Plan

LOAD_S = 60.0
"""How long a process may take to import what it needs, and to have its profilers installed."""

ANSWER_S = 60.0
"""How long the sides may take to agree that the load begins."""

SAVE_S = 300.0
"""How long a side may take to write its results when nobody asked it to end."""

LATE_S = 10.0
"""A process that has a deadline of its own has so much longer: it knows better what was late."""


@dataclasses.dataclass
class Phase:
    """What a process does, since when, and for how long at most; None is as long as it likes."""

    doing: str
    limit_s: float | None
    is_saving: bool = False
    since: float = dataclasses.field(default_factory=time.monotonic)

    def overdue(self) -> str | None:
        """The sentence that says that it takes too long; None when it does not."""
        if self.limit_s is None or time.monotonic() - self.since < self.limit_s:
            return None
        return f"{self.doing} within {self.limit_s:g} s"


def loading(side: str) -> Phase:
    """Python and what is measured are imported."""
    return Phase(f"the {side} process was not ready to begin", LOAD_S)


def waiting() -> Phase:
    """It waits for the other side, which has limits of its own."""
    return Phase("", None)


def starting(side: str, plan: Plan) -> Phase:
    """Profilers are installed, queues declared, a consumer looked for."""
    return Phase(f"the {side} did not get as far as a message", _own(LOAD_S + plan.load.patience_s))


def warming_up(plan: Plan) -> Phase:
    """Messages before the load, or since the last one of them."""
    limit = _own(max(plan.load.patience_s, ANSWER_S))
    return Phase("the producer did not get from the warm-up to the load", limit)


def working() -> Phase:
    """The load, which is watched by what gets through."""
    return Phase("", None)


def saving(side: str) -> Phase:
    """Results are written."""
    return Phase(f"the {side} did not write its results", SAVE_S, is_saving=True)


def quiet_limit_s(plan: Plan, timeout_s: float) -> float:
    """After so long without a message that ended, no message of the load will end."""
    # Who sees its consumer sees what that receives.
    alone = "consumer" not in plan.sides
    catches_up = any(pattern.ahead for pattern in plan.load.patterns)
    catching_up = CATCH_UP_S if catches_up and alone else 0.0
    return max(timeout_s, ANSWER_S, plan.load.wait_s, catching_up) + LATE_S + plan.pace.longest_s


@dataclasses.dataclass
class Failing:
    """Failures since a message last got through: seconds since then of the first and the last."""

    first_s: float | None = None
    last_s: float = 0.0

    def add(self, quiet_s: float) -> None:
        """Messages failed ``quiet_s`` after the last one that got through."""
        self.first_s = quiet_s if self.first_s is None else self.first_s
        self.last_s = quiet_s

    def is_all(self, timeout_s: float, margin_s: float) -> bool:
        """Whether nothing but failures is to be expected.

        That is when they keep coming although all that was under way has had its timeout. A single
        one says nothing of the others, that may wait for the consumer to keep up.
        """
        if self.first_s is None or self.last_s - self.first_s < margin_s:
            return False
        return self.last_s > timeout_s + margin_s


def _own(deadline_s: float) -> float:
    return deadline_s + LATE_S
