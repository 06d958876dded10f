"""What a search for the first bad one of versions has asked, and what it has found."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from omrig.model.values import UNLESS_NONE, Value

SCHEMA = 1

Word = Literal["good", "bad", "skipped", "undecided"]
"""What is known of a candidate. Of one that could not be measured it is ``skipped``, of one that
the most rounds did not decide ``undecided``."""


@dataclasses.dataclass(frozen=True)
class Candidate(Value):
    """A version that may be the first bad one: its ``name`` and what pip installs it by.

    ``subject`` and ``authored_at`` are of a commit, which ``revision`` is the whole hash of.
    """

    name: str
    requirement: str
    subject: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    authored_at: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    revision: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    @property
    def title(self) -> str:
        """Its name, of a commit with its subject."""
        return f"{self.name} ({self.subject})" if self.subject else self.name


@dataclasses.dataclass(frozen=True)
class Figure(Value):
    """A metric that decides, of both: means of the runs in its unit, and NEW's ratio to GOOD.

    ``gate`` is the limit as it was given. ``ratio`` is None where GOOD has nothing of it.
    """

    gate: str
    metric: str
    good: float
    candidate: float
    ratio: float | None


@dataclasses.dataclass(frozen=True)
class Step(Value):
    """A candidate that was measured in turn with the good one, and what came of it.

    ``base`` and ``new`` are the folders of the runs of the good one and of the candidate, relative
    to that of the search. ``reason`` is why it was skipped.
    """

    candidate: str
    word: Word
    base: str
    new: str
    rounds: int
    runs: int
    seconds: float
    figures: tuple[Figure, ...] = ()
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Answer(Value):
    """The first bad one and the last good one; ``between`` are those of which nothing is known.

    ``text`` says it in one sentence, ``change`` what is different between the two by the runs in
    ``base`` and ``new``, and ``stage`` names what explains it; None where they were not compared.
    """

    first_bad: Candidate
    last_good: Candidate
    between: tuple[str, ...]
    text: str
    change: str | None = None
    stage: str | None = None
    shows_in: str | None = None
    base: str | None = None
    new: str | None = None


@dataclasses.dataclass(frozen=True)
class Asked(Value):
    """What was asked for, as far as the search can go on from it.

    ``good`` and ``bad`` are as they were typed, ``gates`` too; ``arguments`` are the options of
    ``omrig run``, without what may be a password. ``margin`` is 0.05 for 5 %.
    """

    good: str
    bad: str
    source: str | None
    gates: tuple[str, ...]
    margin: float
    most_rounds: int
    arguments: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Bisection(Value):
    """A search: what was asked, the ``candidates`` from the good one to the bad one, its steps.

    They are ``descending`` where the good one is the newer. ``derived`` is the gate that follows
    from the two ends where none was given. ``notes`` are what
    a person has to know of the candidates. It is ``complete`` where nothing is left to ask; then
    ``answer`` is None where there is nothing to bisect, and ``reason`` says why. ``runs`` and
    ``seconds`` are of all that was measured.
    """

    asked: Asked
    candidates: tuple[Candidate, ...]
    descending: bool = False
    notes: tuple[str, ...] = ()
    derived: str | None = None
    steps: tuple[Step, ...] = ()
    answer: Answer | None = None
    complete: bool = False
    reason: str | None = None
    runs: int = 0
    seconds: float = 0.0
    schema: int = SCHEMA

    @property
    def words(self) -> tuple[Word | None, ...]:
        """What is known of each of the candidates.

        Nothing of one that was left undecided after fewer rounds than there may be now.
        """
        most = self.asked.most_rounds
        told = (step for step in self.steps if step.word != "undecided" or step.rounds >= most)
        known: Mapping[str, Word] = {step.candidate: step.word for step in told}
        return tuple(known.get(each.name) for each in self.candidates)

    @property
    def is_found(self) -> bool:
        """Whether the first bad one is known."""
        return self.answer is not None and not self.answer.between
