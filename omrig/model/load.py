"""The load of a run: how many messages, of what kind, by how many processes and workers.

Each field that the command line can set says so itself (:mod:`omrig.model.option`), and its default
stands nowhere else.
"""

import dataclasses
from typing import Any

from omrig.model import behaviour, members, proportions, sizes
from omrig.model.errors import UsageError
from omrig.model.mix import MIX, Mix
from omrig.model.option import choices, option
from omrig.model.patterns import PATTERNS, RPC, Pattern, Traffic
from omrig.model.sizes import KILOBYTE, Sizes
from omrig.model.values import UNLESS_NONE

EXECUTORS = ("eventlet", "threading")

DEFAULT_MESSAGES = 10_000
"""Messages that a producer sends when no count is given: some ten seconds of load."""

SHORTEST_PATIENCE_S = 10.0
"""A step before the load may take so long, however short ``--wait`` is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """How many messages of what kind are sent, and by how many workers.

    ``messages`` is None for a consumer that runs until it is stopped, and where a load ends with
    its time (:class:`omrig.model.pace.Pace`); several ``producers`` share them, and ``workers`` are
    those of each. ``size_bytes`` is the size of the payload as :mod:`omrig.model.payload` defines
    it; where payloads have several ``sizes`` it is their mean. With a ``mix`` of patterns
    ``pattern`` is :data:`omrig.model.mix.MIX`. ``timeout_s`` is None for the configuration's
    ``rpc_response_timeout``. ``endpoint`` is what :mod:`omrig.model.behaviour` reads, ``scenario``
    the name or the file of the one that gave options.

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
        kind="sizes",
        metavar="KB",
        help="payload of a message in kilobytes of 1024 bytes, 1-100 for any size between them,"
        " nova-boot for the sizes of a cloud, or a file of sizes (default {default})",
    )
    sizes: Sizes | None = dataclasses.field(default=None, metadata=UNLESS_NONE)
    workers: int = option(
        100,
        "-w",
        "--worker_count",
        kind="count",
        metavar="N",
        help="workers of a producer: so many messages are under way at once (default {default})",
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
    expect_producers: int = option(
        1,
        "--expect-producers",
        kind="count",
        metavar="N",
        help="with -c: so many omrig -p begin together, when all are there (default {default})",
    )
    expect_consumers: int = option(
        1,
        "--expect-consumers",
        kind="count",
        metavar="N",
        help="with -c: one of N omrig -c that share the messages; producers wait for all"
        " (default {default})",
    )
    pattern: str = option("call", "--pattern", kind="text", help=choices(tuple(PATTERNS)))
    mix: Mix | None = option(  # noqa: RUF009 - it makes a field
        None,
        "--mix",
        kind="mix",
        metavar="PATTERN=N,...",
        help="several patterns in one load, in these proportions (call=70,cast=20,fanout=10)",
        **UNLESS_NONE,
    )
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
    endpoint: tuple[str, ...] | None = option(
        None,
        "--endpoint",
        kind="list",
        metavar="KIND:VALUE",
        help="what the endpoint does: cpu:2ms, sleep:5ms, call:1, error:1%%, reply:50KB"
        " (repeatable, or separated by commas)",
        **UNLESS_NONE,
    )
    services: int | None = option(
        None,
        "--services",
        kind="count",
        metavar="N",
        help="services in each process, that connect and declare by themselves and at once"
        " (default: a process is one)",
        **UNLESS_NONE,
    )
    scenario: str | None = dataclasses.field(default=None, metadata=UNLESS_NONE)

    def __post_init__(self) -> None:
        if self.messages is not None:
            at_least("--message_count", self.messages, 1)
        at_least("--worker_count", self.workers, 1)
        at_least("--warmup", self.warmup, 0)
        at_least("--wait", self.wait_s, 0)
        if self.executor_pool_size is not None:
            at_least("--executor-pool-size", self.executor_pool_size, 1)
        _above_0("--timeout", self.timeout_s)
        _above_0("--idle", self.idle_s)
        sizes.within(self.size_bytes)
        if self.sizes:
            object.__setattr__(self, "size_bytes", self.sizes.mean_bytes)
        if self.mix:
            object.__setattr__(self, "pattern", MIX)
        else:
            _check_choice("--pattern", self.pattern, tuple(PATTERNS))
        _check_choice("--executor", self.executor, EXECUTORS)
        for pattern in self.patterns:
            if self.services is not None and pattern.copies:
                raise UsageError(
                    f"--services: each would get a copy of a {pattern.noun}, and a process counts"
                    " one; leave it out, or use --consumers"
                )
            if self.services is not None and pattern.traffic != RPC:
                raise UsageError(
                    f"--services: services that send {pattern.noun}s are not made; leave it out"
                )
            behaviour.check(behaviour.parse(self.endpoint or ()), pattern)

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        """How the messages of the load are sent and served."""
        return tuple(dict.fromkeys(pattern.traffic for pattern in self.patterns))

    @property
    def patience_s(self) -> float:
        """How long a step before the load may take: ``--wait``, and what a check may at least."""
        return max(SHORTEST_PATIENCE_S, self.wait_s)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The pattern of the messages, or those of the mix in its order."""
        return self.mix.patterns if self.mix else (PATTERNS[self.pattern],)

    @property
    def largest_bytes(self) -> int:
        """The largest payload of the load."""
        return self.sizes.largest_bytes if self.sizes else self.size_bytes

    @property
    def receipts(self) -> int:
        """How many messages all consumers are to receive together: each copy is one."""
        weights = list(self.mix.weights.values()) if self.mix else [1]
        return sum(
            count * (self.consumers if pattern.copies else 1)
            for share in members.shares(self.messages or 0, self.producers)
            for pattern, count in zip(
                self.patterns, proportions.apportion(share, weights), strict=True
            )
        )

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "Load":
        """The load of which :func:`dataclasses.asdict` made ``values``."""
        found = dict(values)
        if found["sizes"]:
            found["sizes"] = sizes.from_json(found["sizes"])
        if found["mix"]:
            found["mix"] = Mix(found["mix"]["weights"])
        return cls(**found)


def at_least(option: str, value: float, least: int) -> None:
    """Raise ``UsageError`` where the value of an option is below ``least``."""
    if value < least:
        raise UsageError(f"{option}: {value:g} is too small; give {least} or more")


def _above_0(option: str, seconds: float | None) -> None:
    if seconds is not None and seconds <= 0:
        raise UsageError(f"{option}: {seconds:g} is not above 0; give seconds")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{option}: unknown {value!r}; choose from {', '.join(choices)}")
