"""The command line: one module a command; here one is chosen, and what failed is said."""

import sys
import traceback
from collections.abc import Sequence

from omrig.errors import RunError, UsageError

INCOMPLETE, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (the process' arguments) and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except UsageError as error:
        return _fail(error, arguments, USAGE)
    except RunError as error:
        return _fail(error, arguments, INCOMPLETE)
    except KeyboardInterrupt as error:
        return _fail(error, arguments, INTERRUPTED, "interrupted before the load; nothing measured")
    except BrokenPipeError:
        # The reader of our output has gone: `omrig report RUN | head`.
        sys.stderr.close()
        return INCOMPLETE
    except Exception as error:  # noqa: BLE001 - a defect of omrig: told in a line, shown by --debug
        from omrig import redaction

        said = redaction.redact(f"{type(error).__name__}: {error}")
        text = f"defect: {said} (--debug shows where; please report it)"
        return _fail(error, arguments, INCOMPLETE, text)


def _dispatch(arguments: list[str]) -> int:
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
    if command == "targets":
        from omrig.cli import targets

        return targets.main(arguments[1:])
    from omrig.cli import run

    return run.main(arguments)


def _fail(error: BaseException, arguments: list[str], status: int, text: str = "") -> int:
    from omrig import redaction

    if "-d" in arguments or "--debug" in arguments:
        shown = redaction.redact("".join(traceback.format_exception(error)))
        sys.stderr.write(redaction.mask_arguments(shown, arguments))
    line = redaction.mask_arguments(" ".join((text or str(error)).split()), arguments)
    sys.stderr.write(f"omrig: {line}\n")
    return status
