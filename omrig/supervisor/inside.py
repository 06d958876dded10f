"""``python -m omrig.supervisor.inside REQUEST ANSWER PARENT``: a run supervised in an environment.

What to do comes through the descriptor REQUEST, what is shown and what it came to goes to ANSWER
(:mod:`omrig.supervisor.elsewhere` is at their other ends). When PARENT is gone the run ends, with
what was measured until then in its folder.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from omrig.broker.rabbitmq.embedded import Embedded
from omrig.model import redaction
from omrig.model.errors import RunError, UsageError, reason
from omrig.model.plan import Plan
from omrig.supervisor.interrupts import Interrupts

ORPHAN_S = 8.0
"""So long may the run go on to its end without the command that asked for it."""

_LOOK_S = 0.2


class Relayed:
    """A display that has everything shown by the process that asked for the run."""

    def __init__(self, answer: IO[bytes], request: IO[bytes], is_seen: bool) -> None:
        self.is_seen = is_seen
        self._answer = answer
        self._writing = threading.Lock()
        self._said: queue.Queue[bool] = queue.Queue()
        self._begin: Callable[[int], None] | None = None
        threading.Thread(
            target=self._hear, args=(request,), name="omrig request", daemon=True
        ).start()

    def _hear(self, request: IO[bytes]) -> None:
        """Take what the other process says: answers to what it was asked, and when to begin."""
        for line in request:
            message = json.loads(line)
            if "begin_ns" in message:
                if self._begin:
                    self._begin(message["begin_ns"])
            else:
                self._said.put(message["yes"])
        self._said.put(False)

    def agree(self, begin: Callable[[int], None]) -> None:
        """See :data:`omrig.supervisor.control.Agree`."""
        self._begin = begin
        self.send({"ready": True})

    def send(self, message: Mapping[str, Any]) -> None:
        """Say something; nobody hears it where the other process is gone."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError), self._writing:
            self._answer.write(line)

    def _show(self, method: str, *values: object) -> None:
        self.send({"show": method, "values": values})

    def say(self, text: str) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        self._show("say", text)

    def tell(self, text: str) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        self._show("tell", text)

    def ask(self, question: str) -> bool:
        """See :class:`omrig.supervisor.display.Display`."""
        self.send({"ask": question})
        return self._said.get()

    def waiting(self, left_s: float) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        self._show("waiting", left_s)

    def phase(self, side: str, phase: str) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        self._show("phase", side, phase)

    def counts(self, side: str, counts: dict[str, int]) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        self._show("counts", side, counts)

    def latencies(self, latencies_ns: Sequence[int]) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        if self.is_seen:
            self._show("latencies", list(latencies_ns))

    def owners(self, owners: Mapping[str, float]) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        self._show("owners", dict(owners))

    def processors(self, used: Mapping[str, float]) -> None:
        """See :class:`omrig.supervisor.display.Display`."""
        if self.is_seen:
            self._show("processors", dict(used))

    def close(self) -> None:
        """Who asked for the run closes what shows it."""


def main() -> None:
    """Supervise the run that is asked for, and say what it came to."""
    request_descriptor, answer_descriptor, parent = map(int, sys.argv[1:])
    interrupts = Interrupts()
    # Whatever was ignored where the command was started: this is how it passes interrupts on.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with (
        os.fdopen(request_descriptor, "rb") as request,
        os.fdopen(answer_descriptor, "wb", buffering=0) as answer,
        interrupts.handled(),
    ):
        asked = json.loads(request.readline())
        if asked["core"] is not None:
            # Who is started from here inherits it.
            os.sched_setaffinity(0, {asked["core"]})
        # The others that it starts are told through pipes, too.
        os.environ.update(asked["options"])
        display = Relayed(answer, request, asked["is_seen"])
        message = _supervised(asked, display, interrupts, parent)
        interrupts.deferred = True
        display.send(message)


def _supervised(
    asked: Mapping[str, Any], display: Relayed, interrupts: Interrupts, parent: int
) -> dict[str, Any]:
    """What the run came to, as the command hears it."""
    from omrig.supervisor import run as supervisor

    try:
        display.send({"begun": os.getpid()})
        _end_when_orphaned(parent)
        plan, broker = Plan.from_json(asked["plan"]), _broker(asked["broker"])
        # Who shares a core with another run begins with it.
        agree = None if asked["core"] is None else display.agree
        recorded = supervisor.run(plan, display, interrupts, broker, agree=agree)
        with interrupts.deferring():
            return {
                "recorded": {
                    "folder": str(recorded.folder),
                    "losses": recorded.losses.paths,
                    "ended": recorded.ended.to_json() if recorded.ended else None,
                }
            }
    except BaseException as error:  # noqa: BLE001 - whatever it is, the command says it
        interrupts.deferred = True
        return {"failed": _failed(error)}


def _failed(error: BaseException) -> dict[str, Any]:
    """An error as the command can raise it again."""
    found: dict[str, Any] = {
        "text": str(error),
        # The passwords are known here.
        "traceback": redaction.redact("".join(traceback.format_exception(error))),
    }
    match error:
        case UsageError():
            return {**found, "kind": "usage"}
        case RunError():
            return {**found, "kind": "run"}
        case KeyboardInterrupt():
            return {**found, "kind": "interrupted"}
        case OSError():
            path = error.filename2 or error.filename
            path = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else None
            return {
                **found,
                "kind": "system",
                "errno": error.errno or 0,
                "text": reason(error),
                "path": path,
            }
    return {**found, "kind": type(error).__name__, "text": redaction.redact(str(error))}


def _broker(values: Mapping[str, Any] | None) -> Embedded | None:
    if values is None:
        return None
    ca_file = Path(values["ca_file"]) if values["ca_file"] else None
    return Embedded(**{**values, "ca_file": ca_file, "data_dir": Path(values["data_dir"])})


def _end_when_orphaned(parent: int) -> None:
    """End the run when the command has ended, and do not stay longer, whatever hangs."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        # Once: the kernel's own signal comes again for each thread that the command had.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_S)
        os._exit(1)

    threading.Thread(target=watch, name="omrig orphaned", daemon=True).start()


if __name__ == "__main__":
    main()
