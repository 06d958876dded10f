"""Whose the time of a message is, in which stage it goes, why, and on what evidence."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, Self, TypeAlias

from omrig.model.values import UNLESS_NONE, Json, Value, key

EvidenceKind: TypeAlias = Literal[
    "stalls", "outage", "shares", "prefetch", "closure", "tail", "steps", "blocked", "network",
    "cpu", "heartbeat", "members", "machine", "sample", "profiled", "endpoint", "pools", "other",
]  # fmt: skip
"""What a line of evidence is about; ``other`` where an older omrig did not say."""

ObjectionKind: TypeAlias = Literal[
    "not a measurement", "all failed", "no stages", "few messages", "not matched",
    "negative stages", "one side", "not checked", "unexplained", "mixed stage", "prefetch",
]  # fmt: skip
"""What forbids a verdict."""

ONE_SIDE: frozenset[ObjectionKind] = frozenset({"one side", "mixed stage"})
"""The objections that the other side's recording would take away."""


@dataclasses.dataclass(frozen=True)
class Evidence(Value):
    """A line that says what a verdict rests on."""

    kind: EvidenceKind
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict(Value):
    """The verdict on a run.

    ``owner`` has ``share`` (0 to 1) of the time; where it is ``mixed`` the two largest owners
    together; ``unknown`` where there is an ``objection``. ``stage`` is the largest of the owner's
    stages, and ``bucket`` the stage's; None for want of any usable stage.

    ``head`` and ``why`` are the two parts of the sentence, ``without`` which messages were left
    out, and ``besides`` what is to be said of some messages. ``text`` is all of them as one
    sentence.
    """

    owner: str
    bucket: str | None = None
    stage: str | None = None
    share: float = 0.0
    head: str = ""
    why: str = dataclasses.field(default="", metadata=key("reason"))
    evidence: tuple[Evidence, ...] = ()
    text: str
    without: str | None = None
    besides: tuple[str, ...] = ()
    objection: ObjectionKind | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    def to_json(self) -> dict[str, Json]:
        """The fields; ``evidence`` are the lines, and ``evidence_kinds`` what each is about."""
        found = {**super().to_json(), "evidence": [each.text for each in self.evidence]}
        objection = {"objection": found.pop("objection")} if self.objection else {}
        return {**found, "evidence_kinds": [each.kind for each in self.evidence], **objection}

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The verdict that :meth:`to_json` wrote, or an older omrig."""
        if not isinstance(data, Mapping):
            return super().from_json(data)
        whole = {**_parts(data), **data}
        lines, kinds = _strings(whole.get("evidence")), _strings(whole.get("evidence_kinds"))
        rest = {name: value for name, value in whole.items() if name != "evidence"}
        evidence = [{"kind": kind, "text": text} for kind, text in zip(kinds, lines, strict=True)]
        return super().from_json({**rest, "evidence": evidence})


def _parts(older: Mapping[str, Json]) -> dict[str, Json]:
    """What an older omrig did not tell apart: this is the one place that reads it in its words."""
    found: dict[str, Json] = {}
    text, lines = str(older.get("text")), _strings(older.get("evidence"))
    if "head" not in older:
        head, _, why = text.partition(": ")
        # What was said before the verdict itself cannot be told from its head.
        found |= {"head": text} if "; without " in why else {"head": head, "reason": why}
    if "evidence_kinds" not in older:
        closure = [text.startswith("closure:") for text in lines]
        found["evidence_kinds"] = ["closure" if each else "other" for each in closure]
        if "omrig report P C" in text:
            found["objection"] = "one side"
    return found


def _strings(data: Json) -> list[str]:
    if data is None:
        return []
    if isinstance(data, str) or not isinstance(data, Sequence):
        raise ValueError(f"{data!r} is no list")
    return [str(each) for each in data]
