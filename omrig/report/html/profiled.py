"""What the profilers found, as the page shows it; whatever a mode did not say is left out."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omrig.model import units
from omrig.model.by_stage import Code, InStage
from omrig.model.result import Result
from omrig.report import by_stage
from omrig.report.html import source
from omrig.report.terminal.profiles import memory

MOST_FUNCTIONS = 20
MOST_LINES = 25
MOST_LISTINGS = 12
_SOURCES = 10
_MOST_PARTS = 10


_CALLS = ("yappi", "pyspy")
_TABLED = (*_CALLS, "lines")
_INSTALLED = re.compile(r".*/(?:site-packages|dist-packages|lib/python3\.\d+)/")


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of a profile; ``source`` are its lines where they could be read.

    What a sampling profiler cannot know is None.
    """

    name: str
    where: str
    role: str
    calls: int | None
    self_ns: int | None
    cumulative_ns: int | None
    share: float
    source: source.Excerpt | None


@dataclasses.dataclass(frozen=True)
class Calls:
    """A profile of functions: how it was taken, the parts it falls into, its hottest functions."""

    side: str
    mode: str
    how: str
    roles: list[tuple[str, float]]
    packages: list[tuple[str, float]]
    functions: list[Function]


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a line profile; ``heat`` is its share beside that of the hottest line."""

    number: int
    function: str
    where: str
    hits: int
    time_ns: int
    switched_out_ns: int
    share: float
    heat: float
    source: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """The lines of one function that were hit, in their order."""

    function: str
    where: str
    time_ns: int
    share: float
    lines: list[Line]


@dataclasses.dataclass(frozen=True)
class Lines:
    """A line profile."""

    side: str
    registered: int | None
    hit: int | None
    total_ns: int | None
    targets: list[str]
    hottest: list[Line]
    listings: list[Listing]


def calls(profiles: Mapping[str, Any]) -> Iterator[Calls]:
    """The profiles of functions, of all sides."""
    for side, modes in profiles.items():
        for mode in _CALLS:
            found = modes.get(mode)
            if found and found.get("functions"):
                rows = sorted(found["functions"], key=lambda each: -each.get("share", 0))
                yield Calls(
                    side=side,
                    mode=mode,
                    how=_how(found),
                    roles=_parts(found.get("roles"), "role")
                    or _parts(found.get("threads"), "thread"),
                    packages=_parts(found.get("packages"), "package"),
                    functions=[
                        _function(each, number < _SOURCES)
                        for number, each in enumerate(rows[:MOST_FUNCTIONS])
                    ],
                )


def _how(found: Mapping[str, Any]) -> str:
    parts = []
    if found.get("total_ns"):
        parts.append(f"{units.duration(found['total_ns'])} in all")
    if found.get("samples"):
        parts.append(f"{found['samples']:,} samples")
    if found.get("clock"):
        parts.append(f"{found['clock']} clock")
    return ", ".join(parts)


def _parts(rows: Sequence[Mapping[str, Any]] | None, key: str) -> list[tuple[str, float]]:
    named = [(str(row.get(key, "")), float(row.get("share", 0))) for row in rows or ()]
    return sorted(named, key=lambda part: -part[1])[:_MOST_PARTS]


def _function(row: Mapping[str, Any], with_source: bool) -> Function:
    file, line, name = row.get("file"), int(row.get("line") or 0), str(row["function"])
    return Function(
        name=name,
        where=_where(file, line) or str(row.get("package") or ""),
        role=str(row.get("role") or ""),
        calls=row.get("calls"),
        self_ns=row.get("self_ns"),
        cumulative_ns=row.get("cumulative_ns"),
        share=float(row.get("share", 0)),
        source=source.of_function(file, line, name) if with_source and file and line else None,
    )


def _where(file: str | None, line: int) -> str:
    """File and line as an import would name it: where it is installed is the same for all."""
    short = _INSTALLED.sub("", file or "")
    return f"{short}:{line}" if short and line else short


def lines(profiles: Mapping[str, Any]) -> Iterator[Lines]:
    """The line profiles of all sides."""
    for side, modes in profiles.items():
        found = modes.get("lines")
        if found and found.get("lines"):
            hottest = max(float(row.get("share", 0)) for row in found["lines"])
            rows = [_line(row, hottest or 1.0) for row in found["lines"]]
            yield Lines(
                side=side,
                registered=found.get("functions_registered"),
                hit=found.get("functions_hit"),
                total_ns=found.get("total_ns"),
                targets=[str(target) for target in found.get("targets") or ()],
                hottest=sorted(rows, key=lambda row: -row.share)[:MOST_LINES],
                listings=_listings(rows),
            )


def _line(row: Mapping[str, Any], hottest: float) -> Line:
    share = float(row.get("share", 0))
    return Line(
        number=int(row["line"]),
        function=str(row.get("function", "")),
        where=_where(row.get("file"), int(row["line"])),
        hits=int(row.get("hits", 0)),
        time_ns=int(row.get("time_ns", 0)),
        switched_out_ns=int(row.get("switched_out_ns") or 0),
        share=share,
        heat=round(share / hottest, 4),
        source=str(row.get("source") or ""),
    )


def _listings(rows: Sequence[Line]) -> list[Listing]:
    """The hottest functions with their lines, the hottest first."""
    by_function: dict[tuple[str, str], list[Line]] = {}
    for row in rows:
        by_function.setdefault((row.where.rpartition(":")[0], row.function), []).append(row)
    listings = [
        Listing(
            function=function,
            where=f"{file}:{min(row.number for row in members)}",
            time_ns=sum(row.time_ns for row in members),
            share=sum(row.share for row in members),
            lines=sorted(members, key=lambda row: row.number),
        )
        for (file, function), members in by_function.items()
    ]
    return sorted(listings, key=lambda listing: -listing.share)[:MOST_LISTINGS]


@dataclasses.dataclass(frozen=True)
class Piece:
    """A function or a line, and its share of its stage; ``leads_to`` other stages, if it does."""

    name: str
    where: str
    share: float
    leads_to: str


@dataclasses.dataclass(frozen=True)
class Stage:
    """The code that was found in a stage; ``first`` is the one to look at."""

    name: str
    share: float
    first: bool
    pieces: list[Piece]


@dataclasses.dataclass(frozen=True)
class ByStage:
    """What a mode found in the stages of a side."""

    side: str
    mode: str
    heading: str
    how: str
    what: str
    stages: list[Stage]
    notes: list[str]


def by_stages(result: Result) -> list[ByStage]:
    """What the modes of a run found, by stage."""
    return [
        ByStage(
            side=each.side,
            mode=each.mode,
            heading=by_stage.heading(each),
            how=each.found.how,
            what=by_stage.CODE[each.found.kind],
            stages=[_stage(stage, stage is each.stage) for stage in each.found.stages],
            notes=by_stage.notes(each),
        )
        for each in by_stage.joined(result)
    ]


def _stage(found: InStage, first: bool) -> Stage:
    pieces = [_piece(code) for code in (*found.code, *(found.leading_on or ()))]
    return Stage(found.stage, found.share, first, pieces)


def _piece(code: Code) -> Piece:
    return Piece(
        name=by_stage.name(code),
        where=_where(code.file, code.line or 0),
        share=code.share,
        leads_to=", ".join(code.leads_to or ()),
    )


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a mode without tables said of a side: a sentence, names and values in words."""

    side: str
    mode: str
    text: str
    facts: list[tuple[str, str]]


def facts(profiles: Mapping[str, Any]) -> list[Facts]:
    """The single values of all modes that are not shown as tables."""
    found = []
    for side, modes in profiles.items():
        for mode, summary in modes.items():
            tabled = mode in _TABLED and not summary.get("failed")
            told = [] if tabled else [_fact(*item) for item in summary.items() if _is_fact(*item)]
            if told:
                # As on the terminal, where the mode said enough for it.
                text = memory.growth(summary) if "grows" in summary else ""
                found.append(Facts(side, mode, text, told))
    return found


def _is_fact(_: str, value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool) and value != ""


def _fact(name: str, value: float | str) -> tuple[str, str]:
    words = name.split("_")
    shown = str(value)
    if not isinstance(value, str):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        if "bytes" in words:
            words.remove("bytes")
            shown = units.size(value) if value else "0 B"
        elif words[-1] in ("ns", "seconds"):
            factor = 1e9 if words.pop() == "seconds" else 1
            shown = units.duration(value * factor) if value else "0"
    return " ".join(words), shown
