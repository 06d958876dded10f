"""``experiment.json``: what an experiment measures, what it has measured, and what it decided.

It is written anew, whole, after each step, so that it is valid whatever ends the experiment.
"""

import contextlib
import dataclasses
import datetime
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import omrig
from omrig.model import redaction
from omrig.model.decision import Decision
from omrig.model.errors import UsageError, naming
from omrig.model.redaction import HIDDEN
from omrig.model.values import UNLESS_NONE, Json, Value
from omrig.recordings import writer

NAME = "experiment.json"
SCHEMA = 1

Kind = Literal["ab", "sweep", "bisect", "history"]

UNFINISHED = "it is still going on, or was killed"
"""Why an experiment is not complete, unless something else is known."""

_LOGIN = re.compile(r"(://[^:@/\s]*):.*@", re.DOTALL)
"""A login in a URL, up to the last ``@``: a transport URL may have several, and odd passwords."""

_TOKEN = re.compile(r"(https?://)[^/\s]*@")
"""Of a repository's URL, what stands for a user may be a password."""

_SECRET = re.compile(
    r"([\w.-]*(?:password|passwd|secret|token|credential)[\w.-]*=).*", re.DOTALL | re.IGNORECASE
)
"""An option that is set, and whose value nobody may read."""


class Named(Protocol):
    """What has a name and is asked for by options: a configuration."""

    @property
    def name(self) -> str:
        """What its folder is called."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its options, as they were typed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule(Value):
    """When an experiment ends, and by what.

    ``rounds`` are the most there may be. ``metrics`` are what decides, ``looks`` the numbers of
    rounds after which one looks, ``alpha`` how often "different" may be wrong; they and the
    ``margin`` (0.05: 5 %) are None where nothing is decided. ``gates`` are those of the comparison.
    ``duet`` says that the runs of a round are made at once; None where they follow each other.
    """

    until: Literal["rounds", "decided"] = "rounds"
    rounds: int
    margin: float | None = None
    metrics: tuple[str, ...] = ()
    looks: tuple[int, ...] = ()
    alpha: float | None = None
    max_minutes: float | None = None
    gates: tuple[str, ...] = ()
    duet: bool | None = dataclasses.field(default=None, metadata=UNLESS_NONE)


class Journal:
    """The ``experiment.json`` of a folder, and its content.

    ``rounds`` has the order of each round, ``measured`` for each of them which run of a
    configuration it is (1: the first), ``lasted_s`` how long each took that has ended. ``own`` are
    the keys of the kind of experiment alone. ``is_known`` says whether it is that of an experiment
    which has begun.
    """

    def __init__(self, path: Path, kind: Kind, seed: int) -> None:
        self.path = path
        self.kind: Kind = kind
        self.seed = seed
        self.started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.configurations: list[dict[str, Any]] = []
        self.rounds: list[list[str]] = []
        self.measured: list[dict[str, int]] = []
        self.lasted_s: list[float] = []
        self.rule: Rule | None = None
        self.decision: Decision | None = None
        self.complete = False
        self.reason: str | None = UNFINISHED
        self.own: dict[str, Json] = {}
        self.is_known = False

    def note(self, configurations: Iterable[Named]) -> None:
        """Have those configurations among those that are measured, without their passwords."""
        for each in configurations:
            if all(each.name != known["name"] for known in self.configurations):
                shown = [masked(argument) for argument in each.arguments]
                self.configurations.append({"name": each.name, "arguments": shown})

    @property
    def spent_s(self) -> float:
        """How long its rounds took, those of earlier blocks among them."""
        return sum(self.lasted_s)

    def begin_round(self, configurations: Sequence[Named], order: list[str]) -> None:
        """Note a round before it is measured."""
        self.note(configurations)
        self.rounds.append(order)
        self.measured.append({})
        self.write()

    def took(self, name: str, number: int, run: int) -> None:
        """Note that a configuration's ``run`` is that of round ``number`` (0: the first)."""
        self.measured[number][name] = run
        self.write()

    def end_round(self, lasted_s: float) -> None:
        """Note how long a round took."""
        self.lasted_s.append(round(lasted_s, 3))
        self.write()

    def count(self, name: str) -> int:
        """How many runs of a configuration there are."""
        return sum(name in each for each in self.measured)

    def together(self, *names: str) -> list[tuple[int, ...]]:
        """The runs of those configurations, of each round that all of them were measured in."""
        there = (each for each in self.measured if all(name in each for name in names))
        return [tuple(each[name] for name in names) for each in there]

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """The file says how the block is going, and in the end how it has ended.

        What was bad usage before anything was measured leaves nothing.
        """
        self.complete, self.reason = False, UNFINISHED
        folder = self.path.parent
        is_new = not folder.exists()
        with naming("--output"):
            folder.mkdir(parents=True, exist_ok=True)
            self.write()
        try:
            yield
        except BaseException as error:
            self.reason = _why(error)
            self.write()
            if isinstance(error, UsageError) and [*folder.iterdir()] == [self.path]:
                self.path.unlink()
                if is_new:
                    folder.rmdir()
            raise
        if self.reason == UNFINISHED:
            self.reason = None
        self.complete = True
        self.write()

    def write(self) -> None:
        """Write the file, whole or not at all."""
        with writer.writing(self.path) as file:
            file.write(json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")

    def to_json(self) -> dict[str, Json]:
        """The content of the file."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "omrig": omrig.__version__,
            "seed": self.seed,
            "started_at": self.started_at,
            "configurations": self.configurations,
            "rounds": self.rounds,
            "measured": self.measured,
            "lasted_s": self.lasted_s,
            "rule": self.rule.to_json() if self.rule else None,
            "decision": self.decision.to_json() if self.decision else None,
            "complete": self.complete,
            "reason": self.reason,
            **self.own,
        }


def new(folder: Path, kind: Kind, rule: Rule | None = None) -> Journal:
    """That of an experiment which begins in ``folder``; nothing is written yet."""
    made = Journal(folder / NAME, kind, secrets.randbelow(2**32))
    made.rule = rule
    return made


def read(folder: Path, argument: str) -> Journal:
    """That of the experiment in ``folder``; ``argument`` is named in errors.

    Raises ``UsageError`` where there is none that this omrig reads.
    """
    path = folder / NAME
    try:
        with naming(argument):
            content = json.loads(path.read_text())
        return _read(path, content)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{argument}: {path} cannot be read ({error})") from error


def _read(path: Path, content: Mapping[str, Any]) -> Journal:
    if content["schema"] > SCHEMA:
        raise ValueError(f"schema {content['schema']}; this omrig reads up to {SCHEMA}: upgrade it")
    found = Journal(path, content["kind"], content["seed"])
    found.started_at = content["started_at"]
    found.configurations = list(content["configurations"])
    found.rounds = [list(order) for order in content["rounds"]]
    found.measured = [dict(each) for each in content["measured"]]
    found.lasted_s = list(content["lasted_s"])
    found.rule = Rule.from_json(content["rule"]) if content["rule"] else None
    found.decision = Decision.from_json(content["decision"]) if content["decision"] else None
    found.complete, found.reason = content["complete"], content["reason"]
    known = found.to_json().keys()
    found.is_known = True
    found.own = {name: value for name, value in content.items() if name not in known}
    return found


def masked(argument: str) -> str:
    """An argument as it may stand in a file: without what may be a password in it."""
    argument = _SECRET.sub(rf"\g<1>{HIDDEN}", argument)
    argument = _LOGIN.sub(rf"\g<1>:{HIDDEN}@", argument)
    argument = _TOKEN.sub(rf"\g<1>{HIDDEN}@", argument)
    return redaction.redact(argument)


def is_masked(arguments: Sequence[str]) -> bool:
    """Whether something was taken out of arguments: they cannot be used again."""
    return any(HIDDEN in argument for argument in arguments)


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = " ".join(str(error).split())
    return redaction.redact(text or type(error).__name__)
