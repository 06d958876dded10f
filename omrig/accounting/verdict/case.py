"""What needs a reason: a part of a stage, with all that may explain it."""

import dataclasses

from omrig.accounting.verdict.owners import Part
from omrig.accounting.verdict.thresholds import SATURATED_CPU, UNFAIR
from omrig.model import units
from omrig.model.facts import Facts
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result, StageRow

_REMEDY = "fewer workers or more processes"
_REMEDY_OF_SERVICES = "less at a time in it or more processes"


@dataclasses.dataclass(frozen=True)
class Case:
    """A part of a stage that needs a reason, with all that may explain it."""

    result: Result
    facts: Facts
    part: Part

    @property
    def stage(self) -> StageRow:
        """The row of the stage."""
        return self.part.stage

    @property
    def name(self) -> str:
        """The name of the stage."""
        return self.stage.name

    @property
    def is_reply(self) -> bool:
        """Whether it is on the way back."""
        return self.name.startswith("reply_") or self.name == "amqp_reply"

    @property
    def has_reply(self) -> bool:
        """Whether somebody waits for the answer to a message."""
        return PATTERNS[self.result.pattern].replies

    @property
    def mean(self) -> str:
        """What the stage takes on average, in words."""
        return units.duration(self.stage.mean_ns)

    @property
    def is_eventlet(self) -> bool:
        """Whether greenlets are what waits."""
        executor = self.facts.executors.get(self.part.side, self.result.executor)
        return executor == "eventlet"

    @property
    def has_tail(self) -> bool:
        """Whether few messages wait long."""
        return self.stage.p99_ns > UNFAIR * self.stage.p50_ns

    @property
    def remedy(self) -> str:
        """What gives a process time that others take in it."""
        return _REMEDY_OF_SERVICES if self.facts.of_services else _REMEDY

    @property
    def cpu(self) -> float | None:
        """CPU seconds per second of the process whose time it is; None where not known."""
        return self.facts.cpu_share.get(self.part.side)

    @property
    def is_saturated(self) -> bool:
        """Whether this process has no core time left."""
        return self.cpu is not None and self.cpu >= SATURATED_CPU
