"""A recording of services: what its recorder says of it, and the processes in it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from omrig.model.errors import UsageError
from omrig.model.values import Value
from omrig.recordings import folder as run_folder
from omrig.recordings.services import processes
from omrig.recordings.services.processes import Recorded

RECORDING = "recording.json"
"""In the folder of a recording: what was asked, and when."""

CAPTURE = "capture"
"""The folder of what the recorder saw come over the network, in a recording's folder."""

SCHEMA = 1
"""The newest schema of a recording that is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capture(Value):
    """Whether the recorder saw what came over the network, and why not, in words; of its segments
    ``dropped`` the kernel had no room to note."""

    used: bool = False
    why_not: str | None = None
    segments: int = 0
    dropped: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class About(Value):
    """What a recorder says of a recording; times are CLOCK_MONOTONIC of its host in ns.

    ``sample``: of so many messages one was recorded. ``broker_messages`` is how many the broker
    counted meanwhile; None where nobody asked it. ``ended`` says of processes that ended before the
    recording why, by their folders' names.
    """

    schema: int = SCHEMA
    name: str
    started_at: str = ""
    began_ns: int = 0
    ended_ns: int | None = None
    sample: int = 1
    complete: bool = True
    reason: str | None = None
    broker_messages: int | None = None
    not_seen: tuple[str, ...] = ()
    capture: Capture = Capture()
    ended: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording in a ``folder``."""

    folder: Path
    about: About
    processes: tuple[Recorded, ...]


def read(folder: Path) -> Recording:
    """The recording in ``folder``.

    Raises ``UsageError`` where there is none, or of another omrig.
    """
    path = folder / RECORDING
    value = run_folder.read_json(path)
    if value is None:
        raise UsageError(f"{folder}: there is no recording in it; name one, like DIR/rec-1")
    try:
        about = About.from_json(value)
    except ValueError as error:
        raise UsageError(f"{path}: {error}; record it again with this omrig") from error
    if about.schema != SCHEMA:
        raise UsageError(f"{path}: schema {about.schema} is not known; {SCHEMA} is")
    return Recording(folder=folder, about=about, processes=processes.read(folder))
