"""The stacks of both sides of a comparison over each other: what differs, a message."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from omrig.compare.comparison import Comparison
from omrig.compare.functions import Profiled
from omrig.compare.runs import StoredRun
from omrig.formats import stacks
from omrig.formats.stacks import Frame, Profile, Stack
from omrig.model.functions import Functions, file_of
from omrig.recordings import folder as run_folder

FOLDED, SPEEDSCOPE = ".folded", ".speedscope.json"
"""What the files beside a page end with, in place of its own ending."""

OPEN_WITH = "flamegraph.pl {path} > diff.svg"
"""What draws collapsed stacks with two weights; inferno-flamegraph reads them as well."""


@dataclasses.dataclass(frozen=True)
class Flames:
    """The stacks of all functions of one side and mode, each with ns a message in BASE and NEW.

    A stack begins with the side. Runs are averaged, each at the speed common to all.
    """

    mode: str
    side: str
    stacks: Mapping[Stack, tuple[float, float]]


def differences(comparison: Comparison) -> list[Flames]:
    """The flames of what was compared by function, where the stacks are still there."""
    found = []
    for each in comparison.functions:
        base = _mean(comparison.base.runs, each, each.runs_ns[0])
        new = _mean(comparison.new.runs, each, each.runs_ns[1])
        if base and new:
            both = {stack: (base.get(stack, 0.0), new.get(stack, 0.0)) for stack in base | new}
            found.append(Flames(each.mode, each.side, dict(sorted(both.items(), key=_text))))
    return found


def _text(item: tuple[Stack, tuple[float, float]]) -> tuple[str, ...]:
    return tuple(frame.name for frame in item[0])


def _mean(
    runs: Sequence[StoredRun], found: Profiled, wholes_ns: Sequence[float]
) -> dict[Stack, float]:
    """Empty where a run has no stacks."""
    total: defaultdict[Stack, float] = defaultdict(float)
    for stored, whole_ns in zip(runs, wholes_ns, strict=True):
        weights = _weights(stored, found)
        whole = sum(weights.values())
        if not whole:
            return {}
        for stack, weight in weights.items():
            total[stack] += weight / whole * whole_ns / len(runs)
    return dict(total)


def _weights(stored: StoredRun, found: Profiled) -> Counter[Stack]:
    weights: Counter[Stack] = Counter()
    for member in stored.run.plan.names(found.side):
        folder = stored.folder / member
        path = folder / f"{found.mode}.speedscope.json"
        if not path.exists():
            return Counter()
        names = _Names(Functions.from_json(run_folder.read_json(folder / file_of(found.mode))))
        for stack, weight in _of_all(path, found.sampled):
            own = stack if found.sampled else stack[1:]
            named = (Frame(found.side), *map(names.of, own))
            weights[named] += weight  # type: ignore[assignment]
    return weights


def _of_all(path: Path, sampled: bool) -> Iterator[stacks.Weighted]:
    """Of samples each thread's; else the first graph, which has all roles."""
    profiles = stacks.read_speedscope(path)
    for profile in profiles if sampled else profiles[:1]:
        yield from profile.stacks


class _Names:
    """Names the frames of a process as its functions are named."""

    def __init__(self, known: Functions) -> None:
        sampled = known.unit == "samples"
        self._known = {
            (each.file, each.name if sampled else each.line): f"{each.module}:{each.name}"
            for each in known.functions
        }
        self._sampled = sampled

    def of(self, frame: Frame) -> Frame:
        """A frame without file and line, which differ between environments."""
        at = frame.name if self._sampled else frame.line or 0
        return Frame(self._known.get((frame.file or "", at), frame.name))


def write_folded(file: TextIO, found: Sequence[Flames]) -> None:
    """Write a line a stack: its frames, and what it took of a message in BASE and in NEW, in ns.

    As difffolded.pl does, for flamegraph.pl and inferno-flamegraph.
    """
    for each in found:
        for stack, (base, new) in each.stacks.items():
            before, after = round(base), round(new)
            if before or after:
                file.write(f"{stacks.collapsed(_under_mode(each, stack))} {before} {after}\n")


def write_speedscope(file: TextIO, found: Sequence[Flames]) -> None:
    """Write NEW, BASE and what NEW has more and less of, profile by profile."""
    made = []
    for each in found:
        where = f"{each.side}, {each.mode}"
        parts = {
            "NEW": {stack: new for stack, (_, new) in each.stacks.items()},
            "BASE": {stack: base for stack, (base, _) in each.stacks.items()},
            "NEW, more than BASE": {s: new - base for s, (base, new) in each.stacks.items()},
            "BASE, more than NEW": {s: base - new for s, (base, new) in each.stacks.items()},
        }
        for title, weights in parts.items():
            kept = [(stack, round(weight)) for stack, weight in weights.items() if weight >= 1]
            kept.sort(key=lambda item: -item[1])
            made.append(Profile(f"{title}: {where}, ns a message", "nanoseconds", kept))
    stacks.write_speedscope(file, "omrig compare", made)


def _under_mode(found: Flames, stack: Stack) -> Stack:
    return (Frame(f"{found.side}, {found.mode}"), *stack[1:])
