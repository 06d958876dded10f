"""``omrig exec --record``: a program that is recorded from its first message until it ends."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from omrig.cli import recorded
from omrig.model.errors import RunError
from omrig.recorder.session import NOTHING_RECORDED, Wanted


def run(
    program: str,
    command: Sequence[str],
    place: Path,
    environment: Mapping[str, str],
    wanted: Wanted | None = None,
    quiet: bool = False,
) -> int:
    """Run the file ``program``, record it in ``place``, and report on standard error.

    ``command`` is its name and its arguments, ``environment`` that of a program under ``omrig
    exec`` in ``place``. The exit status is the program's, and so is standard output. Raises
    ``UsageError`` where it cannot be started.
    """
    from omrig.recorder import folder, oneshot
    from omrig.report.terminal import recording as progress

    place = folder.checked(str(place), "--run")
    display = progress.Quiet() if quiet else progress.Lines()
    ended = oneshot.run(program, command, place, environment, wanted or Wanted(), display)
    if ended.about is None:
        return ended.status
    if ended.about.reason == NOTHING_RECORDED:
        display.tell(f"{command[0]}: nothing was recorded: it made no AMQP connection")
        return ended.status
    try:
        result = recorded.settle(ended.folder)
        with contextlib.redirect_stdout(sys.stderr):
            recorded.show(ended.folder, result)
    except RunError as error:
        display.tell(str(error))
    return ended.status
