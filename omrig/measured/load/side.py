"""What producer and consumer have in common: the request to stop, counting, who they are."""

import os
import socket
import time
from collections import Counter

from omrig.model import redaction
from omrig.model.boot import boot_id
from omrig.model.run import Member
from omrig.model.values import Json

POLL_S = 0.25
"""How often a side looks whether it has to stop: a signal handler cannot wake it safely."""

SHUT_DOWN_S = 3.0
"""How long a side may take to close what it opened: a dead broker must not hold it."""

DRAIN_S = 5.0
"""Casts of which none arrived for so long will not come any more."""

_ERROR_EXAMPLES = 5

now_ns = time.perf_counter_ns


class Stop:
    """The request to stop, set by a signal handler and read by every worker."""

    requested = False

    def request(self, *_: object) -> None:
        """Ask for the end; safe in a signal handler."""
        self.requested = True


class Errors:
    """Failures by exception name, with the text of the first few."""

    def __init__(self) -> None:
        self._names: list[tuple[int, str]] = []
        self._examples: list[str] = []

    def add(self, error: BaseException, seq: int = -1) -> None:
        """Count a failure, of the message with this number; called by any thread."""
        name = type(error).__name__
        self._names.append((seq, name))
        if len(self._examples) < _ERROR_EXAMPLES:
            text = " ".join(str(error).split())
            self._examples.append(redaction.redact(f"{name}: {text}"))

    def __len__(self) -> int:
        return len(self._names)

    def by_name(self) -> dict[str, int]:
        """How many failures of each exception name."""
        return dict(Counter(name for _, name in self._names))

    def by_seq(self) -> dict[int, str]:
        """The exception name of each message that failed."""
        return dict(self._names)

    def examples(self) -> list[str]:
        """The first few failures, in words."""
        return list(self._examples)


def member(name: str) -> Member:
    """This process, as the side ``name``."""
    return Member(
        name=name,
        side=name,
        host=socket.gethostname(),
        boot_id=boot_id(),
        pid=os.getpid(),
    )


def told(member: Member) -> dict[str, Json]:
    """What the other side and the run folder are told about a process; they know its side."""
    return {"host": member.host, "pid": member.pid, "boot_id": member.boot_id}
