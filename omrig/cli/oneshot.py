"""``omrig exec --record``: a program that is recorded from its first message until it ends."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import recorded
from omrig.model.errors import RunError

if TYPE_CHECKING:
    from omrig.report.terminal.recording import Quiet


def run(program: str, command: Sequence[str], place: Path, environment: Mapping[str, str]) -> int:
    """Run the file ``program``, record it in ``place``, and report on standard error.

    ``command`` is its name and its arguments, ``environment`` that of a program under ``omrig
    exec`` in ``place``. The exit status is the program's, and so is standard output. Raises
    ``UsageError`` where it cannot be started.
    """
    from omrig.recorder import folder, oneshot
    from omrig.recorder.session import Wanted
    from omrig.report.terminal.recording import Lines

    place = folder.checked(str(place), "--run")
    display = Lines()
    ended = oneshot.run(program, command, place, environment, Wanted(), display)
    if ended.about is None:
        return ended.status
    if ended.is_empty:
        display.tell(f"nothing was recorded: {command[0]} made no AMQP connection")
        return ended.status
    _report(ended.folder, display)
    return ended.status


def _report(recording: Path, display: "Quiet") -> None:
    """Account for the recording and show it; what fails is told, the program has ended well."""
    try:
        result = recorded.settle(recording)
        with contextlib.redirect_stdout(sys.stderr):
            recorded.show(recording, result)
    except RunError as error:
        display.tell(str(error))
