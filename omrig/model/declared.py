"""What a run declares on a broker: a line of its record each, written before it is declared.

By whichever process of the run declares something: the record itself, which begins with the run and
the broker, is :mod:`omrig.broker.declared`'s.
"""

import dataclasses
import errno
import json
import os
import posix
import re
from collections.abc import Mapping
from pathlib import Path

from omrig.model.errors import RunError

QUEUE, EXCHANGE, FILE = "queue", "exchange", "file"
TOPIC, GROUP = "topic", "consumer group"

_REPLY_QUEUE = re.compile(r"reply_[0-9a-f]{32}")
"""The driver's own name of a reply queue without the queue manager: a fresh random one."""


@dataclasses.dataclass(frozen=True)
class Thing:
    """Something that a run declared: a queue or an exchange of the broker, a topic or a consumer
    group of a Kafka cluster, or a file of the driver.

    ``is_own`` is whether the run alone can have made it; else it is its consumer's.
    """

    kind: str
    name: str
    is_own: bool


def note(record: str, kind: str, name: str, tag: str) -> None:
    """Write down that something is about to be declared, by a run with ``tag`` in its names.

    Raises ``RunError`` when it cannot be: nothing is declared then.
    """
    is_own = tag in name or (kind == QUEUE and bool(_REPLY_QUEUE.fullmatch(name)))
    try:
        append(Path(record), dataclasses.asdict(Thing(kind, name, is_own)))
    except OSError as error:
        raise RunError(
            f"{record}: {error.strerror}; what is declared on the broker is written down there"
        ) from error


def append(path: Path, value: Mapping[str, object]) -> None:
    """Add a line in one piece: other processes add theirs. eventlet patches ``os.write``."""
    line = f"\n{json.dumps(value)}\n".encode()
    descriptor = posix.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if posix.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        posix.close(descriptor)
