"""Stacks with weights, in the two formats that flame graph viewers read.

speedscope's JSON is specified by the ``file-format-schema.json`` in its npm package ``speedscope``;
a "sampled" profile is a list of stacks, outermost frame first, with a weight each. Collapsed stacks
are the input of flamegraph.pl and of inferno: a line a stack, its frames separated by semicolons,
and a blank and a whole number at its end.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TextIO

import omrig

SCHEMA_URL = "https://www.speedscope.app/file-format-schema.json"

OPEN_WITH = "npx --yes speedscope {path}"
"""The command that shows either format: npm's package, which needs no network once installed."""

Unit = Literal["nanoseconds", "microseconds", "milliseconds", "seconds", "bytes", "none"]


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One level of a stack."""

    name: str
    file: str | None = None
    line: int | None = None


Stack = tuple[Frame, ...]
"""The outermost frame first."""

Weighted = tuple[Stack, float]
"""A stack and what it weighs, in the profile's unit."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """One flame graph: stacks in the order in which they happened, where that is known."""

    name: str
    unit: Unit
    stacks: Sequence[Weighted]


def write_speedscope(file: TextIO, name: str, profiles: Sequence[Profile]) -> None:
    """Write the profiles into an open file; viewers let choose between them and show the first."""
    frames: dict[Frame, int] = {}
    written = [_sampled(profile, frames) for profile in profiles]
    content = {
        "$schema": SCHEMA_URL,
        "exporter": f"omrig {omrig.__version__}",
        "name": name,
        "activeProfileIndex": 0,
        "profiles": written,
        "shared": {"frames": [_described(frame) for frame in frames]},
    }
    file.write(json.dumps(content, separators=(",", ":")) + "\n")


def read_speedscope(path: Path) -> list[Profile]:
    """The sampled profiles in a file; raises ``ValueError`` where it is not one, or has others."""
    content = json.loads(path.read_text(encoding="utf-8"))
    frames = [
        Frame(frame["name"], frame.get("file"), frame.get("line"))
        for frame in content["shared"]["frames"]
    ]
    if others := {each["type"] for each in content["profiles"]} - {"sampled"}:
        raise ValueError(f"{path}: cannot read profiles of type {', '.join(sorted(others))}")
    return [
        Profile(
            each["name"],
            each["unit"],
            [
                (tuple(frames[number] for number in stack), weight)
                for stack, weight in zip(each["samples"], each["weights"], strict=True)
            ],
        )
        for each in content["profiles"]
    ]


def write_collapsed(file: TextIO, stacks: Iterable[Weighted]) -> None:
    """Write the stacks into an open file, equal ones as one line with their weights rounded."""
    weights: Counter[str] = Counter()
    for stack, weight in stacks:
        weights[collapsed(stack)] += weight  # type: ignore[assignment]
    lines = ((text, round(weight)) for text, weight in sorted(weights.items()))
    file.writelines(f"{text} {weight}\n" for text, weight in lines if weight)


def collapsed(stack: Stack) -> str:
    """A stack as one text, its frames separated by semicolons."""
    return ";".join(_label(frame) for frame in stack)


def _sampled(profile: Profile, frames: dict[Frame, int]) -> dict[str, object]:
    samples = [
        [frames.setdefault(frame, len(frames)) for frame in stack] for stack, _ in profile.stacks
    ]
    weights = [weight for _, weight in profile.stacks]
    return {
        "type": "sampled",
        "name": profile.name,
        "unit": profile.unit,
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


def _described(frame: Frame) -> dict[str, object]:
    about = dataclasses.asdict(frame)
    return {key: value for key, value in about.items() if value is not None}


def _label(frame: Frame) -> str:
    # A semicolon ends a frame; a line break ends a stack.
    text = " ".join(frame.name.replace(";", ",").split())
    if not frame.file:
        return text
    line = f":{frame.line}" if frame.line else ""
    return f"{text} ({Path(frame.file).name}{line})"
