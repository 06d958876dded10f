"""A program that is recorded from before its first message until it ends."""

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.model.recorded import About
from omrig.recorder import session
from omrig.recorder.display import Display

_PASSED_ON = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_WAITED_FOR = _PASSED_ON | {signal.SIGCHLD}

_OF_KERNEL = 128
"""``si_code`` of a signal that the terminal sent: every process in front of it has it already."""

_BY_SIGNAL = 128
"""What shells add to the number of the signal that ended a program."""

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How the program ended, and what was recorded of it; ``about`` is None where that failed.

    It ``is_empty`` where no process was recorded.
    """

    status: int
    folder: Path
    about: About | None
    is_empty: bool = False


def run(
    program: str,
    command: Sequence[str],
    place: Path,
    environment: Mapping[str, str],
    wanted: session.Wanted,
    display: Display,
) -> Ended:
    """Run the file ``program`` in ``environment``, and record it in ``place`` until it ends.

    ``command`` is its name and its arguments. It has our standard streams, and the signals that we
    get are passed on to it. It goes on where the recording fails. Raises ``UsageError`` where it
    cannot be started, or somebody records in ``place``, and ``OSError`` before it was started.
    """
    umask = os.umask(0)
    os.umask(umask)
    with _blocked() as mask, session.recording(place, wanted, display) as recorder:
        pid = _start(program, command, environment, mask, umask)
        status, failure = _until_ended(pid, recorder)
        about = None
        try:
            about = recorder.end(failure)
        except OSError as error:
            failure = errors.in_words(error)
        if failure:
            display.tell(f"not recorded to its end: {failure}")
    return Ended(status=status, folder=recorder.folder, about=about, is_empty=recorder.is_empty)


@contextlib.contextmanager
def _blocked() -> Iterator[set[int]]:
    """Signals wait for :func:`_until_ended` in the block, which gets what was blocked before."""
    before = {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)}
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(
    program: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    mask: set[int],
    umask: int,
) -> int:
    """Start the program as it would be without us; its pid."""
    ours = os.umask(umask)
    try:
        return os.posix_spawn(
            program, list(command), environment, setsigmask=mask, setsigdef=_IGNORED_BY_PYTHON
        )
    except OSError as error:
        raise UsageError(f"{program}: {errors.reason(error)}") from error
    finally:
        os.umask(ours)


def _until_ended(pid: int, recorder: session.Recorder) -> tuple[int, str]:
    """Record until the program ends; its exit status, and why the recording failed or nothing."""
    failure, ticked_at = "", 0.0
    while True:
        info = signal.sigtimedwait(_WAITED_FOR, session.TICK_S)
        if info is not None and info.si_signo in _PASSED_ON and info.si_code != _OF_KERNEL:
            os.kill(pid, info.si_signo)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return (code if code >= 0 else _BY_SIGNAL - code), failure
        if failure or time.monotonic() - ticked_at < session.TICK_S / 2:
            continue
        ticked_at = time.monotonic()
        try:
            recorder.tick()
        except OSError as error:
            failure = errors.in_words(error)
