"""A run supervised by another process, in another environment for example: started there, shown
here, its end taken from there.

The other process is :mod:`omrig.supervisor.inside`. What it is asked for, a password included, goes
to it through a pipe; what it shows, asks and comes to comes back through another one, line by line.
"""

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig.model import interpreter
from omrig.model.errors import Losses, RunError, UsageError
from omrig.model.plan import Plan
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.supervisor.display import Display
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.recorded import Recorded

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded

_TICK_S = 0.1
_CHUNK_BYTES = 65536

_AHEAD_S = 0.5
"""So long before the loads of several runs begin they are told when: by way of two processes, on a
machine that is busy with all of them."""

_LEFT_OUT = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
"""Variables by which another Python would import what this one does."""


class Traceback(Exception):
    """Where an error came from in the other process, as text."""


def run(
    python: Path,
    code: str,
    plan: Plan,
    display: Display,
    interrupts: Interrupts,
    broker: "Embedded | None" = None,
    meeting: "Meeting | None" = None,
) -> Recorded:
    """Do what :func:`omrig.supervisor.run.run` does, in a process of ``python``.

    ``code`` is where that finds omrig's own files, as ``PYTHONPATH``. The load begins with those of
    the other runs of a ``meeting``, on its core, and nobody is asked anything: a terminal is one
    run's. Raises what :func:`omrig.supervisor.run.run` raises.
    """
    other = _Other(python, code, interrupts, meeting)
    try:
        with interrupts.deferring():
            other.send(_request(plan, display, broker, meeting))
            answer = _follow(other, display, interrupts)
    finally:
        other.close()
    if "failed" in answer:
        raise _error(answer["failed"])
    folder = Path(answer["recorded"]["folder"])
    losses = Losses(folder)
    losses.add(answer["recorded"]["losses"])
    ended = answer["recorded"]["ended"]
    return Recorded(folder, losses, Run.from_json(ended) if ended else None)


class Meeting:
    """Where ``count`` runs that are supervised in other processes wait for each other.

    All their processes stay on ``core``, by its number. Each is told the instant at which all loads
    begin. Where one of them ends before that, the others would wait in vain: they are asked to end.
    """

    def __init__(self, count: int, core: int) -> None:
        self.core = core
        self._count = count
        self._ready: list[Callable[[int], None]] = []
        self._lock = threading.Lock()
        self.is_off = False

    def join(self, tell: Callable[[int], None]) -> None:
        """A run is ready: ``tell`` it the instant, in ns on CLOCK_MONOTONIC, when all are."""
        with self._lock:
            self._ready.append(tell)
            if self.is_off or len(self._ready) < self._count:
                return
        begin_ns = time.perf_counter_ns() + int(_AHEAD_S * NS)
        for each in self._ready:
            each(begin_ns)

    def leave(self) -> None:
        """A run has ended."""
        with self._lock:
            self.is_off = self.is_off or len(self._ready) < self._count


def _request(
    plan: Plan, display: Display, broker: "Embedded | None", meeting: Meeting | None
) -> dict[str, Any]:
    embedded = None
    if broker:
        embedded = {
            **dataclasses.asdict(broker),
            "ca_file": str(broker.ca_file) if broker.ca_file else None,
            "data_dir": str(broker.data_dir),
        }
    return {
        "plan": plan.to_json(),
        "broker": embedded,
        "options": interpreter.option_variables(),
        "is_seen": display.is_seen,
        "core": meeting.core if meeting else None,
    }


class _Other:
    """The process in the other environment, and the pipes to and from it."""

    def __init__(
        self, python: Path, code: str, interrupts: Interrupts, meeting: Meeting | None
    ) -> None:
        self._interrupts = interrupts
        self._passed_on = interrupts.count
        self._is_begun = False
        self._meeting = meeting
        self._is_sent_home = False
        self._is_closed = False
        self._writing = threading.Lock()
        request, self._to = os.pipe()
        self._from, answer = os.pipe()
        own = {n: v for n, v in interpreter.without_options().items() if n not in _LEFT_OUT}
        try:
            # A session of its own: a Ctrl-C in the terminal goes to this process alone.
            self._process = subprocess.Popen(
                [
                    *(str(python), "-P", "-m", "omrig.supervisor.inside"),
                    *(str(request), str(answer), str(os.getpid())),
                ],
                env={**own, "PYTHONPATH": code},
                stdin=subprocess.DEVNULL if meeting else None,
                stdout=sys.__stderr__,
                pass_fds=(request, answer),
                start_new_session=True,
            )
        except OSError:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(request)
            os.close(answer)

    def send(self, message: dict[str, Any]) -> None:
        """Tell it something; what it does not take any more is lost with it."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError), self._writing:
            while line and not self._is_closed:
                line = line[os.write(self._to, line) :]

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it says until it ends; interrupts are passed on meanwhile, each once."""
        rest = b""
        while True:
            self.pass_on()
            if not select.select([self._from], [], [], _TICK_S)[0]:
                continue
            chunk = os.read(self._from, _CHUNK_BYTES)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                message: dict[str, Any] = json.loads(line)
                self._is_begun = self._is_begun or "begun" in message
                yield message

    def pass_on(self) -> None:
        """Interrupt it as often as this process was interrupted, once it can be."""
        while self._is_begun and self._passed_on < self._interrupts.count:
            self._passed_on += 1
            self._process.send_signal(signal.SIGTERM)
        if self._meeting and self._meeting.is_off and self._is_begun and not self._is_sent_home:
            self._is_sent_home = True
            self._process.send_signal(signal.SIGTERM)

    def meet(self) -> None:
        """It is ready: have it told when to begin."""
        if self._meeting:
            self._meeting.join(lambda begin_ns: self.send({"begin_ns": begin_ns}))

    def ended(self) -> str:
        """How it ended that has said nothing."""
        status = self._process.wait()
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"

    def close(self) -> None:
        """Have it end, if it has not."""
        if self._meeting:
            self._meeting.leave()
        with self._writing:
            self._is_closed = True
            os.close(self._to)
        os.close(self._from)
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()


def _follow(other: _Other, display: Display, interrupts: Interrupts) -> dict[str, Any]:
    """Show what the other process says, and give its answer."""
    answer: dict[str, Any] | None = None
    for message in other.messages():
        if "show" in message:
            getattr(display, message["show"])(*message["values"])
        elif "ask" in message:
            # Who waits for a key is interrupted at once.
            with contextlib.suppress(KeyboardInterrupt), interrupts.deferring(False):
                other.send({"yes": display.ask(message["ask"])})
        elif "ready" in message:
            other.meet()
        elif "begun" not in message:
            answer = message
    if answer is None:
        raise RunError(
            f"the process that supervises the run in its environment ended by {other.ended()},"
            " without a result; --debug shows what it logs"
        )
    return answer


def _error(failed: dict[str, Any]) -> BaseException:
    """The error that ended the run there, as if it had been raised here."""
    text = failed["text"]
    error: BaseException
    match failed["kind"]:
        case "usage":
            error = UsageError(text)
        case "run":
            error = RunError(text)
        case "interrupted":
            error = KeyboardInterrupt(text) if text else KeyboardInterrupt()
        case "system":
            error = OSError(failed["errno"], text, failed["path"])
        case name:
            # A defect is told by the name of what was raised.
            error = type(name, (Exception,), {})(text)
    error.__cause__ = Traceback(f"\n{failed['traceback']}")
    return error
