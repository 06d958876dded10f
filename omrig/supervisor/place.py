"""Where the measured processes of a run are, as the one who supervises them sees it."""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from omrig.model import events
from omrig.model.errors import Losses
from omrig.model.fleet import Fleet
from omrig.model.plan import Plan
from omrig.supervisor import phases
from omrig.supervisor.display import Display


class Placed(abc.ABC):
    """A measured process, wherever it is: started fresh, heard, stopped; and what it has said."""

    def __init__(self, plan: Plan) -> None:
        self.sides = plan.sides
        self.members = plan.members
        """Its names: two where it is both sides."""
        self.name = plan.members[0]
        self.counts: dict[str, int] = {}
        self.phase = phases.loading(self.name)
        self.began = False
        """Whether it was told what to do."""
        self.is_ready = False
        """Whether what it serves is declared."""
        self.saved = False
        self.failure: str | None = None
        self.stamps = ""
        """In what its stamps are made."""

    def side_of(self, member: str) -> str:
        """Which of its sides a member is."""
        return self.sides[self.members.index(member)]

    @property
    @abc.abstractmethod
    def pid(self) -> int | None:
        """Its process id on this host; None where it is on another."""

    @property
    @abc.abstractmethod
    def running(self) -> bool:
        """Whether the process has not ended."""

    @property
    @abc.abstractmethod
    def is_heard(self) -> bool:
        """Whether it hears what it is told."""

    @abc.abstractmethod
    def listen(self, said: "Ear") -> None:
        """Put whatever it says into ``said``."""

    @abc.abstractmethod
    def send_plan(self) -> None:
        """Let it begin."""

    @abc.abstractmethod
    def tell(self, event: events.Ask | events.Answer) -> None:
        """Have it hear a question or an answer; called by any thread."""

    @abc.abstractmethod
    def close(self) -> None:
        """Have it hear nothing more."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ask it to write its results and end; asking again changes nothing."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End it at once."""

    @abc.abstractmethod
    def ended(self, timeout_s: float) -> int | None:
        """Its exit status, None when it has not ended within ``timeout_s``, or nobody knows."""

    @abc.abstractmethod
    def last_words(self) -> str:
        """What it died of."""

    @abc.abstractmethod
    def last_error(self) -> str:
        """The last error that it logged; empty when there is none."""


Said = tuple[Placed, str | None]
"""A line that a measured process said (:mod:`omrig.model.events`); None when it says no more."""


class Ear(Protocol):
    """Takes what measured processes say, a queue for one."""

    def put(self, item: Said, /) -> object:
        """Take one line; called by any thread."""


class Place(Protocol):
    """Starts measured processes somewhere."""

    is_here: bool
    """Whether that is this host: its files are theirs, and its clock."""

    def start(self, plan: Plan, folder: Path) -> Placed:
        """A measured process for ``plan``; its folder is in the run folder ``folder``, in the end.

        Raises ``OSError`` where it cannot be started.
        """

    def ahead_s(self) -> float | None:
        """So long before all begin they are told when; None leaves that to who tells them."""

    def processors(self) -> Mapping[str, float]:
        """CPU seconds a second of each process that is sampled where it is."""

    def bring(self, folder: Path, display: Display, losses: Losses) -> None:
        """Have in the run folder what the processes, which have ended, left elsewhere."""

    def fleet(self) -> Fleet | None:
        """The hosts, as ``run.json`` has them; None where it is this one alone."""
