"""Where each stage of a message lies in time: each begins where the last one ended."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from omrig.model.patterns import PATTERNS, Fork
from omrig.model.stages import BY_NAME, STAGES
from omrig.report import owners

LEAST_SHARE = 0.005
"""A stage below this share of both messages is not drawn, only counted."""

TITLES = {"mean": "a mean message", "p99": "a p99 message"}
"""The messages that are drawn, as a result's waterfall names them."""


@dataclasses.dataclass(frozen=True)
class Span:
    """When a stage of a message begins after call() was entered, and how long it lasts, in ns."""

    begin_ns: int
    length_ns: int

    @property
    def end_ns(self) -> int:
        """When it ends."""
        return self.begin_ns + self.length_ns


def spans(durations: Mapping[str, int], pattern: str) -> dict[str, Span]:
    """When each stage of a message happens.

    A message without a reply has two ends: from its last send on, the producer's way to the
    return of cast() and the message's way to the endpoint go on at the same time.
    """
    two_ends = fork(durations, pattern)
    placed: dict[str, Span] = {}
    at = sent = 0
    for stage in STAGES:
        if stage.name not in durations:
            continue
        if two_ends and stage.name == two_ends.at:
            sent = at
        if two_ends and stage.name in two_ends.aside:
            at, two_ends = sent, None
        placed[stage.name] = Span(at, max(0, durations[stage.name]))
        at = placed[stage.name].end_ns
    return placed


def fork(durations: Collection[str], pattern: str) -> Fork | None:
    """Where a message with these stages goes on to two ends at the same time; None: nowhere."""
    found = PATTERNS[pattern].fork()
    return found if found and found.at in durations else None


def drawn(messages: Sequence[Mapping[str, Span]]) -> list[str]:
    """The stages that matter in at least one of ``messages``."""
    return [
        name
        for name in messages[0]
        if any(
            message[name].length_ns and message[name].length_ns >= LEAST_SHARE * length(message)
            for message in messages
        )
    ]


def length(message: Mapping[str, Span]) -> int:
    """How long a message took from its first stage to the end of its last, in ns."""
    return max((span.end_ns for span in message.values()), default=0)


def owner_of(stage: str) -> str:
    """Whose time a stage is."""
    return owners.owner_of(owners.bucket_of(stage, BY_NAME[stage].bucket))
