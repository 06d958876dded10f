"""What becomes of a recording when it has ended: accounted, written, shown."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import streams
from omrig.model import errors
from omrig.model.errors import RunError
from omrig.recordings.folder import RESULT

if TYPE_CHECKING:
    from omrig.model.service import ServiceResult


def settle(recording: Path) -> "ServiceResult":
    """Account for the recording, and write its result and its page.

    Raises ``RunError`` where something cannot be written, and ``KeyboardInterrupt``, which says
    what there is.
    """
    from omrig.accounting.services import result as accounting

    again = f"the recording is over, it is in {recording}: omrig report {recording} shows it"
    try:
        result = accounting.account(recording)
        keep(recording, result)
    except OSError as error:
        raise RunError(f"{errors.in_words(error)}; {again}") from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; {again}") from error
    return result


def keep(recording: Path, result: "ServiceResult") -> None:
    """Write the result of a recording and its page into it. Raises ``OSError``."""
    from omrig.recorder import folder, owner
    from omrig.recordings import writer
    from omrig.report.html.services import page

    drawn = page.text(result)
    with folder.private(), owner.of(recording):
        writer.write_json(recording / RESULT, result.to_json())
        with writer.writing(recording / page.PAGE) as file:
            file.write(drawn)


def show(recording: Path, result: "ServiceResult") -> None:
    """Print the report; what of it is missing is said on standard error.

    Raises ``RunError`` where standard output takes no more.
    """
    from omrig.report.terminal import services

    try:
        with streams.shown():
            services.show(result, None)
    except streams.OutputError as error:
        raise RunError(
            f"the recording is over, it is in {recording}; report not shown: {error};"
            f" omrig report {recording} shows it"
        ) from error
    finally:
        if not result.complete:
            sys.stderr.write(f"omrig: incomplete: {result.reason}\n")
