"""The measured processes as their parent sees them: started fresh, heard, stopped."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from omrig.model import events, interpreter, redaction
from omrig.model.errors import Losses
from omrig.model.plan import Plan
from omrig.recordings import writer
from omrig.supervisor.display import Display
from omrig.supervisor.place import Ear, Placed

LOG = "log.txt"

_ERROR = re.compile(r"^\S+ \S+ \d+ ERROR \S+ (?:\[[0-9a-f-]{36}\] )?(.*)")
_LONGEST_ERROR = 400

_TRACEBACK = "Traceback (most recent call last):"


class Child(Placed):
    """One measured process, which runs ``module``, and the last it said."""

    def __init__(self, plan: Plan, folder: Path, module: str = "omrig.measured.process") -> None:
        super().__init__(plan)
        self._asked = False
        self._writing = threading.Lock()
        self._plan = plan
        self._log = folder / self.name / LOG
        read, write = os.pipe()
        # A session of its own: a Ctrl-C in the terminal goes to the parent alone.
        self._process = subprocess.Popen(
            interpreter.command(
                module,
                self.name,
                plan.load.executor,
                str(write),
                str(os.getpid()),
            ),
            env=interpreter.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(write,),
            start_new_session=True,
        )
        os.close(write)
        self._events = os.fdopen(read, encoding="utf-8")

    def listen(self, said: Ear) -> None:
        """Put whatever the child says into ``said`` and its output into its log."""
        threading.Thread(target=self._pump_events, args=(said,), daemon=True).start()
        self._pump = threading.Thread(target=self._pump_log, daemon=True)
        self._pump.start()

    def send_plan(self) -> None:
        """Let the child begin."""
        if self._process.stdin is not None:
            self.began = True
            self._write(self._plan.to_json() + "\n")

    def tell(self, event: events.Ask | events.Answer) -> None:
        """Have it hear a question or an answer."""
        self._write(events.encode(event))

    def _write(self, line: str) -> None:
        if self._process.stdin is None:
            return
        # It died: its end is an event of its own.
        with contextlib.suppress(BrokenPipeError), self._writing:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Have it hear nothing more: a child that has not begun ends."""
        if self._process.stdin is not None:
            # What it did not take any more is lost with it.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.stdin = None

    @property
    def is_heard(self) -> bool:
        """Whether it hears what it is told."""
        return self.began and self._process.stdin is not None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to write its results and end; asking again changes nothing."""
        if self.running and not self._asked:
            self._asked = True
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once and wait for it."""
        if self.running:
            self._process.kill()
        self._process.wait()

    def ended(self, timeout_s: float) -> int | None:
        """Its exit status, None when it has not ended within ``timeout_s``."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._pump.join(1.0)
        return status

    def last_words(self) -> str:
        """What it died of, as its log has it: the exception, else the last line."""
        lines = self._lines()
        return _exception(lines) or (lines[-1] if lines else "no output")

    def last_error(self) -> str:
        """The last line of its log that tells of an error, without what every line begins with."""
        lines = self._lines()
        told = [found[1] for line in lines if (found := _ERROR.search(line))]
        return told[-1][:_LONGEST_ERROR] if told else ""

    def _lines(self) -> list[str]:
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return text.strip().splitlines()

    def _pump_events(self, said: Ear) -> None:
        with self._events:
            for line in self._events:
                # The last one of a child that was killed may be half a line.
                if line.endswith("\n"):
                    said.put((self, line))
        said.put((self, None))

    def _pump_log(self) -> None:
        if self._process.stdout is None:
            return
        losses = Losses(self._log.parent)
        with self._process.stdout as output:
            for raw in output:
                line = redaction.redact(raw.decode(errors="replace"))
                # Read on even so: a child that cannot write stands still.
                with losses.noted():
                    writer.append(self._log, line.encode())
                if self._plan.output.debug:
                    sys.stderr.write(line)
        if losses:
            sys.stderr.write(f"omrig: {self.name}: lines are missing in its {losses}\n")


def _exception(lines: list[str]) -> str | None:
    """The line that ends the last traceback: what is written after it may be about anything."""
    begins = [number for number, line in enumerate(lines) if line == _TRACEBACK]
    ends = (line for line in lines[begins[-1] + 1 :] if line[:1].strip()) if begins else ()
    return next(iter(ends), None)


def stop_all(children: Sequence[Placed], patience_s: float) -> None:
    """Ask all to end, wait ``patience_s`` for them together, then kill."""
    deadline = time.monotonic() + patience_s
    for child in children:
        child.stop()
    for child in children:
        if child.ended(max(0.0, deadline - time.monotonic())) is None:
            child.kill()


class Here:
    """This host, as a place for measured processes."""

    is_here = True

    def start(self, plan: Plan, folder: Path) -> Child:
        """A child of this process."""
        return Child(plan, folder)

    def ahead_s(self) -> None:
        """A pipe takes no time to speak of."""

    def processors(self) -> Mapping[str, float]:
        """None: who supervises them samples them."""
        return MappingProxyType({})

    def bring(self, folder: Path, display: Display, losses: Losses) -> None:
        """Nothing: it is all there."""

    def fleet(self) -> None:
        """There is none."""


HERE = Here()
"""Where measured processes are unless there is a fleet."""
