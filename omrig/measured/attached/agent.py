"""The agent: what lives in a process of a service, from the import of its driver on.

It has no thread and no file before the process' first connection, and nothing of it is on the way
of a message before somebody records. It is one process': a child of the service begins anew.
"""

import atexit
import posix
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omrig.measured.attached import process, resolved, wanted
from omrig.measured.attached.control import Control, StartThread
from omrig.measured.attached.private import imported
from omrig.measured.attached.recording import Recording, nowhere
from omrig.model import redaction
from omrig.model.errors import in_words
from omrig.model.values import Json

if TYPE_CHECKING:
    from omrig.measured.attached.instrument import Instrument

_LIMIT_BYTES = 64 << 20
"""What a table may take where a recorder does not say."""

_PATCHED_LATE = (
    "eventlet has patched threads after oslo.messaging's driver was imported, which is too late for"
    " it to know; patch first"
)


def begin(root: str, start_thread: StartThread, allocate_lock: Callable[[], Any]) -> "Agent":
    """Be ready in this process, whose driver has just been imported; ``root`` is the folder of the
    recordings, and what follows are the real functions of ``_thread``.

    Raises what keeps it from being recorded.
    """
    found = resolved.read(root)
    with imported("bytecode", found.library):
        from omrig.measured.attached.instrument import Instrument

    agent = Agent(root, start_thread, allocate_lock)
    agent.prepare(Instrument(found.maps, agent.connected, native=not process.is_green()))
    posix.register_at_fork(after_in_child=agent.forked)
    atexit.register(agent.end)
    return agent


class Agent:
    """Of this process, and of what becomes of it in each of its children."""

    def __init__(
        self, root: str, start_thread: StartThread, allocate_lock: Callable[[], Any]
    ) -> None:
        self._root = root
        self._start_thread = start_thread
        self._allocate_lock = allocate_lock
        self._lock = allocate_lock()
        self._pid = posix.getpid()
        self._folder = ""
        self._control: Control | None = None
        self._recording: Recording | None = None
        self._ended: set[str] = set()
        self._owners: set[object] = set()
        self._broken = ""
        self._said = False

    def prepare(self, instrument: "Instrument") -> None:
        """``instrument`` is what stamps messages here."""
        self._instrument = instrument
        self._expect()

    # What the process does

    def connected(self) -> None:
        """A connection is being made: by the first one the process can be reached."""
        if self._pid != posix.getpid():
            # Forked by what does not know of Python.
            self.forked()
        if self._folder or self._broken:
            return
        with self._lock:
            if self._folder:
                return
            try:
                self._open()
            except Exception as error:  # noqa: BLE001 - no fault of ours breaks a message
                self._break(error)

    def forked(self) -> None:
        """In a child: what its parent had is not its own."""
        self._pid = posix.getpid()
        self._lock = self._allocate_lock()
        self._folder, self._broken, self._said = "", "", False
        self._ended, self._owners = set(), set()
        try:
            control, self._control = self._control, None
            if control is not None:
                control.close()
            recording, self._recording = self._recording, None
            if recording is not None:
                recording.abandon()
            self._instrument.forget()
            self._expect()
        except Exception as error:  # noqa: BLE001 - a service must not fail for this
            self._break(error)

    def end(self) -> None:
        """The process ends in the usual way: what it leaves is whole."""
        if self._pid != posix.getpid():
            return
        with self._lock:
            try:
                self._turn_off()
            except Exception as error:  # noqa: BLE001 - a service must not fail for this
                self._break(error)

    # What a recorder asks

    def answer(self, asked: dict[str, Json], asker: object) -> dict[str, Json]:
        """The answer to what was asked; whoever turns a recording on is an owner of it."""
        with self._lock:
            try:
                match asked.get("do"):
                    case "status":
                        return self._status()
                    case "on":
                        return self._asked_on(asked, asker)
                    case "off":
                        return self._asked_off()
                    case other:
                        return {"error": f"{other!r} is not known; ask for status, on, or off"}
            except Exception as error:  # noqa: BLE001 - a service must not fail for this
                self._break(error)
                return {"error": self._broken}

    def look(self) -> None:
        """Time has passed: turn off where something broke, or where nobody wants it any more."""
        with self._lock:
            try:
                if self._recording is None:
                    return
                if failure := self._instrument.failure:
                    self._break(failure)
                elif not self._owners:
                    want = wanted.read(self._root)
                    if want is None or want.recording != self._recording.name:
                        self._turn_off()
            except Exception as error:  # noqa: BLE001 - a service must not fail for this
                self._break(error)

    def let_go(self, asker: object) -> None:
        """Whoever asked is gone."""
        with self._lock:
            was_owner = asker in self._owners
            self._owners.discard(asker)
            if was_owner and not self._owners:
                try:
                    self._turn_off()
                except Exception as error:  # noqa: BLE001 - a service must not fail for this
                    self._break(error)

    @property
    def is_alone(self) -> bool:
        """Whether it records without anybody connected who asked for it."""
        return self._recording is not None and not self._owners

    # How

    def _expect(self) -> None:
        """Where a recording is wanted already the first message is stamped, before there is a
        connection."""
        want = wanted.read(self._root)
        if want is not None:
            self._instrument.turn_on(want.sample, self._chunk)

    def _chunk(self, of: str) -> memoryview:
        """Where rows go: asked for when there is one."""
        recording = self._recording
        if recording is None:
            # Stamped before there was a connection, and there is none yet, or it is being made.
            self.connected()
            with self._lock:
                recording = self._recording
        # What is not wanted any more goes nowhere.
        return nowhere(of) if recording is None else recording.rows[of].next_chunk()

    def _open(self) -> None:
        if self._instrument.native == process.is_green():
            raise RuntimeError(_PATCHED_LATE)
        started = time.monotonic_ns()
        name = process.folder_name(started)
        folder = f"{self._root}/{name}"
        posix.mkdir(folder, 0o700)
        instrument = self._instrument
        # Whoever finds the description can ask already.
        control = Control(folder, self, self._start_thread)
        process.describe(
            folder, started, instrument.missing, instrument.lost_stages, instrument.others()
        )
        self._control, self._folder = control, name
        want = wanted.read(self._root)
        if want is not None:
            self._turn_on(want.recording, want.sample, want.limit_bytes)
        else:
            self._instrument.turn_off()
        control.start()

    def _asked_on(self, asked: dict[str, Json], asker: object) -> dict[str, Json]:
        began = time.monotonic_ns()
        name, folder = str(asked.get("recording")), str(asked.get("folder"))
        if failure := self._broken or self._instrument.failure:
            return {"error": failure}
        current = self._recording
        if current is not None and current.name != name:
            if self._owners:
                return {"error": f"{current.name} is being recorded; end that first"}
            self._turn_off()
        if self._recording is None:
            if name in self._ended:
                return {"error": f"{name} has ended in this process; begin another recording"}
            sample, limit = asked.get("sample"), asked.get("limit_bytes")
            try:
                self._turn_on(name, _whole(sample, 1), _whole(limit, _LIMIT_BYTES), folder)
            except OSError as error:
                # Where another recording is put may be another matter.
                self._turn_off()
                return {"error": in_words(error)}
        self._owners.add(asker)
        return {
            "on": True,
            "took_ns": time.monotonic_ns() - began,
            "connections": self._instrument.connections,
            "sites": self._instrument.sites,
        }

    def _asked_off(self) -> dict[str, Json]:
        self._owners.clear()
        return {"on": False, "rows": self._turn_off()}

    def _turn_on(self, name: str, sample: int, limit_bytes: int, folder: str = "") -> None:
        root = folder or f"{self._root}/{name}"
        recording = Recording(root, name, self._folder, sample, limit_bytes)
        self._ended.add(name)
        self._recording = recording
        self._instrument.turn_on(sample, self._chunk)
        self._instrument.write_to(recording)
        recording.begun(self._about())

    def _turn_off(self) -> dict[str, int]:
        """Take everything out; how many rows were kept of each side."""
        in_flight = self._instrument.turn_off()
        recording, self._recording = self._recording, None
        if recording is None:
            return {}
        counts = recording.counts()
        recording.ended(self._about(), in_flight)
        return counts

    def _about(self) -> dict[str, Json]:
        ours = self._control.threads if self._control else 0
        return {
            "connections": self._instrument.connections,
            "threads": process.threads() - ours,
            "failures": self._instrument.failures,
            "pools": self._instrument.pools.sizes(),
        }

    def _status(self) -> dict[str, Json]:
        recording, instrument = self._recording, self._instrument
        failure = self._broken or instrument.failure
        if failure and recording is not None:
            self._break(failure)
        return {
            "pid": self._pid,
            "name": process.called(),
            "executor": "threading" if instrument.native else "eventlet",
            "on": self._recording is not None,
            "recording": self._recording.name if self._recording else None,
            "connections": instrument.connections,
            "consuming": instrument.consuming,
            "rows": self._recording.counts() if self._recording else {},
            "failures": instrument.failures,
            "broken": failure or None,
            "missing": instrument.missing,
            "others": instrument.others(),
            "threads": process.threads() - (self._control.threads if self._control else 0),
        }

    def _break(self, error: Exception | str) -> None:
        """Turn off for good in this process, keep why, and say it once."""
        words = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self._broken = self._broken or redaction.redact(words)
        self._owners.clear()
        try:
            self._turn_off()
        except Exception as second:  # noqa: BLE001 - a service must not fail for this
            self._broken += f"; then {type(second).__name__}: {second}"
        if not self._said:
            self._said = True
            _say(f"process {self._pid} is not recorded any more: {self._broken}")


def _whole(value: Json, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default


def _say(text: str) -> None:
    line = " ".join(f"omrig: {text}".split())
    try:
        posix.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{line}\n".encode())
    except (OSError, ValueError):
        # Closed: there is nobody to be told.
        return
