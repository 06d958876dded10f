"""The Plan: a frozen description of one run, validated once and handed down whole."""

import dataclasses
import json
import re
from typing import Any

from omrig.model.errors import UsageError
from omrig.model.profiling import Profiling

PATTERNS = ("call", "cast")
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

TWIN_PAIRS = (5, 10)
"""Pairs of slices that are compared with and without profilers: at least and at most. Fewer than
five cannot show that the ranking of stages changed (:mod:`omrig.accounting.overhead`)."""

SLICE_MESSAGES_PER_WORKER = 4
SLICE_MESSAGES = 40
"""A slice has at least so many: shorter ones would be all beginning and end."""

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, on which side or sides, and where the results go.

    ``messages`` is None only for a consumer that runs until it is stopped. ``size_bytes`` is the
    size of the payload as :mod:`omrig.model.payload` defines it. ``timeout_s`` is None for the
    configuration's ``rpc_response_timeout``. ``project_named`` says whether the command line named
    the project. ``transport_url`` and ``environment`` may hold a password: they are left out of
    ``repr`` and of :meth:`public`. A plan that :attr:`is_resolved` is for a measured process: its
    files, folders, URL and ``OS_...`` variables are all there is, and nothing is looked for.

    ``topic`` is where producers and consumers that are started one by one meet; the messages go by
    :attr:`queue_topic`. A producer that has met its consumer uses that consumer's ``served_topic``
    and ``served_exchange``, and ``served_by`` says who that is. ``record`` is the file that lists
    what the run declares (:mod:`omrig.broker.declared`); empty where there is no broker.

    Raises ``UsageError`` when a value makes no sense.
    """

    sides: tuple[str, ...]
    run_id: str
    messages: int | None = DEFAULT_MESSAGES
    size_bytes: int = 10 * KILOBYTE
    workers: int = 100
    warmup: int = 50
    pattern: str = "call"
    executor: str = "eventlet"
    executor_pool_size: int | None = None
    timeout_s: float | None = None
    wait_s: float = 30.0
    idle_s: float | None = None
    profiling: Profiling = dataclasses.field(default_factory=Profiling)
    topic: str = "omrig"
    served_topic: str = ""
    served_exchange: str = ""
    served_by: str = ""
    record: str = dataclasses.field(default="", repr=False)
    project: str = DEFAULT_PROJECT
    project_named: bool = False
    config_files: tuple[str, ...] = ()
    config_dirs: tuple[str, ...] = ()
    transport_url: str | None = dataclasses.field(default=None, repr=False)
    environment: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    is_resolved: bool = False
    yes: bool = False
    output: str = ""
    debug: bool = False

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_choice("--pattern", self.pattern, PATTERNS)
        _check_choice("--executor", self.executor, EXECUTORS)
        if not _TOPIC.fullmatch(self.topic):
            raise UsageError(
                f"--topic: {self.topic!r} is not a topic; use up to 100 letters, digits, '.', '_'"
                " and '-'"
            )

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
        if self.served_topic:
            return self.served_topic
        asked = self.topic if self.topic.startswith("omrig") else f"omrig.{self.topic}"
        return f"{asked}.{self.tag}"

    @property
    def exchange(self) -> str:
        """The exchange of the messages, named like the topic."""
        return self.served_exchange or self.queue_topic

    @property
    def patience_s(self) -> float:
        """How long a step before the load may take: ``--wait``, and what a check may at least."""
        return max(SHORTEST_PATIENCE_S, self.wait_s)

    def public(self) -> dict[str, Any]:
        """The plan as JSON-able values without the transport URL, for ``run.json``."""
        plan: dict[str, Any] = {}
        for name, value in vars(self).items():
            plan |= self.profiling.public() if name == "profiling" else {name: value}
        for name in ("transport_url", "environment", "is_resolved", "yes", "record"):
            del plan[name]
        return plan

    def to_json(self) -> str:
        """The whole plan in one line, password included: for a pipe, never for a file."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Plan":
        """The plan that :meth:`to_json` wrote."""
        values: dict[str, Any] = json.loads(line)
        values["profiling"] = Profiling.from_values(values["profiling"])
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return cls(**values)


def smallest_slice(workers: int) -> int:
    """Messages in a slice of the load of so many workers, at least."""
    return max(SLICE_MESSAGES, SLICE_MESSAGES_PER_WORKER * workers)


def twin_messages(workers: int) -> int:
    """Messages that slices take at least: one to settle, and the fewest pairs."""
    return smallest_slice(workers) * (1 + 2 * TWIN_PAIRS[0])


def _check_counts(plan: Plan) -> None:
    if plan.messages is not None:
        _at_least("--message_count", plan.messages, 1)
    _at_least("--worker_count", plan.workers, 1)
    _at_least("--warmup", plan.warmup, 0)
    _at_least("--wait", plan.wait_s, 0)
    needed = twin_messages(plan.workers)
    if plan.profiling.twin and "producer" in plan.sides and (plan.messages or 0) < needed:
        raise UsageError(
            f"--twin: {plan.messages} messages are too few to compare slices of the load of"
            f" {plan.workers} workers; give -m {needed} or more"
        )
    if plan.executor_pool_size is not None:
        _at_least("--executor-pool-size", plan.executor_pool_size, 1)
    if plan.timeout_s is not None and plan.timeout_s <= 0:
        raise UsageError(f"--timeout: {plan.timeout_s:g} is not above 0; give seconds")
    if plan.idle_s is not None and plan.idle_s <= 0:
        raise UsageError(f"--idle: {plan.idle_s:g} is not above 0; give seconds")
    if not 0 <= plan.size_bytes <= MAX_MESSAGE_BYTES:
        raise UsageError(
            f"--message_size: {plan.size_bytes / KILOBYTE:g} is out of range; give kilobytes from"
            f" 0 to {MAX_MESSAGE_BYTES // KILOBYTE}"
        )


def _at_least(option: str, value: float, least: int) -> None:
    if value < least:
        raise UsageError(f"{option}: {value:g} is too small; give {least} or more")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{option}: unknown {value!r}; choose from {', '.join(choices)}")
