"""Programs of services, as somebody starts them: with a configuration, in a folder, with a log."""

import contextlib
import dataclasses
import os
import signal
import string
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from tests.services.environments import HERE

READY_SECONDS = 60.0

STOP_SECONDS = 60.0
"""Longer than a service waits for what it is at when it is told to end."""

Prefix = Callable[[str], Sequence[str]]
"""What stands before a program of this name on its command line."""


def bare(_name: str) -> Sequence[str]:
    """Nothing: the service alone."""
    return ()


@dataclasses.dataclass(frozen=True)
class Program:
    """A running program, its first process, and what it has written so far."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Its standard output and error."""
        return self.log.read_text()

    def workers(self) -> list[psutil.Process]:
        """The processes that it has forked."""
        return psutil.Process(self.process.pid).children()

    def stop(self) -> int:
        """Ask it to end, and wait: its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def configure(folder: Path, service: str, **values: object) -> Path:
    """Write a service's configuration into ``folder``, readable by its owner alone."""
    text = string.Template((HERE / f"{service}.conf").read_text())
    path = folder / f"{service}.conf"
    path.touch(mode=0o600)
    path.write_text(text.substitute(values, folder=folder))
    return path


def run(command: Sequence[str], folder: Path) -> None:
    """Run a program to its end. Raises ``RuntimeError`` with what it said where it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}")


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str],
    folder: Path,
    *,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[Program]:
    """Run ``command`` in ``folder`` for the length of the block; nothing of it is left then.

    Its own session keeps away what is meant for the tests' terminal.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    program = Program(name, process, log)
    try:
        yield program
    finally:
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.stop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()


def wait(ready: Callable[[], bool], *programs: Program) -> None:
    """Wait until ``ready()``. Raises ``RuntimeError`` with a log where a program ends before."""
    end = time.monotonic() + READY_SECONDS
    while not ready():
        for program in programs:
            if program.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{program.name} is not ready:\n{program.said()[-3000:]}")
        time.sleep(0.1)


def _environment() -> dict[str, str]:
    """That of the tests without what makes another Python than the service's."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
