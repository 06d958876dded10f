"""Which code had the time of a stage, in words for every medium."""

import dataclasses
from collections.abc import Iterator
from pathlib import PurePath

from omrig.model.by_stage import ByStage, Code, InStage, Kind
from omrig.model.members import side_of
from omrig.model.result import Result
from omrig.model.stages import BY_NAME
from omrig.report import text

CODE: dict[Kind, str] = {
    "functions": "function",
    "lines": "line",
    "samples": "function on top",
    "memory": "line",
}
"""What one piece of code is, by what was shared out."""

_WHAT: dict[Kind, str] = {
    "functions": "of the time that {mode} saw",
    "lines": "of the time in all lines",
    "samples": "of all samples",
    "memory": "of the memory taken",
}

_SEEN = 0.005
"""A reason for less than this share of a profile is not told."""


@dataclasses.dataclass(frozen=True)
class Joined:
    """What a mode found on a side, and the stage of that side to look at first.

    ``why`` is what makes it the first, in words. ``stage`` is None where no code was found in any.
    """

    side: str
    mode: str
    found: ByStage
    stage: InStage | None
    why: str


def joined(result: Result) -> Iterator[Joined]:
    """What the modes of a run found by stage, side by side and mode by mode."""
    for side, modes in result.profiles.items():
        for mode, summary in modes.items():
            found = ByStage.of_summary(summary)
            if found is None:
                continue
            stage, why = _first(result, found, side)
            yield Joined(side, mode, found, stage, why)


def _first(result: Result, found: ByStage, side: str) -> tuple[InStage | None, str]:
    """The verdict's stage, or the longest one of the side in which there is code."""
    noun = text.noun(result.pattern)
    own = {
        each.stage: each
        for each in found.stages
        if (each.code or each.leading_on) and _may_be_of(each.stage, side_of(side))
    }
    named = result.verdict.stage if result.verdict else None
    rows = {row.name: row.share for row in result.stages or ()}
    if named and named in own:
        share = f"{100 * rows[named]:.1f} % of a {noun}, " if named in rows else ""
        return own[named], f"{share}the verdict's stage"
    for name in sorted(rows, key=lambda each: -rows[each]):
        if name in own:
            return own[name], f"{100 * rows[name]:.1f} % of a {noun}, the longest with code here"
    longest = max(own.values(), key=lambda each: each.share, default=None)
    return longest, "where most of it was found"


def _may_be_of(stage: str, side: str) -> bool:
    return stage not in BY_NAME or BY_NAME[stage].side in (side, "wire")


def heading(each: Joined) -> str:
    """What a table of code is of."""
    if each.stage is None:
        return f"{each.mode}, {each.side}: no code in a stage"
    return f"{each.mode}, {each.side}: of {each.stage.stage} ({each.why})"


def notes(each: Joined) -> list[str]:
    """How much of the profile is in the stage and in none, and what lines lead out of it."""
    found, stage = each.found, each.stage
    if found.failed:
        return [f"not by stage: {found.failed}"]
    what = _WHAT[found.kind].format(mode=each.mode)
    told = []
    if stage:
        told.append(f"{100 * stage.share:.1f} % {what} are in {stage.stage}")
    reasons = [
        f"{100 * part.share:.1f} % {part.reason}"
        for part in found.unassigned
        if part.share >= _SEEN
    ]
    if reasons:
        told.append(f"{100 * found.unassigned_share:.1f} % in no stage: {'; '.join(reasons)}")
    lines = [", ".join(told)] if told else []
    if found.divided_share and found.divided_share >= _SEEN:
        lines.append(
            f"{100 * found.divided_share:.1f} % are of lines that began in several stages, divided"
            " by how often"
        )
    return lines


def name(code: Code) -> str:
    """A function by its name, a line by its source."""
    return code.source or code.function


def place(code: Code) -> str:
    """The file, with the line where that is known."""
    if not code.file:
        return ""
    file = PurePath(code.file).name
    return f"{file}:{code.line}" if code.line else file


def leading_on(code: Code) -> str:
    """Where a line leads on to."""
    return f"{place(code)} leads on to {', '.join(code.leads_to or ())}: {name(code)}"
