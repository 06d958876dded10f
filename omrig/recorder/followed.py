"""A process that is recorded, as the recorder follows it: turned on, asked, gone."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from omrig.model.attached import UNCONNECTED, Row, State
from omrig.model.values import Json
from omrig.recorder import agents, processes
from omrig.recorder.agents import Attached, Connection

OVER = "the process ended"
SILENT = "its agent does not answer"

_GONE_AFTER_S = 1.0
"""A process writes who it is before it listens; in a container its pid is no pid of ours."""


@dataclasses.dataclass
class Followed:
    """One process: ``was_on`` once the instrument has been on, ``ended`` says why it is over."""

    folder: Path
    about: Attached
    connection: Connection | None = None
    state: State = dataclasses.field(default_factory=State)
    was_on: bool = False
    problem: str = ""
    """What makes the recording of it incomplete, in words."""
    ended: str = ""
    _tried_since: float | None = None

    @property
    def label(self) -> str:
        """How a line calls it."""
        return self.about.label

    @property
    def sent(self) -> int:
        """The rows of messages that it sent."""
        return self.state.rows.get("producer", 0)

    @property
    def served(self) -> int:
        """The rows of messages that it served."""
        return self.state.rows.get("consumer", 0)

    def connect(self, is_newest: bool = True) -> bool:
        """Whether there is a new connection; in vain for too long, and the process is over.

        So it is at once where its pid has a folder that is newer.
        """
        now = time.monotonic()
        if self._tried_since is None:
            self._tried_since = now
        try:
            self.connection = Connection(self.folder)
        except OSError:
            self.connection = None
            is_late = now - self._tried_since > _GONE_AFTER_S
            if not is_newest or (is_late and not processes.is_alive(self.about)):
                self.ended = OVER if self.was_on else "it was gone"
            elif is_late:
                self.problem = SILENT
            return False
        self._tried_since = None
        return True

    def disconnect(self) -> None:
        """The connection is over; whether the process is shows when nobody listens any more."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def turned_on(self, answer: Mapping[str, Json]) -> bool:
        """Take the answer to ``on``; whether it is on."""
        if "error" in answer:
            self.problem = f"it was not turned on: {answer['error']}"
            self.ended = self.problem
            self.disconnect()
            return False
        self.was_on, self.problem = True, ""
        return True

    def told(self, answer: Mapping[str, Json]) -> str:
        """Take the answer to ``status``; what has to be told of it now, or nothing."""
        before, known = self.problem, self.state.rows
        try:
            self.state = State.from_json(answer)
        except ValueError as error:
            self.problem = f"its answer makes no sense: {error}"
        else:
            # What it had before it was turned off is not less for it.
            rows = {name: max(n, self.state.rows.get(name, 0)) for name, n in known.items()}
            self.state = dataclasses.replace(self.state, rows={**self.state.rows, **rows})
            self.problem = self._broken()
        return self.problem if self.problem != before else ""

    def _broken(self) -> str:
        if self.state.broken:
            return f"the instrument has turned itself off: {self.state.broken}"
        return "" if self.state.on else "it has turned itself off"

    def row(self, overwritten: int = 0) -> Row:
        """What is shown of it."""
        note = self.ended or self.problem
        if not note and not self.state.connections:
            note = UNCONNECTED
        return Row(
            name=self.about.name,
            pid=self.about.pid,
            sent=self.sent,
            served=self.served,
            overwritten=overwritten,
            note=note,
        )


def ask(
    followed: Mapping[Path, Followed], request: Mapping[str, Json], within_s: float
) -> "agents.Answers[Path]":
    """Ask those with a connection; who has closed it is disconnected."""
    connections = {
        path: each.connection for path, each in followed.items() if each.connection is not None
    }
    answers = agents.ask(connections, request, within_s)
    for path in answers.closed:
        followed[path].disconnect()
    return answers
