"""``omrig -p``, ``omrig -c`` and ``omrig run``: the arguments of a run."""

import argparse
import datetime
import json
import sys
import traceback
import uuid
from pathlib import Path
from typing import Any

import omrig
from omrig.cli import INCOMPLETE, INTERRUPTED, streams
from omrig.cli.options import TRANSPORT, Parser, add_fields, count, given, transport
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import DEFAULT_MESSAGES, SIDES, Load, Output, Plan, Profiling, Where
from omrig.supervisor.interrupts import Interrupts

_ABOUT = """\
Load oslo.messaging and learn where the time of a message went.

  omrig run -m 5000              both sides on this host; without a configured transport it
                                 starts a RabbitMQ of its own
  omrig -c 100000                a consumer (RPC server) that takes 100000 messages
  omrig -p -m 20000 -s 10 -w 100 a producer (RPC client) with 100 workers
  omrig report RUN               show a run again
  omrig report PRODUCER CONSUMER show the two sides of one run together
  omrig compare BASE NEW         two runs, or two folders of runs, beside each other
  omrig clean                    delete what killed runs left on the broker
  omrig targets                  list the functions that delimit the stages
"""


def main(arguments: list[str]) -> int:
    """Run what ``arguments`` ask for; the exit status."""
    both = arguments[:1] == ["run"]
    parser = make_parser(both)
    options = parser.parse_args(arguments[1:] if both else arguments)
    plan = make_plan(options, both)
    return _run(plan, options)


def make_parser(both: bool) -> Parser:
    """The parser of ``omrig run`` when ``both``, else of ``omrig -p`` and ``omrig -c``."""
    parser = Parser(
        prog="omrig run" if both else "omrig",
        description=_ABOUT,
        usage="omrig [run | report | compare | clean | targets] [options]"
        if not both
        else "omrig run [options]",
    )
    parser.add_argument("--version", action="version", version=f"omrig {omrig.__version__}")
    if not both:
        _add_sides(parser)
    add_fields(parser.add_argument_group("load"), Load)
    add_fields(parser.add_argument_group("profiling"), Profiling)
    add_fields(parser.add_argument_group(TRANSPORT), Where)
    _add_output(parser)
    return parser


def _add_sides(parser: Parser) -> None:
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


def _add_output(parser: Parser) -> None:
    output = parser.add_argument_group("output")
    add_fields(output, Output, without=("debug",))
    output.add_argument("--json", action="store_true", help="print result.json, nothing else")
    output.add_argument("--quiet", action="store_true", help="show no progress")
    output.add_argument(
        "--shared-assets",
        action="store_true",
        help="put plotly's script beside report.html, not into it (5 MB less a page)",
    )
    add_fields(output, Output, without=("folder",))


def make_plan(options: argparse.Namespace, both: bool) -> Plan:
    """The plan that parsed options ask for.

    Raises ``UsageError`` when they contradict each other.
    """
    sides = SIDES if both else _side(options)
    return Plan(
        sides=sides,
        run_id=uuid.uuid4().hex,
        load=Load(**given(options, Load) | {"messages": _messages(options, sides, both)}),
        profiling=Profiling(**given(options, Profiling)),
        transport=transport(options),
        output=Output(**{"folder": _default_output(sides)} | given(options, Output)),
    )


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


def _messages(options: argparse.Namespace, sides: tuple[str, ...], both: bool) -> int | None:
    own: int | None = None if both else (options.producer or options.consumer or None)
    asked: int | None = options.message_count
    if own and asked and own != asked:
        flag = "-p" if sides == ("producer",) else "-c"
        raise UsageError(f"{flag} {own} and -m {asked}: the counts differ; give one of them")
    return own or asked or (None if sides == ("consumer",) else DEFAULT_MESSAGES)


def _default_output(sides: tuple[str, ...]) -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"omrig-runs/{now}-{'-'.join(sides)}"


def _run(plan: Plan, options: argparse.Namespace) -> int:
    from omrig.recordings import folder as run_folder
    from omrig.report.terminal import progress, run
    from omrig.supervisor import supervisor

    shown = progress.make(plan.load.messages, options.quiet, plan.output.debug)
    interrupts = Interrupts()
    with interrupts.handled():
        try:
            folder, result, _ = supervisor.run(plan, shown, interrupts=interrupts)
        finally:
            shown.close()
        drawn = _draw(folder, result, options)
    try:
        with streams.shown():
            if options.json:
                print(json.dumps(result, indent=1))
            else:
                run.show(folder, run_folder.read_json(folder / run_folder.RUN), result)
    except streams.OutputError as error:
        what = "result" if options.json else "report"
        raise RunError(
            f"the load is over, the results are in {folder}; {what} not shown: {error};"
            f" omrig report {folder} shows it"
        ) from error
    finally:
        if not result["complete"]:
            sys.stderr.write(f"omrig: incomplete: {result['reason']}\n")
    if interrupts.count:
        return INTERRUPTED
    return 0 if result["complete"] and drawn else INCOMPLETE


def _draw(folder: Path, result: dict[str, Any], options: argparse.Namespace) -> bool:
    """Draw the page, and whether it is there; the run is measured, and is not lost with it."""
    from omrig.accounting import assemble

    try:
        text = str(assemble.draw(folder, result, options.shared_assets))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, it is told
        if options.debug:
            traceback.print_exc()
        text = " ".join(f"report.html: {type(error).__name__} {error}".split())
        if isinstance(error, KeyboardInterrupt):
            text = "interrupted"
    if text:
        sys.stderr.write(
            f"omrig: not drawn: {text}; the load is over, its results are in {folder}:"
            f" omrig report {folder} --html tries again\n"
        )
    return not text
