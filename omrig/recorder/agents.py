"""The agents in the processes of a service: who is there, and what they answer.

An agent listens on the socket ``control`` in the folder of its process, and answers each packet, a
JSON object, with another one.
"""

import collections
import dataclasses
import json
import os
import select
import socket
import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from omrig.model.values import Json, Value

PROCESS = "process.json"
CONTROL = "control"

_LONGEST_BYTES = 1 << 16
_CONNECT_S = 2.0

Key = TypeVar("Key", bound=Hashable)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attached(Value):
    """A process with an agent, as its ``process.json`` has it."""

    name: str
    host: str = ""
    pid: int
    ppid: int = 0
    program: tuple[str, ...] = ()
    executor: str = ""
    boot_id: str = ""
    started_ns: int = 0
    missing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How a line calls it."""
        return f"{self.name} {self.pid}"


class Closed(Exception):
    """The agent has closed the connection: as a rule its process has ended."""


def find(folder: Path) -> dict[Path, Attached]:
    """The processes that have, or had, an agent, by their folders. Raises ``OSError``."""
    found = {}
    for path in sorted(folder.iterdir()):
        try:
            text = (path / PROCESS).read_text()
            found[path] = Attached.from_json(json.loads(text))
        except (FileNotFoundError, NotADirectoryError):
            # No process, or one that has only just begun to write its own.
            continue
        except ValueError:
            continue
    return found


def counted(rows: Mapping[str, Json]) -> dict[str, int]:
    """The counts of rows in an answer."""
    return {side: n for side, n in rows.items() if isinstance(n, int)}


class Connection:
    """A connection with an agent; while one that has said ``on`` is open the instrument stays on.

    An answer that came too late is not mistaken for that of the next question.
    """

    def __init__(self, process: Path) -> None:
        """Connect; raises ``OSError`` where nobody listens."""
        self._asked: collections.deque[str] = collections.deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_CONNECT_S)
        # The path of a socket has 107 bytes at most.
        descriptor = os.open(process, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.connect(f"/proc/self/fd/{descriptor}/{CONTROL}")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(descriptor)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor, for poll()."""
        return self._socket.fileno()

    def is_waited_for(self, question: str) -> bool:
        """Whether the last question was this one, and is not answered."""
        return bool(self._asked) and self._asked[-1] == question

    def send(self, request: Mapping[str, Json]) -> None:
        """Ask. Raises :class:`Closed`, and ``BlockingIOError`` where it reads nothing any more."""
        try:
            self._socket.send(json.dumps(request).encode())
        except BlockingIOError:
            raise
        except OSError as error:
            raise Closed from error
        self._asked.append(str(request["do"]))

    def receive(self) -> Mapping[str, Json] | None:
        """The answer to the last question; None for one to an earlier one. Raises :class:`Closed`.

        What is no JSON object is an answer with an ``error``.
        """
        try:
            packet = self._socket.recv(_LONGEST_BYTES)
        except OSError as error:
            raise Closed from error
        if not packet:
            raise Closed
        if self._asked:
            self._asked.popleft()
        if self._asked:
            return None
        try:
            answer = json.loads(packet)
        except ValueError:
            answer = None
        return answer if isinstance(answer, Mapping) else {"error": "its answer is no JSON object"}

    def close(self) -> None:
        """End it."""
        self._socket.close()


@dataclasses.dataclass
class Answers(Generic[Key]):
    """What agents answered, who has not in time, and who has closed the connection."""

    given: dict[Key, Mapping[str, Json]] = dataclasses.field(default_factory=dict)
    silent: list[Key] = dataclasses.field(default_factory=list)
    closed: list[Key] = dataclasses.field(default_factory=list)


def ask(
    connections: Mapping[Key, Connection], request: Mapping[str, Json], within_s: float
) -> Answers[Key]:
    """Ask all of them at once, and wait until everybody has answered or ``within_s`` is over.

    Who has not answered the same question yet is not asked again, and not waited for.
    """
    answers: Answers[Key] = Answers()
    waiting: dict[int, Key] = {}
    fresh: set[Key] = set()
    poll = select.poll()
    for key, connection in connections.items():
        try:
            if not connection.is_waited_for(str(request["do"])):
                connection.send(request)
                fresh.add(key)
        except Closed:
            answers.closed.append(key)
            continue
        except BlockingIOError:
            answers.silent.append(key)
            continue
        waiting[connection.fileno()] = key
        poll.register(connection, select.POLLIN)
    until = time.monotonic() + within_s
    is_last = False
    while waiting and not is_last:
        left = until - time.monotonic() if fresh & set(waiting.values()) else 0.0
        is_last = left <= 0
        for descriptor, _ in poll.poll(max(0.0, left) * 1000):
            if _receive(waiting[descriptor], connections[waiting[descriptor]], answers):
                poll.unregister(descriptor)
                del waiting[descriptor]
    answers.silent += waiting.values()
    return answers


def _receive(key: Key, connection: Connection, answers: Answers[Key]) -> bool:
    """Take one packet; whether nothing more is to come."""
    try:
        answer = connection.receive()
    except Closed:
        answers.closed.append(key)
        return True
    if answer is None:
        return False
    answers.given[key] = answer
    return True
