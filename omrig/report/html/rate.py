"""The page's words on an open loop."""

import dataclasses

from omrig.model.result import Result
from omrig.report import pacing


@dataclasses.dataclass(frozen=True)
class Rate:
    """What was ``asked`` for, ``notes``, and the ``knee`` of a ramp: empty where there was none."""

    asked: str
    notes: list[str]
    knee: str


def shown(result: Result) -> Rate | None:
    """What is said of the rate of a run; None of a closed loop."""
    if result.pacing is None:
        return None
    lines = (
        pacing.why_late(result.pacing),
        pacing.omitted(result),
        pacing.not_in_stages(result) if result.stages else "",
    )
    rows = result.ramp.rows if result.ramp else ()
    highest = max((row.asked_per_second for row in rows), default=0.0)
    knee = pacing.knee(result.ramp.knee, highest) if result.ramp else ""
    return Rate(pacing.asked(result.pacing), [line for line in lines if line], knee)
