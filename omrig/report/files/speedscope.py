"""The stages of a message as flame graphs, for speedscope: a mean message and a slow one."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from omrig.formats import stacks
from omrig.formats.stacks import Frame, Profile
from omrig.model.result import Result, StageRow
from omrig.recordings import writer
from omrig.report import layout, parts, text

FILE = "stages.speedscope.json"


def write(path: Path, result: Result) -> bool:
    """Write the stages of a result, pattern by pattern; False, and no file, where it has none."""
    made = profiles(result)
    for name, part in (result.patterns or {}).items():
        of_part = profiles(parts.within(result, name, part))
        made += [dataclasses.replace(each, name=f"{name}: {each.name}") for each in of_part]
    if not made:
        return False
    with writer.writing(path) as file:
        stacks.write_speedscope(file, f"stages of a {text.noun(result.pattern)}", made)
    return True


def profiles(result: Result) -> list[Profile]:
    """A profile for each message that the waterfall shows, and for each way that it goes.

    Stages come in the order in which they happen, in ns, each under its bucket, its side (or
    `wire`) and the pattern. A message without a reply goes two ways at the same time, to the return
    of the caller and to the endpoint, and what comes before is in both.
    """
    rows = {row.name: row for row in result.stages or ()}
    made: list[Profile] = []
    if not result.waterfall:
        return made
    for message, title in layout.TITLES.items():
        placed = layout.spans(result.waterfall.message(message), result.pattern)
        ways = _ways(placed)
        for way in ways:
            name = title if len(ways) == 1 else f"{title} until {way[-1]}"
            weighted = [
                (_stack(result.pattern, rows[stage]), placed[stage].length_ns)
                for stage in way
                if placed[stage].length_ns
            ]
            made.append(Profile(name, "nanoseconds", weighted))
    return made


def _stack(pattern: str, row: StageRow) -> stacks.Stack:
    return tuple(Frame(name) for name in (pattern, row.side, row.bucket, row.name))


def _ways(placed: Mapping[str, layout.Span]) -> list[list[str]]:
    """The stages that follow one another, for each of a message's ends."""
    ways: list[list[str]] = [[]]
    at = 0
    for stage, span in placed.items():
        if span.begin_ns < at:
            ways.append([before for before in ways[-1] if placed[before].end_ns <= span.begin_ns])
        ways[-1].append(stage)
        at = span.end_ns
    return ways
