"""How notifications are sent and taken, as far as the command line says: one by one, in batches."""

import dataclasses

from omrig.model.errors import UsageError
from omrig.model.option import option

PRIORITIES = ("audit", "debug", "info", "warn", "error", "critical", "sample")
"""What a notification may be; each has a queue of its own."""

DEFAULT_PRIORITY = "info"
"""The priority with which services notify mostly."""

DEFAULT_BATCH_TIMEOUT_S = 1.0
"""How long a batch is waited for: without an end the last messages of a load would never come."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Notifications:
    """The priority of notifications, and how many a listener hands on at once.

    All None are the defaults, and the listener that takes them one by one.

    Raises ``UsageError`` when a value makes no sense.
    """

    priority: str | None = option(
        None,
        "--priority",
        kind="text",
        metavar="NAME",
        help=f"{', '.join(PRIORITIES[:-1])} or {PRIORITIES[-1]} (default {DEFAULT_PRIORITY})",
    )
    batch: int | None = option(
        None,
        "--batch",
        kind="count",
        metavar="N",
        help="take them with a batch listener, N at once (default: one by one)",
    )
    batch_timeout_s: float | None = option(
        None,
        "--batch-timeout",
        kind="seconds",
        metavar="SECONDS",
        help="hand on a batch that is not full after so long"
        f" (default {DEFAULT_BATCH_TIMEOUT_S:g})",
    )

    def __post_init__(self) -> None:
        if self.priority is not None and self.priority not in PRIORITIES:
            raise UsageError(
                f"--priority: unknown {self.priority!r}; choose from {', '.join(PRIORITIES)}"
            )
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"--batch: {self.batch} is too small; give 1 or more")
        if self.batch_timeout_s is not None and self.batch_timeout_s <= 0:
            raise UsageError(
                f"--batch-timeout: {self.batch_timeout_s:g} is not above 0; give seconds"
            )
        if self.batch_timeout_s is not None and self.batch is None:
            raise UsageError("--batch-timeout: there is no batch to wait for; give --batch N")

    def refuse(self, chosen: str) -> None:
        """Raise ``UsageError`` for what was given: what was ``chosen`` sends no notifications."""
        for field in dataclasses.fields(self):
            if getattr(self, field.name) is not None:
                flag = field.metadata["option"].flags[-1]
                raise UsageError(
                    f"{flag}: {chosen} sends no notifications; give --pattern notify, or leave it"
                    " out"
                )
