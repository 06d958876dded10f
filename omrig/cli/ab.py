"""``omrig ab``: two configurations measured in turn on one broker, and compared."""

import argparse
import datetime
import errno
import os
import sys
from pathlib import Path

from omrig import cli
from omrig.cli import streams
from omrig.cli.main import execute, parsed
from omrig.cli.options import Parser, count
from omrig.model.errors import RunError, UsageError, naming
from omrig.model.plan import SIDES, Plan

DEFAULT_PAIRS = 10

ABOUT = """\
Measure two configurations in turn (A B B A A B B A ...) on one broker and compare them: the way to
measure on a machine that is not quiet. A and B are options of omrig run.

  omrig ab -n 10 -- -m 2000 --executor eventlet -- -m 2000 --executor threading
  omrig ab --gate 'p99<=+5%' -- --config-file old.conf -- --config-file new.conf
"""

_NOT_THERE = {
    "--output": "output",
    "--json": "json",
    "--quiet": "quiet",
    "--shared-assets": "shared_assets",
}


def add_options(parser: Parser) -> None:
    """Add what stands before the first ``--``."""
    parser.add_argument(
        "-n",
        "--pairs",
        type=count,
        default=DEFAULT_PAIRS,
        metavar="N",
        help=f"runs of each (default {DEFAULT_PAIRS})",
    )
    parser.add_argument("--output", metavar="DIR", help="default: omrig-runs/<UTC time>-ab")
    parser.add_argument("--gate", action="append", default=[], metavar="GATE", help="as in compare")
    parser.add_argument("--json", nargs="?", const="", metavar="FILE", help="as in compare")
    parser.add_argument("--html", metavar="FILE", help="as in compare")
    parser.add_argument("--junit", metavar="FILE", help="as in compare")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Measure and compare both configurations; the exit status of the comparison."""
    configurations = _split(options.rest)
    if len(configurations) != 2:
        usage = cli.COMMANDS["ab"].usage
        raise UsageError(f"ab: two configurations are needed; use {usage}")
    plans = (_plan("A", configurations[0]), _plan("B", configurations[1]))

    for option in ("json", "html", "junit"):
        _check_file(f"--{option}", getattr(options, option))

    from omrig.cli.run import measure
    from omrig.report.terminal import progress
    from omrig.supervisor import interleaved

    folder = Path(options.output or _default_output())
    debug = plans[0].output.debug or plans[1].output.debug

    def make_display(requested: int | None) -> progress.Progress:
        # Of twenty runs or more nobody reads each step.
        return progress.make(requested, options.quiet or not sys.stderr.isatty(), debug)

    def say(text: str) -> None:
        if not options.quiet:
            sys.stderr.write(f"omrig: {text}\n")

    pairs, interrupted = interleaved.run(plans, options.pairs, folder, measure, make_display, say)
    if pairs < 1:
        raise KeyboardInterrupt("interrupted before there was a pair to compare")
    both = [str(folder / name) for name in interleaved.NAMES]
    try:
        status = execute("compare", [*both, *_passed(options)])
    except (UsageError, streams.OutputError) as error:
        raise RunError(
            f"the runs are over, they are in {folder}; {error};"
            f" omrig compare {' '.join(both)} compares them again"
        ) from error
    return cli.INTERRUPTED if interrupted else status


def _split(rest: list[str]) -> list[list[str]]:
    """The arguments after each ``--``."""
    parts: list[list[str]] = []
    for argument in rest:
        if argument == "--":
            parts.append([])
        else:
            parts[-1].append(argument)
    return parts


def _plan(name: str, arguments: list[str]) -> Plan:
    try:
        module, options = parsed("run", arguments)
        for option, attribute in _NOT_THERE.items():
            if getattr(options, attribute):
                raise UsageError(f"{option}: goes before the first --, it is not of one of the two")
        if options.find_rate:
            raise UsageError("--find-rate: one of two configurations is measured as it is")
        plan: Plan = module.make_plan(options, SIDES)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    return plan


def _check_file(option: str, name: str | None) -> None:
    """Refuse before the runs what cannot be written after them."""
    if not name:
        return
    path = Path(name)
    with naming(option):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        # The message of what is missing, if it is.
        path.absolute().parent.stat()
        if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def _passed(options: argparse.Namespace) -> list[str]:
    passed = [f"--gate={gate}" for gate in options.gate]
    if options.json is not None:
        passed.append(f"--json={options.json}" if options.json else "--json")
    passed += [f"--html={options.html}"] if options.html else []
    return passed + ([f"--junit={options.junit}"] if options.junit else [])


def _default_output() -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"omrig-runs/{now}-ab"
