"""``omrig -p`` and ``omrig -c``: one side of a run."""

import argparse

from omrig.cli import run as both
from omrig.cli.options import Parser, add_version, count
from omrig.model.errors import UsageError
from omrig.model.load import DEFAULT_MESSAGES

ABOUT = both.ABOUT

add_modes = both.add_modes


def add_options(parser: Parser) -> None:
    """Add the options of one side."""
    add_version(parser)
    sides = parser.add_argument_group("side (one of)")
    sides.add_argument(
        "-p",
        "--producer",
        nargs="?",
        type=count,
        const=0,
        metavar="N",
        help=f"send N messages (default {DEFAULT_MESSAGES})",
    )
    sides.add_argument(
        "-c",
        "--consumer",
        nargs="?",
        type=count,
        const=0,
        metavar="N",
        help="take N messages (default: until stopped)",
    )
    both.add_plan(parser)


def run(options: argparse.Namespace) -> int:
    """Measure one side and show it; the exit status."""
    sides = _side(options)
    default = DEFAULT_MESSAGES if sides == ("producer",) else None
    plan = both.make_plan(options, sides, _messages(options, sides), default)
    return both.measure_and_show(plan, options)


def _side(options: argparse.Namespace) -> tuple[str, ...]:
    if options.producer is not None and options.consumer is not None:
        raise UsageError(
            "-p and -c: one command is one side; start two, or use `omrig run` for both"
        )
    if options.producer is None and options.consumer is None:
        raise UsageError(
            "no side given: use -p (producer) or -c (consumer), or `omrig run` for both;"
            " see omrig --help"
        )
    return ("producer",) if options.consumer is None else ("consumer",)


def _messages(options: argparse.Namespace, sides: tuple[str, ...]) -> int | None:
    own: int | None = options.producer or options.consumer or None
    asked: int | None = options.message_count
    if own and asked and own != asked:
        flag = "-p" if sides == ("producer",) else "-c"
        raise UsageError(f"{flag} {own} and -m {asked}: the counts differ; give one of them")
    return own or asked
