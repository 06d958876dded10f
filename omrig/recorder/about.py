"""What is said of a recording as a whole: its ``recording.json``."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from omrig.model.values import Value
from omrig.recordings import writer

FILE = "recording.json"

UNDER_WAY = "its recorder has not ended it: it is under way, or the recorder was killed"
"""The reason that stands there until the end."""

SCHEMA = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captured(Value):
    """What the capture came to; ``why_not`` says in words why there is none, or no more of it."""

    used: bool = False
    why_not: str = ""
    segments: int = 0
    dropped: int = 0
    ports: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class About(Value):
    """``recording.json``, written at the begin of a recording and at its end.

    ``began_ns`` is before the first process was turned on, ``ended_ns`` after the last one was
    turned off (CLOCK_MONOTONIC). ``pid`` is the recorder's. ``ended`` says of processes that ended
    before the recording why, by their folders' names.
    """

    schema: int = SCHEMA
    name: str
    started_at: str
    began_ns: int
    ended_ns: int | None = None
    sample: int = 1
    complete: bool = False
    reason: str | None = UNDER_WAY
    pid: int
    broker_messages: int | None = None
    not_seen: tuple[str, ...] = ()
    capture: Captured = Captured()
    ended: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it into the folder of the recording, whole. Raises ``OSError``."""
        writer.write_json(folder / FILE, self.to_json())
