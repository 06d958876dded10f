"""Members on the hosts of a fleet, as the coordinator sees them: started, heard, stopped, lost.

A host that says nothing for a while may only stand still. Its members are given up when the
others of their side are through, or when their agent gives up its coordinator as well; at once
where the engine says that the worker is gone.
"""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omrig.fleet import channel
from omrig.fleet.channel import Message
from omrig.fleet.starting import Exchanges
from omrig.model import events
from omrig.model.plan import Plan
from omrig.recordings import writer
from omrig.supervisor.place import Ear, Placed

KILL_S = 3.0
"""A member that does not end so soon after it is killed is given up."""


class Post:
    """An agent on a host as the coordinator knows it: ``worker`` is where in the engine.

    ``heard_ns`` is when it last said anything, on the coordinator's CLOCK_MONOTONIC. ``lost`` says
    why nothing is expected of it any more, ``lost_ns`` when that was found.
    """

    def __init__(self, name: str, host: str, worker: str, send: Callable[[Message], None]) -> None:
        self.name = name
        self.host = host
        self.worker = worker
        self.folder = ""
        """Of the run in that host's spool."""
        self.own = ""
        """The path in it of the folder with what is sampled of the machine."""
        self.send = send
        self.exchanges = Exchanges()
        self.heard_ns = time.monotonic_ns()
        self.lost: str | None = None
        self.lost_ns: int | None = None
        self.is_silent = False
        """Whether a person was told that it says nothing."""
        self.members: dict[str, RemoteChild] = {}
        self.cpu: dict[str, float] = {}
        self.engine: tuple[float, float] | None = None
        """CPU and wall seconds of the engine's process there, during the load."""

    def heard(self, message: Mapping[str, Any], now_ns: int) -> None:
        """The agent says something."""
        self.heard_ns = now_ns
        if "pong" in message:
            self.exchanges.answered(message["pong"], message["at_ns"], now_ns)
        for line in message.get("declared", ()):
            # Of one that is over it is the same run's record.
            next(iter(self.members.values())).note_declared(line)
        for name, line in message.get("said", ()):
            if member := self.members.get(name):
                member.heard(line)
        for name, text in message.get("errors", {}).items():
            if member := self.members.get(name):
                member.error = text
        self.cpu = message.get("cpu", self.cpu)
        if "engine" in message:
            cpu_s, wall_s = message["engine"]
            self.engine = (cpu_s, wall_s)
        if ended := self.members.get(message.get("ended", "")):
            ended.error = message["error"]
            ended.over(message["status"], message["words"])

    def lose(self, why: str) -> None:
        """Nothing is expected of it any more: its members are over."""
        if self.lost is None:
            self.lost, self.lost_ns = why, time.monotonic_ns()
            self.cpu = {}
        for member in list(self.members.values()):
            member.over(None, self.lost)

    @property
    def is_running(self) -> bool:
        """Whether any of its members has not ended."""
        return any(each.running for each in self.members.values())


class RemoteChild(Placed):
    """One measured process on another host, and the last it said; what
    :class:`omrig.supervisor.child.Child` is for one on this."""

    def __init__(self, plan: Plan, post: Post) -> None:
        super().__init__(plan)
        self.error = ""
        self.post = post
        self._record = plan.transport.record
        self._lock = threading.Lock()
        self._said: Ear | None = None
        self._before: list[str | None] = []
        self._asked = self._closed = False
        self._over = threading.Event()
        self.over_ns: int | None = None
        """When it ended, on the coordinator's CLOCK_MONOTONIC."""
        self._status: int | None = None
        self._words = ""

    def listen(self, said: Ear) -> None:
        """Put whatever it says into ``said``."""
        with self._lock:
            self._said = said
            before, self._before = self._before, []
            for line in before:
                said.put((self, line))

    def heard(self, line: str | None) -> None:
        """It has said this, None when it says no more; called by any thread."""
        with self._lock:
            if self._said is None:
                self._before.append(line)
            else:
                self._said.put((self, line))

    def over(self, status: int | None, words: str) -> None:
        """It has ended, or nobody will know more; what it died of."""
        with self._lock:
            if self._over.is_set():
                return
            self._status, self._words = status, words
            self.over_ns = time.monotonic_ns()
            self._over.set()
        self.heard(None)

    def note_declared(self, line: str) -> None:
        """A line for the run's record of what is declared on the broker."""
        if self._record:
            writer.append(Path(self._record), f"\n{line}\n".encode())

    def _send(self, do: str, **more: str) -> None:
        if not self._over.is_set():
            self.post.send({"do": do, "member": self.name, **more})

    def send_plan(self) -> None:
        """Let it begin: its plan is with it already."""
        self.began = True
        self._send(channel.PLAN)

    def tell(self, event: events.Ask | events.Answer) -> None:
        """Have it hear a question or an answer; an instant in its own host's time."""
        if isinstance(event, events.Answer) and events.BEGIN_AT in event.values:
            offset = self.post.exchanges.fastest()
            at_ns = int(str(event.values[events.BEGIN_AT]))
            there_ns = at_ns + (offset.offset_ns if offset else 0)
            event = events.Answer(event.number, {**event.values, events.BEGIN_AT: there_ns})
        self._send(channel.TELL, line=events.encode(event))

    def close(self) -> None:
        """Have it hear nothing more: one that has not begun ends."""
        if not self._closed:
            self._closed = True
            self._send(channel.CLOSE)

    @property
    def is_heard(self) -> bool:
        """Whether it hears what it is told."""
        return self.began and self.running and not self._closed

    @property
    def pid(self) -> None:
        """It has none on this host."""

    @property
    def running(self) -> bool:
        """Whether the process has not ended, as far as anybody knows."""
        return not self._over.is_set()

    def stop(self) -> None:
        """Ask it to write its results and end; asking again changes nothing."""
        if not self._asked:
            self._asked = True
            self._send(channel.STOP)

    def kill(self) -> None:
        """End it at once; one whose host does not say that it has ended is given up."""
        asked_ns = time.monotonic_ns()
        self._send(channel.KILL)
        if not self._over.wait(KILL_S):
            if self.post.heard_ns < asked_ns:
                # Nor do the others there: they are not waited for one by one.
                self.post.lose(f"{self.post.host} does not answer")
            self.over(None, f"{self.post.host} does not say that it was killed")

    def ended(self, timeout_s: float) -> int | None:
        """Its exit status, None when it has not ended within ``timeout_s``, or nobody knows."""
        return self._status if self._over.wait(timeout_s) else None

    def last_words(self) -> str:
        """What it died of."""
        return self._words or "no output"

    def last_error(self) -> str:
        """The last error that it logged, as far as that was told; empty when there is none."""
        return self.error
