"""Here a command is chosen and run, and what failed is said."""

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from omrig import cli
from omrig.cli import streams
from omrig.cli.options import Parser
from omrig.model.errors import RunError, UsageError, in_words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (the process' arguments) and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    streams.prepare()
    try:
        status = _dispatch(arguments)
        with streams.shown():
            return status
    except (UsageError, streams.OutputError) as error:
        return _fail(error, arguments, cli.USAGE)
    except RunError as error:
        return _fail(error, arguments, cli.INCOMPLETE)
    except KeyboardInterrupt as error:
        # Where it went through the exec() of a string, as where a dataclass is made, CPython ends
        # the process by SIGINT though it is caught here, unless another exec() went well since.
        exec("")  # noqa: S102
        # Who knows what there is says so.
        return _fail(error, arguments, cli.INTERRUPTED, str(error) or "interrupted")
    except OSError as error:
        # What is refused once the load is over is a RunError.
        return _fail(error, arguments, cli.USAGE, in_words(error))
    except Exception as error:  # noqa: BLE001 - a defect of omrig: told in a line, shown by --debug
        from omrig.model import redaction

        said = redaction.redact(f"{type(error).__name__}: {error}")
        text = f"defect: {said} (--debug shows where; please report it)"
        return _fail(error, arguments, cli.INCOMPLETE, text)


def execute(name: str, arguments: Sequence[str]) -> int:
    """Run the command called ``name``; the exit status.

    Raises ``UsageError`` for arguments that it does not take, and what the command raises.
    """
    own = list(arguments)
    rest: list[str] = []
    if cli.COMMANDS[name].has_rest and "--" in own:
        at = own.index("--")
        own, rest = own[:at], own[at:]
    module, options = parsed(name, own)
    options.rest = rest
    return int(module.run(options))


def parsed(name: str, arguments: Sequence[str]) -> tuple[ModuleType, argparse.Namespace]:
    """The module of the command called ``name``, and what its ``arguments`` say.

    Raises ``UsageError`` for arguments that it does not take.
    """
    scenario = None
    if cli.COMMANDS[name].has_scenarios:
        from omrig.cli import scenarios

        scenario = scenarios.named(arguments)
    if scenario is None:
        module, parser = parser_of(name, arguments)
        return module, parser.parse_args(arguments)
    found = scenarios.read(scenario)
    module, parser = parser_of(name, [*found.modes, *arguments])
    return module, scenarios.parse(parser, found, arguments)


def parser_of(name: str, arguments: Sequence[str]) -> tuple[ModuleType, Parser]:
    """The module of the command called ``name``, and a parser for its ``arguments``.

    Raises ``UsageError`` for a profiler mode among them that cannot be asked for its options.
    """
    command = cli.COMMANDS[name]
    module = importlib.import_module(command.module)
    parser = Parser(prog=f"omrig {name}".strip(), usage=command.usage, description=module.ABOUT)
    module.add_options(parser)
    if command.has_modes:
        module.add_modes(parser, arguments)
    return module, parser


def _dispatch(arguments: list[str]) -> int:
    """Run the command; the exit status, also of ``--help`` and ``--version``."""
    name = arguments[0] if arguments and arguments[0] in cli.COMMANDS else ""
    try:
        return execute(name, arguments[1:] if name else arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def _fail(error: BaseException, arguments: list[str], status: int, text: str = "") -> int:
    from omrig.model import redaction

    if "-d" in arguments or "--debug" in arguments:
        shown = redaction.redact("".join(traceback.format_exception(error)))
        sys.stderr.write(redaction.mask_arguments(shown, arguments))
    line = redaction.mask_arguments(" ".join((text or str(error)).split()), arguments)
    sys.stderr.write(f"omrig: {line}\n")
    command = cli.COMMANDS.get(arguments[0]) if arguments else None
    if command and command.aborts and status != cli.INTERRUPTED:
        given = (each.partition("=")[0] for each in arguments)
        return cli.ABORTED if command.aborts in given else status
    return status
