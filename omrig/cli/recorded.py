"""What becomes of a recording when it has ended: accounted, written, shown."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import streams
from omrig.model import errors
from omrig.model.errors import RunError

if TYPE_CHECKING:
    from omrig.model.service import ServiceResult

_RESULT = "result.json"


def settle(recording: Path) -> "ServiceResult":
    """Account for the recording, and write its result and its page.

    Raises ``RunError`` where something cannot be written, and ``KeyboardInterrupt``, which says
    what there is.
    """
    from omrig.accounting.services import result as accounting
    from omrig.recorder import folder
    from omrig.recordings import writer
    from omrig.report.html.services import page

    again = f"the recording is over, it is in {recording}: omrig report {recording} shows it"
    try:
        with folder.private():
            result = accounting.account(recording)
            writer.write_json(recording / _RESULT, result.to_json())
            page.write(recording, result)
    except OSError as error:
        raise RunError(f"{errors.in_words(error)}; {again}") from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; {again}") from error
    return result


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
