"""What runs of omrig in a worker of the engine: it starts members on its host and speaks for them.

There is one agent for a run in each worker, and one task of the engine's for each member. The
member is started by the task's own thread, which lives as long: with the worker ends the member,
which then saves by itself what it has. An agent that hears nothing of its coordinator any more has
its members save and end, too. What they leave is in the spool of the host until it is collected.
"""

import contextlib
import dataclasses
import json
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omrig.fleet import channel, spool
from omrig.fleet.channel import Message
from omrig.fleet.secret import Sealed
from omrig.model import errors, events, redaction
from omrig.model.declared import FILE
from omrig.model.plan import Plan
from omrig.supervisor.child import Child
from omrig.supervisor.ending import ASKED_SAVE_S, STOP_S
from omrig.supervisor.place import Said
from omrig.supervisor.sampler import Sampler

DEAD_MAN_S = 30.0
"""An agent that has not heard of its coordinator for so long has its members save and end."""

TICK_S = 1.0
"""So often an agent says how far its members are, and looks whether it is still wanted."""

STOOD_STILL_S = 5.0
"""An agent that was late by more than this has stood still itself."""

RECORD = "declared.jsonl"
"""In a member's folder while it runs: what it declares on the broker."""

_NOT_TOLD = ('{"event": "rows"', '{"event": "latencies"')
"""For a display on this host: there is none."""

_PROGRESS = '{"event": "progress"'
_PHASE = '{"event": "phase"'


@dataclasses.dataclass(frozen=True)
class Order:
    """Which agent of which run it is: ``post`` is unique, ``own`` the path of the folder, beside
    those of its members, that has what it samples of the machine."""

    run_id: str
    tag: str
    post: str
    own: str


def open_post(order: Order, dask_worker: Any) -> str:
    """Begin an agent in this worker; the folder of the run in this host's spool.

    Raises ``OSError`` where that cannot be made.
    """
    agent = _agents[order.post] = Agent(order, dask_worker)
    agent.start()
    return str(agent.folder)


def rest(post: str) -> None:
    """Have an agent, whose members have ended, write nothing more to its folder."""
    if agent := _agents.get(post):
        agent.rest()


def speak_for(order: Order, member: str, memory: bool, sealed: Sealed) -> int | None:
    """Start a member and return its exit status when it has ended; the task of the engine's.

    With ``memory`` its memory is sampled. Raises ``RuntimeError`` in a worker that is not the one
    in which the agent began.
    """
    from distributed import get_worker, secede

    # A long one: whatever else is for this worker is not to wait for it.
    secede()
    agent = _agents.get(order.post)
    if agent is None:
        raise RuntimeError(f"the worker in which {member} was to run is gone")
    return agent.speak_for(member, memory, sealed, str(get_worker().get_current_task()))


_agents: dict[str, "Agent"] = {}


class _Member:
    """A member, and what the agent knows of it. ``key`` is that of its task."""

    def __init__(self, child: Child, key: str, record: Path, log: Path) -> None:
        self.child = child
        self.key = key
        self.ended = threading.Event()
        self.asked_at: float | None = None
        self.progress = ""
        self.log_bytes = 0
        self._record = record
        self._log = log
        self._reading = threading.Lock()
        self._read = 0
        self._files: list[Path] = []

    def declared(self) -> list[str]:
        """Lines that came to its record since the last time, of what is on the broker."""
        with self._reading:
            text = self._record.read_text() if self._record.exists() else ""
            whole = text[: text.rfind("\n") + 1]
            new, self._read = whole[self._read :], len(whole)
        told = []
        for line in filter(None, new.splitlines()):
            thing = json.loads(line)
            if thing["kind"] == FILE:
                self._files.append(Path(str(thing["name"])))
            else:
                told.append(line)
        return told

    def clear(self) -> None:
        """Delete the record, and the files of the driver, which are on this host alone."""
        for path in (self._record, *self._files):
            with contextlib.suppress(OSError):
                path.unlink()

    def new_error(self) -> str | None:
        """The last error of its log, where that has become longer since the last time."""
        size = self._log.stat().st_size if self._log.exists() else 0
        if size == self.log_bytes:
            return None
        self.log_bytes = size
        return self.child.last_error()


class Agent:
    """That of one run in one worker of the engine."""

    def __init__(self, order: Order, worker: Any) -> None:
        self._order = order
        self._worker = worker
        self._open = contextlib.ExitStack()
        self.folder = spool.made(order.run_id)
        self._open.enter_context(spool.in_use(self.folder))
        self._own = self.folder / order.own
        self._own.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sampler = Sampler(self.folder, self._own)
        self._has_started = False
        self._members: dict[str, _Member] = {}
        self._lock = threading.Lock()
        self._told: queue.SimpleQueue[Sequence[Message]] = queue.SimpleQueue()
        self._heard_at = time.monotonic()
        self._over = self._rests = self._is_forgotten = False
        self._listened = threading.Event()
        self._loaded: tuple[float, float] | None = None
        self._thread = threading.Thread(target=self._run, name="omrig agent", daemon=True)

    def start(self) -> None:
        """Listen to the coordinator; in the worker's own thread."""
        self._sampler.start()
        self._thread.start()
        self._worker.loop.add_callback(self._listen)

    def rest(self) -> None:
        """Sample no more; asking again changes nothing."""
        if not self._rests:
            self._rests = True
            self._sampler.stop()

    def speak_for(self, name: str, memory: bool, sealed: Sealed, key: str) -> int | None:
        """Start a member, and wait until it has ended; its status."""
        try:
            member = self._started(name, memory, sealed, key)
        except OSError as error:
            words = f"it could not be started: {errors.in_words(error)}"
            self._say(ended=name, status=None, words=words, error="")
            return None
        member.ended.wait()
        child = member.child
        child.close()
        status = child.ended(STOP_S)
        if status is None:
            child.kill()
            status = child.ended(0.0)
        self._tell_progress(name)
        self._say(declared=member.declared())
        member.clear()
        self._say(ended=name, status=status, words=child.last_words(), error=child.last_error())
        with self._lock:
            del self._members[name]
        return status

    def _started(self, name: str, memory: bool, sealed: Sealed, key: str) -> _Member:
        redaction.remember(sealed.secrets)
        plan = Plan.from_json(sealed.plan)
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        record = folder / RECORD
        plan = dataclasses.replace(
            plan, output=dataclasses.replace(plan.output, folder=str(self.folder))
        )
        if plan.transport.record:
            plan = plan.with_transport(record=str(record))
        child = Child(plan, self.folder)
        member = _Member(child, key, record, folder / "log.txt")
        with self._lock:
            self._members[name] = member
            self._has_started = True
        self._sampler.watch(name, child.pid, memory=memory)
        child.listen(self)
        return member

    def put(self, item: Said) -> None:
        """A member says something, None when it says no more."""
        child, line = item
        member = self._members[child.name]
        if line is None:
            member.ended.set()
        elif line.startswith(_PROGRESS):
            member.progress = line
            self._note_received(line)
        elif not line.startswith(_NOT_TOLD):
            if line.startswith(_PHASE):
                self._note_phase(line)
            self._tell_progress(child.name)
            self._say(said=[[child.name, line]])

    def _tell_progress(self, name: str) -> None:
        """What a member counted comes before whatever else it says."""
        member = self._members[name]
        line, member.progress = member.progress, ""
        if line:
            self._say(said=[[name, line]])

    def _note_phase(self, line: str) -> None:
        """Know what the engine's process used while members had a load."""
        event = events.decode(line)
        if not isinstance(event, events.Phase):
            return
        if event.phase == "load":
            self._note_load()
        elif event.phase == "saving" and self._loaded is not None:
            used_s, since = self._loaded
            self._say(engine=[self._used_s() - used_s, time.monotonic() - since])

    def _note_received(self, line: str) -> None:
        """A consumer says of its load only how much of it came."""
        if self._loaded is None:
            event = events.decode(line)
            if isinstance(event, events.Progress) and event.counts.get("received"):
                self._note_load()

    def _note_load(self) -> None:
        if self._loaded is None:
            self._loaded = (self._used_s(), time.monotonic())

    def _used_s(self) -> float:
        """CPU seconds of this process, without what the sampling takes, as in any run."""
        return time.process_time() - self._sampler.used_s()

    def _say(self, **what: Any) -> None:
        message = {"post": self._order.post, **what}
        self._worker.log_event(channel.topic_of(self._order.tag), message)

    async def _listen(self) -> None:
        """Take what the coordinator says next, again and again; on the worker's loop."""
        try:
            await self._heard_all()
        finally:
            self._listened.set()

    async def _heard_all(self) -> None:
        while not self._over:
            try:
                record = await self._worker.scheduler.queue_get(
                    name=channel.queue_of(self._order.post), client="", timeout=None, batch=False
                )
            except OSError:
                # The worker lost its scheduler and ends.
                return
            except KeyError:
                # The coordinator is through, and has deleted the queue.
                self._over = True
                return
            self._heard_at = time.monotonic()
            for message in record["value"]:
                if message["do"] == channel.PING:
                    # At once: the time is wrong by what lies between.
                    self._say(pong=message["number"], at_ns=time.monotonic_ns())
                elif message["do"] == channel.BYE:
                    self._over = True
            self._told.put(record["value"])

    def _run(self) -> None:
        """Do what the coordinator says, and look after the members."""
        looked_at = time.monotonic()
        while not self._over or self._members:
            with contextlib.suppress(queue.Empty):
                for message in self._told.get(timeout=TICK_S):
                    self._do(message)
            now = time.monotonic()
            if now - looked_at < TICK_S:
                continue
            if now - looked_at > STOOD_STILL_S:
                # What was said meanwhile is still to be heard.
                self._heard_at = now
            looked_at = now
            self._report()
            self._look(now)
        self.rest()
        if self._is_forgotten:
            self._forget()
        if not self._has_started:
            # Nobody comes for a host without members.
            with contextlib.suppress(OSError):
                spool.remove(self._own)
        _agents.pop(self._order.post, None)
        if not _agents:
            redaction.forget()
        self._open.close()

    def _forget(self) -> None:
        """Leave nothing on a scheduler that goes on for others."""
        worker = self._worker
        # Without its scheduler there is no queue either, and the worker ends.
        with contextlib.suppress(OSError):
            channel.forget(
                worker.scheduler.address, worker.security, self._order.post, self._listened
            )

    def _do(self, message: Mapping[str, Any]) -> None:
        member = self._members.get(message.get("member", ""))
        if member is None:
            return
        child = member.child
        match message["do"]:
            case channel.PLAN:
                child.send_plan()
            case channel.TELL:
                event = events.decode(message["line"])
                if isinstance(event, events.Ask | events.Answer):
                    child.tell(event)
            case channel.CLOSE:
                child.close()
            case channel.STOP:
                child.stop()
            case channel.KILL:
                child.kill()

    def _report(self) -> None:
        """Say how far the members are, in one piece."""
        with self._lock:
            members = dict(self._members)
        if not members:
            return
        said: list[list[str]] = []
        declared: list[str] = []
        failed: dict[str, str] = {}
        for name, member in members.items():
            line, member.progress = member.progress, ""
            said += [[name, line]] if line else []
            declared += member.declared()
            error = member.new_error()
            failed |= {name: error} if error else {}
        cpu = {name: round(used, 3) for name, used in self._sampler.cpu().items()}
        self._say(said=said, cpu=cpu, declared=declared, errors=failed)

    def _look(self, now: float) -> None:
        """Have members end for which nobody waits any more."""
        silent = now - self._heard_at > DEAD_MAN_S
        with self._lock:
            members = list(self._members.values())
        if silent and not members:
            self._over = self._is_forgotten = True
        unwanted = silent or self._over
        for member in members:
            if member.asked_at is not None and now - member.asked_at > ASKED_SAVE_S:
                member.child.kill()
            elif member.asked_at is None and (unwanted or not self._is_wanted(member.key)):
                member.asked_at = now
                member.child.stop()

    def _is_wanted(self, key: str) -> bool:
        """Whether the engine still wants the result of a member's task: with the coordinator it
        gives up all that it waits for."""
        task = self._worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")
