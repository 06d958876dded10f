"""The processes of running services, as their agents and ``omrig status`` have them."""

import dataclasses
from collections.abc import Mapping

from omrig.model.values import Value

GONE, SILENT, UNCONNECTED = "gone", "does not answer", "no AMQP connection"
"""Why nothing can be said of a process."""

OFF, ON = "off", "on"


@dataclasses.dataclass(frozen=True, kw_only=True)
class State(Value):
    """What an agent says of its process. ``rows`` are messages by ``producer`` and ``consumer``.

    ``broken`` says in words why the instrument has turned itself off, ``missing`` which functions
    there are not, ``others`` which other tracers wrap the same functions.
    """

    executor: str = ""
    on: bool = False
    recording: str | None = None
    connections: int = 0
    consuming: int = 0
    rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    failures: tuple[str, ...] = ()
    broken: str | None = None
    missing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    threads: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A process that is being recorded: its messages so far, and what has to be known of it."""

    name: str
    pid: int
    sent: int = 0
    served: int = 0
    overwritten: int = 0
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttachedProcess(Value):
    """A process; ``note`` says why its ``state`` is missing or empty (``GONE``...)."""

    name: str
    pid: int
    host: str = ""
    executor: str = ""
    note: str = ""
    state: State | None = None

    @property
    def is_gone(self) -> bool:
        """Whether there is no such process any more."""
        return self.note == GONE


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingState(Value):
    """A recording; ``state`` is in words: under way, complete, or why it is incomplete."""

    name: str
    started_at: str = ""
    duration_ns: int | None = None
    state: str = ""
    has_result: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status(Value):
    """What there is in a folder of attached processes; ``recorder`` is the pid of who records."""

    folder: str
    recorder: int | None = None
    processes: tuple[AttachedProcess, ...] = ()
    recordings: tuple[RecordingState, ...] = ()
