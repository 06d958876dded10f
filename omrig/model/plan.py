"""The Plan: a frozen description of one run, validated once and handed down whole.

Each field that the command line can set says so itself (:mod:`omrig.model.option`), and its default
stands nowhere else.
"""

import dataclasses
import json
import re
from typing import Any

from omrig.model import members
from omrig.model.errors import UsageError
from omrig.model.load import Load, at_least
from omrig.model.mix import Mix
from omrig.model.notifications import DEFAULT_PRIORITY, Notifications
from omrig.model.option import option
from omrig.model.pace import Pace
from omrig.model.patterns import NOTIFICATIONS
from omrig.model.profiling import Profiling
from omrig.model.sizes import Sizes
from omrig.model.slices import twin_messages
from omrig.model.software import Software

SIDES = ("producer", "consumer")

TAG_DIGITS = 12
"""So much of a run's id is in the name of whatever it declares on a broker."""

DEFAULT_PROJECT = "nova"
"""The service whose configuration is looked for when none is named."""

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,100}")


_PRIVATE: dict[str, Any] = {"private": True}
"""Of a field that is for the processes of the run alone, and not for ``run.json``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where:
    """Which broker the messages go to, how to get in, and who meets there.

    ``url``, ``assigned`` and ``environment`` may hold a password: they are left out of ``repr`` and
    of :meth:`Plan.public`. ``assigned`` are options of oslo.messaging's and their values, as they
    were typed. ``project_named`` says whether the command line named the project. What
    :attr:`is_resolved` is for a measured process: its files, folders, URL and ``OS_...`` variables
    are all there is, and nothing is looked for.

    ``topic`` is where producers and consumers that are started one by one meet; the messages go by
    :attr:`Plan.queue_topic`. A producer that has met its consumer uses that consumer's
    ``served_topic`` and ``served_exchange``, and ``served_by`` says who that is. ``record`` is the
    file that lists what the run declares (:mod:`omrig.broker.declared`); empty where there is
    no broker.

    Raises ``UsageError`` when a value makes no sense.
    """

    url: str | None = option(
        None,
        "--transport-url",
        kind="text",
        metavar="URL",
        help="driver://user:password@host/vhost",
        **_PRIVATE,
        repr=False,
    )
    config_files: tuple[str, ...] = option(
        (), "--config-file", kind="list", metavar="FILE", help="repeatable"
    )
    config_dirs: tuple[str, ...] = option(
        (), "--config-dir", kind="list", metavar="DIR", help="repeatable"
    )
    assigned: tuple[str, ...] = option(
        (),
        "--set",
        kind="list",
        metavar="[GROUP.]OPTION=VALUE",
        help="an option of oslo.messaging, above the configuration; repeatable",
        **_PRIVATE,
        repr=False,
    )
    project: str = option(
        DEFAULT_PROJECT,
        "--project",
        kind="text",
        metavar="NAME",
        help="service whose configuration is looked for (default {default})",
    )
    project_named: bool = False
    topic: str = option(
        "omrig",
        "--topic",
        kind="text",
        help="where producers and consumers that are started one by one meet (default {default})",
    )
    served_topic: str = ""
    served_exchange: str = ""
    served_by: str = ""
    record: str = dataclasses.field(default="", repr=False, metadata=_PRIVATE)
    environment: dict[str, str] = dataclasses.field(
        default_factory=dict, repr=False, metadata=_PRIVATE
    )
    is_resolved: bool = dataclasses.field(default=False, metadata=_PRIVATE)
    yes: bool = option(
        False,
        "--yes",
        kind="flag",
        help="send more than 100000 messages unasked to the broker that a service's"
        " configuration names",
        **_PRIVATE,
    )

    def __post_init__(self) -> None:
        if not _TOPIC.fullmatch(self.topic):
            raise UsageError(
                f"--topic: {self.topic!r} is not a topic; use up to 100 letters, digits, '.', '_'"
                " and '-'"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """Where the results go, and how much is told meanwhile."""

    folder: str = option(
        "",
        "--output",
        kind="text",
        metavar="DIR",
        help="run folder (default omrig-runs/<UTC time>-<side>)",
        key="output",
    )
    debug: bool = option(
        False, "-d", "--debug", kind="flag", help="debug log on stderr, tracebacks of errors"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, on which side or sides, and where the results go.

    ``member`` is whose plan it is where a side has several; empty before it was handed out.

    Raises ``UsageError`` when a value makes no sense.
    """

    sides: tuple[str, ...]
    run_id: str
    member: str = ""
    load: Load = dataclasses.field(default_factory=Load)
    pace: Pace = dataclasses.field(default_factory=Pace)
    notifications: Notifications = dataclasses.field(default_factory=Notifications)
    profiling: Profiling = dataclasses.field(default_factory=Profiling)
    transport: Where = dataclasses.field(default_factory=Where)
    software: Software = dataclasses.field(default_factory=Software)
    output: Output = dataclasses.field(default_factory=Output)

    def __post_init__(self) -> None:
        self._check_twin()
        if not self.priority:
            self.notifications.refuse(f"--pattern {self.load.pattern}")
        several = max(self.load.producers, self.load.consumers) > 1
        if self.profiling.twin and several:
            raise UsageError(
                "--twin: slices of the load are compared between one producer and one consumer;"
                " leave --producers and --consumers out"
            )
        if self.load.messages is not None and not self.member:
            at_least("--message_count", self.load.messages, self.load.producers)
        self._check_expected()
        differs = self.load.mix or self.load.sizes
        if differs and self.load.messages is None and "producer" in self.sides:
            raise UsageError(
                "--duration: how many messages there will be is not known, and what each of them is"
                " is decided before the load; give -m, the most of them, or --rate as well"
            )
        needed = twin_messages(self.load.workers)
        is_asked = self.profiling.twin and "producer" in self.sides
        if is_asked and (self.load.messages or 0) < needed:
            raise UsageError(
                f"--twin: {self.load.messages} messages are too few to compare slices of the load"
                f" of {self.load.workers} workers; give -m {needed} or more"
            )

    def _check_expected(self) -> None:
        expected = {
            "--expect-producers": self.load.expect_producers,
            "--expect-consumers": self.load.expect_consumers,
        }
        asked = [name for name, count in expected.items() if count > 1]
        if asked and self.sides != ("consumer",):
            raise UsageError(
                f"{asked[0]}: it is the consumer (omrig -c) that waits for others; omrig run knows"
                " all of its own processes"
            )
        shares = self.load.expect_consumers > 1 and not all(
            pattern.copies for pattern in self.load.patterns
        )
        if shares and self.load.messages is not None:
            raise UsageError(
                f"--expect-consumers: of several consumers none knows how many of"
                f" {self.load.messages} messages it gets; leave the count out, and give --idle"
                " SECONDS to have them end"
            )

    def _check_twin(self) -> None:
        is_twin = self.profiling.twin and "producer" in self.sides
        if is_twin and (self.pace.is_open or self.pace.duration_s):
            raise UsageError(
                "--twin: slices of a load can be compared where it is as fast as it can be and has"
                " an end; leave out --rate, --ramp and --duration"
            )

    @property
    def side(self) -> str:
        """The side that is measured, or ``both``."""
        return self.sides[0] if len(self.sides) == 1 else "both"

    def count(self, side: str) -> int:
        """How many processes a side has."""
        return self.load.producers if side == "producer" else self.load.consumers

    @property
    def expected_producers(self) -> int:
        """How many producers are to be ready before the load begins: of a consumer alone those
        that other commands start."""
        return self.load.producers if "producer" in self.sides else self.load.expect_producers

    def names(self, side: str) -> tuple[str, ...]:
        """The names of a side's members."""
        return (self.member,) if self.member else members.names(side, self.count(side))

    @property
    def members(self) -> tuple[str, ...]:
        """The names of all members, the producers' first."""
        return tuple(name for side in self.sides for name in self.names(side))

    def of_members(self, side: str) -> tuple["Plan", ...]:
        """The plan of each member of a side.

        Several producers share the messages; of consumers that share them none knows how many it
        will get.
        """
        count = self.count(side)
        if count == 1:
            return (dataclasses.replace(self, sides=(side,)),)
        messages: tuple[int | None, ...] = (self.load.messages,) * count
        if side == "producer":
            if self.load.messages is not None:
                messages = members.shares(self.load.messages, count)
        elif not all(pattern.copies for pattern in self.load.patterns):
            messages = (None,) * count
        return tuple(
            dataclasses.replace(
                self,
                sides=(side,),
                member=name,
                pace=dataclasses.replace(self.pace, messages_of_all=self.load.messages),
                load=dataclasses.replace(self.load, messages=its_messages),
            )
            for name, its_messages in zip(self.names(side), messages, strict=True)
        )

    @property
    def priority(self) -> str:
        """The priority of the load's notifications; empty where it has none."""
        has = NOTIFICATIONS in self.load.traffic
        return (self.notifications.priority or DEFAULT_PRIORITY) if has else ""

    @property
    def tag(self) -> str:
        """What is in every name that this run declares, and in none of another's."""
        return self.run_id[:TAG_DIGITS]

    @property
    def queue_topic(self) -> str:
        """The topic on the broker: of this run alone, and under the name ``omrig``.

        oslo.messaging names the queue of a topic after the topic alone, whatever the exchange: a
        topic that a service or another run has, too, would share its queue.
        """
        if self.transport.served_topic:
            return self.transport.served_topic
        topic = self.transport.topic
        asked = topic if topic.startswith("omrig") else f"omrig.{topic}"
        return f"{asked}.{self.tag}"

    @property
    def exchange(self) -> str:
        """The exchange of the messages, named like the topic."""
        return self.transport.served_exchange or self.queue_topic

    def with_transport(self, **changes: Any) -> "Plan":
        """The same plan with other values of its transport."""
        return dataclasses.replace(self, transport=dataclasses.replace(self.transport, **changes))

    def public(self) -> dict[str, Any]:
        """The plan as ``run.json`` has it: flat, and without what is private."""
        return {
            "sides": self.sides,
            "run_id": self.run_id,
            **_public(self.load),
            **{name: value for name, value in _public(self.pace).items() if value is not None},
            **{n: each for n, each in _public(self.notifications).items() if each is not None},
            **self.profiling.public(),
            **_public(self.transport),
            **{name: value for name, value in _public(self.software).items() if value},
            **_public(self.output),
        }

    def to_json(self) -> str:
        """The whole plan in one line, password included: for a pipe, never for a file."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Plan":
        """The plan that :meth:`to_json` wrote."""
        values: dict[str, Any] = json.loads(line)
        return cls(
            sides=tuple(values["sides"]),
            run_id=values["run_id"],
            member=values["member"],
            load=Load.from_values(values["load"]),
            pace=Pace(**values["pace"]),
            notifications=Notifications(**values["notifications"]),
            profiling=Profiling.from_values(values["profiling"]),
            transport=Where(**_tuples(values["transport"])),
            software=Software(**_tuples(values["software"])),
            output=Output(**values["output"]),
        )


_Part = Load | Pace | Notifications | Where | Software | Output


def _public(part: _Part) -> dict[str, Any]:
    return {
        field.metadata.get("key", field.name): _recorded(getattr(part, field.name))
        for field in dataclasses.fields(part)
        if not field.metadata.get("private") and _is_told(part, field)
    }


def _is_told(part: _Part, field: dataclasses.Field[Any]) -> bool:
    return "unless_none" not in field.metadata or getattr(part, field.name) is not None


def _recorded(value: Any) -> Any:
    if isinstance(value, Mix):
        return value.weights
    return value.recorded().to_json() if isinstance(value, Sizes) else value


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists alone."""
    return {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}
