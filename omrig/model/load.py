"""The load of a run: how many messages, of what kind, by how many processes and workers.

Each field that the command line can set says so itself (:mod:`omrig.model.option`), and its default
stands nowhere else.
"""

import dataclasses

from omrig.model.errors import UsageError
from omrig.model.option import choices, option
from omrig.model.patterns import PATTERNS, Traffic

EXECUTORS = ("eventlet", "threading")

DEFAULT_MESSAGES = 10_000
"""Messages that a producer sends when no count is given: some ten seconds of load."""

KILOBYTE = 1024
"""Bytes in one kilobyte of ``--message_size``."""

SHORTEST_PATIENCE_S = 10.0
"""A step before the load may take so long, however short ``--wait`` is."""

MAX_MESSAGE_BYTES = 128 * 1024 * 1024
"""Largest message that RabbitMQ accepts by default (``max_message_size`` since 3.8)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """How many messages of what kind are sent, and by how many workers.

    ``messages`` is None only for a consumer that runs until it is stopped; several ``producers``
    share them, and ``workers`` are those of each. ``size_bytes`` is the size of the payload as
    :mod:`omrig.model.payload` defines it. ``timeout_s`` is None for the configuration's
    ``rpc_response_timeout``.

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
            at_least("--message_count", self.messages, 1)
        at_least("--worker_count", self.workers, 1)
        at_least("--warmup", self.warmup, 0)
        at_least("--wait", self.wait_s, 0)
        if self.executor_pool_size is not None:
            at_least("--executor-pool-size", self.executor_pool_size, 1)
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
    def traffic(self) -> tuple[Traffic, ...]:
        """How the messages of the load are sent and served."""
        return (PATTERNS[self.pattern].traffic,)

    @property
    def patience_s(self) -> float:
        """How long a step before the load may take: ``--wait``, and what a check may at least."""
        return max(SHORTEST_PATIENCE_S, self.wait_s)


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
