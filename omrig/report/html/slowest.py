"""The slowest messages of a run, drawn to one scale."""

import dataclasses
from collections.abc import Collection

from omrig.model.mix import MIX
from omrig.model.result import Result
from omrig.report.html import bars, messages
from omrig.report.html.bars import Message
from omrig.report.html.recorded import Recorded


@dataclasses.dataclass(frozen=True)
class SlowRow:
    """One of the slowest messages; ``longest`` is its longest stage."""

    slow: messages.Slow
    message: Message | None
    longest: str | None
    pattern: str = "message"


def rows(result: Result, recorded: Recorded) -> list[SlowRow]:
    """The slowest messages of a run, the slowest first."""
    if result.pattern == MIX:
        return _of_mix(result.patterns or {}, recorded)
    found = messages.slowest(recorded, result.pattern)
    if not found or found[0].stages is None:
        return [SlowRow(slow, None, None) for slow in found]
    drawn = []
    for slow in found:
        stages = slow.stages or {}
        (message,) = bars.draw([stages], result.pattern, common_ns=found[0].took_ns)
        drawn.append(SlowRow(slow, message, max(stages, key=lambda name: stages[name])))
    return drawn


def _of_mix(patterns: Collection[str], recorded: Recorded) -> list[SlowRow]:
    """The slowest messages of all patterns, each drawn as its own goes."""
    every = [
        (name, slow)
        for place, name in enumerate(patterns)
        for slow in messages.slowest(recorded.of_pattern(name, place), name)
        if slow.stages
    ]
    every.sort(key=lambda each: -each[1].took_ns)
    drawn = []
    for name, slow in every[: messages.SLOWEST]:
        stages = slow.stages or {}
        (message,) = bars.draw([stages], name, common_ns=every[0][1].took_ns)
        drawn.append(SlowRow(slow, message, max(stages, key=lambda stage: stages[stage]), name))
    return drawn
