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
from omrig.model.option import choices, option
from omrig.model.patterns import PATTERNS
from omrig.model.profiling import Profiling
from omrig.model.slices import twin_messages

EXECUTORS = ("eventlet", "threading")
SIDES = ("producer", "consumer")

TAG_DIGITS = 12
"""So much of a run's id is in the name of whatever it declares on a broker."""

DEFAULT_MESSAGES = 10_000
"""Messages that a producer sends when no count is given: some ten seconds of load."""

DEFAULT_PROJECT = "nova"
"""The service whose configuration is looked for when none is named."""

KILOBYTE = 1024
"""Bytes in one kilobyte of ``--message_size``."""

SHORTEST_PATIENCE_S = 10.0
"""A step before the load may take so long, however short ``--wait`` is."""

MAX_MESSAGE_BYTES = 128 * 1024 * 1024
"""Largest message that RabbitMQ accepts by default (``max_message_size`` since 3.8)."""

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """How many messages of what kind are sent, and by how many workers.

    ``messages`` is None only for a consumer that runs until it is stopped; several ``producers``
    share them, and ``workers`` are those of each. ``size_bytes`` is the
    size of the payload as :mod:`omrig.model.payload` defines it. ``timeout_s`` is None for the
    configuration's ``rpc_response_timeout``.

    Raises ``UsageError`` when a value makes no sense.
    """

    messages: int | None = option(
        DEFAULT_MESSAGES,
        "-m",
        "--message_count",
        kind="count",
        metavar="N",
        help="messages to send or to take",
    )
    size_bytes: int = option(
        10 * KILOBYTE,
        "-s",
        "--message_size",
        kind="kilobytes",
        metavar="KB",
        help="payload of a message in kilobytes of 1024 bytes (default {default})",
    )
    workers: int = option(
        100,
        "-w",
        "--worker_count",
        kind="count",
        metavar="N",
        help="workers of the producer, in a closed loop (default {default})",
    )
    producers: int = option(
        1,
        "--producers",
        kind="count",
        metavar="N",
        help="processes that send, each with its workers (default {default})",
    )
    consumers: int = option(
        1,
        "--consumers",
        kind="count",
        metavar="N",
        help="processes that serve (default {default})",
    )
    pattern: str = option("call", "--pattern", kind="text", help=choices(tuple(PATTERNS)))
    executor: str = option("eventlet", "--executor", kind="text", help=choices(EXECUTORS))
    executor_pool_size: int | None = option(
        None,
        "--executor-pool-size",
        kind="count",
        metavar="N",
        help="threads that serve messages (default: executor_thread_pool_size)",
    )
    warmup: int = option(
        50,
        "--warmup",
        kind="count_or_none",
        metavar="N",
        help="messages sent before the measured ones (default {default})",
    )
    timeout_s: float | None = option(
        None,
        "--timeout",
        kind="seconds",
        metavar="SECONDS",
        help="wait so long for a reply (default: rpc_response_timeout)",
    )
    wait_s: float = option(
        30.0,
        "--wait",
        kind="seconds",
        metavar="SECONDS",
        help="wait so long for a consumer (default {default})",
    )
    idle_s: float | None = option(
        None,
        "--idle",
        kind="seconds",
        metavar="SECONDS",
        help="end the consumer when no message came for so long (default: never)",
    )

    def __post_init__(self) -> None:
        if self.messages is not None:
            _at_least("--message_count", self.messages, self.producers)
        _at_least("--worker_count", self.workers, 1)
        _at_least("--warmup", self.warmup, 0)
        _at_least("--wait", self.wait_s, 0)
        if self.executor_pool_size is not None:
            _at_least("--executor-pool-size", self.executor_pool_size, 1)
        _above_0("--timeout", self.timeout_s)
        _above_0("--idle", self.idle_s)
        if not 0 <= self.size_bytes <= MAX_MESSAGE_BYTES:
            raise UsageError(
                f"--message_size: {self.size_bytes / KILOBYTE:g} is out of range; give kilobytes"
                f" from 0 to {MAX_MESSAGE_BYTES // KILOBYTE}"
            )
        _check_choice("--pattern", self.pattern, tuple(PATTERNS))
        _check_choice("--executor", self.executor, EXECUTORS)

    @property
    def patience_s(self) -> float:
        """How long a step before the load may take: ``--wait``, and what a check may at least."""
        return max(SHORTEST_PATIENCE_S, self.wait_s)


_PRIVATE: dict[str, Any] = {"private": True}
"""Of a field that is for the processes of the run alone, and not for ``run.json``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where:
    """Which broker the messages go to, how to get in, and who meets there.

    ``url`` and ``environment`` may hold a password: they are left out of ``repr`` and of
    :meth:`Plan.public`. ``project_named`` says whether the command line named the project. What
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
    profiling: Profiling = dataclasses.field(default_factory=Profiling)
    transport: Where = dataclasses.field(default_factory=Where)
    output: Output = dataclasses.field(default_factory=Output)

    def __post_init__(self) -> None:
        several = max(self.load.producers, self.load.consumers) > 1
        if self.profiling.twin and several:
            raise UsageError(
                "--twin: slices of the load are compared between one producer and one consumer;"
                " leave --producers and --consumers out"
            )
        needed = twin_messages(self.load.workers)
        is_asked = self.profiling.twin and "producer" in self.sides
        if is_asked and (self.load.messages or 0) < needed:
            raise UsageError(
                f"--twin: {self.load.messages} messages are too few to compare slices of the load"
                f" of {self.load.workers} workers; give -m {needed} or more"
            )

    @property
    def side(self) -> str:
        """The side that is measured, or ``both``."""
        return self.sides[0] if len(self.sides) == 1 else "both"

    def count(self, side: str) -> int:
        """How many processes a side has."""
        return self.load.producers if side == "producer" else self.load.consumers

    def names(self, side: str) -> tuple[str, ...]:
        """The names of a side's members."""
        return (self.member,) if self.member else members.names(side, self.count(side))

    @property
    def members(self) -> tuple[str, ...]:
        """The names of all members, the producers' first."""
        return tuple(name for side in self.sides for name in self.names(side))

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
            **self.profiling.public(),
            **_public(self.transport),
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
            load=Load(**values["load"]),
            profiling=Profiling.from_values(values["profiling"]),
            transport=Where(**_tuples(values["transport"])),
            output=Output(**values["output"]),
        )


def _public(part: Load | Where | Output) -> dict[str, Any]:
    return {
        field.metadata.get("key", field.name): getattr(part, field.name)
        for field in dataclasses.fields(part)
        if not field.metadata.get("private")
    }


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists alone."""
    return {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}


def _at_least(option: str, value: float, least: int) -> None:
    if value < least:
        raise UsageError(f"{option}: {value:g} is too small; give {least} or more")


def _above_0(option: str, seconds: float | None) -> None:
    if seconds is not None and seconds <= 0:
        raise UsageError(f"{option}: {seconds:g} is not above 0; give seconds")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{option}: unknown {value!r}; choose from {', '.join(choices)}")
