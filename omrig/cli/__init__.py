"""The command line: one module a command; here one is chosen, and what failed is said."""

import sys
import traceback
from collections.abc import Sequence

from omrig.cli import streams
from omrig.model.errors import RunError, UsageError, in_words

INCOMPLETE, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (the process' arguments) and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    streams.prepare()
    try:
        status = _dispatch(arguments)
        with streams.shown():
            return status
    except (UsageError, streams.OutputError) as error:
        return _fail(error, arguments, USAGE)
    except RunError as error:
        return _fail(error, arguments, INCOMPLETE)
    except KeyboardInterrupt as error:
        # Who knows what there is says so.
        return _fail(error, arguments, INTERRUPTED, str(error) or "interrupted")
    except OSError as error:
        # What is refused once the load is over is a RunError.
        return _fail(error, arguments, USAGE, in_words(error))
    except Exception as error:  # noqa: BLE001 - a defect of omrig: told in a line, shown by --debug
        from omrig.model import redaction

        said = redaction.redact(f"{type(error).__name__}: {error}")
        text = f"defect: {said} (--debug shows where; please report it)"
        return _fail(error, arguments, INCOMPLETE, text)


def _dispatch(arguments: list[str]) -> int:
    """Run the command; the exit status, also of ``--help`` and ``--version``."""
    try:
        return _command(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def _command(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command == "report":
        from omrig.cli import report

        return report.main(arguments[1:])
    if command == "compare":
        from omrig.cli import compare

        return compare.main(arguments[1:])
    if command == "ab":
        from omrig.cli import ab

        return ab.main(arguments[1:])
    if command == "clean":
        from omrig.cli import clean

        return clean.main(arguments[1:])
    if command == "targets":
        from omrig.cli import targets

        return targets.main(arguments[1:])
    from omrig.cli import run

    return run.main(arguments)


def _fail(error: BaseException, arguments: list[str], status: int, text: str = "") -> int:
    from omrig.model import redaction

    if "-d" in arguments or "--debug" in arguments:
        shown = redaction.redact("".join(traceback.format_exception(error)))
        sys.stderr.write(redaction.mask_arguments(shown, arguments))
    line = redaction.mask_arguments(" ".join((text or str(error)).split()), arguments)
    sys.stderr.write(f"omrig: {line}\n")
    return status
