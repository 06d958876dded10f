"""``omrig -p``, ``omrig -c`` and ``omrig run``: the arguments of a run."""

import argparse
import datetime
import json
import sys
import traceback
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import omrig
from omrig.cli import INCOMPLETE, INTERRUPTED, results, streams
from omrig.cli.options import (
    Parser,
    add_mode_option,
    count,
    count_or_none,
    kilobytes,
    mode_value,
    seconds,
)
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import DEFAULT_MESSAGES, DEFAULT_PROJECT, EXECUTORS, PATTERNS, SIDES, Plan
from omrig.model.profiling import (
    BUILT_IN,
    CLOCK,
    GIL,
    NATIVE,
    SAMPLE,
    TARGETS,
    Option,
    Profiling,
    Value,
)
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.model.result import Result
    from omrig.model.run import Run

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
    rest = arguments[1:] if both else arguments
    more = _options_of_other_packages(rest)
    options = make_parser(both, more).parse_args(rest)
    plan = make_plan(options, both, more)
    return _run(plan, options)


def _options_of_other_packages(arguments: list[str]) -> list[Option[Value]]:
    """The options of the modes that ``--profile`` names, where they are not omrig's own."""
    early = Parser(add_help=False)
    early.add_argument("--profile", default="")
    try:
        asked = early.parse_known_args(arguments)[0].profile
    except UsageError:
        # The parser of everything says it with its own name.
        return []
    if not asked:
        return []
    from omrig.measured.profilers import registry

    return registry.options_of(_modes(asked))


def _modes(text: str) -> tuple[str, ...]:
    return tuple(mode.strip() for mode in text.split(","))


def make_parser(both: bool, more: Sequence[Option[Value]] = ()) -> Parser:
    """The parser of ``omrig run`` when ``both``, else of ``omrig -p`` and ``omrig -c``.

    ``more`` are the options of other packages' profiler modes.
    """
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
    _add_load(parser)
    profiling = _add_profiling(parser)
    transport = add_transport(parser)
    transport.add_argument(
        "--topic",
        default="omrig",
        help="where producers and consumers that are started one by one meet (default omrig)",
    )
    transport.add_argument(
        "--yes",
        action="store_true",
        help="send more than 100000 messages unasked to the broker that a service's configuration"
        " names",
    )
    _add_output(parser)
    # Last, so that it is they that are refused where a flag is taken.
    for option in more:
        add_mode_option(profiling, option)
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


def _add_load(parser: Parser) -> None:
    load = parser.add_argument_group("load")
    load.add_argument(
        "-m", "--message_count", type=count, metavar="N", help="messages to send or to take"
    )
    load.add_argument(
        "-s",
        "--message_size",
        type=kilobytes,
        default=10 * 1024,
        metavar="KB",
        help="payload of a message in kilobytes of 1024 bytes (default 10)",
    )
    load.add_argument(
        "-w",
        "--worker_count",
        type=count,
        default=100,
        metavar="N",
        help="workers of the producer, in a closed loop (default 100)",
    )
    load.add_argument("--pattern", default="call", help=_choices(PATTERNS))
    load.add_argument("--executor", default="eventlet", help=_choices(EXECUTORS))
    load.add_argument(
        "--executor-pool-size",
        type=count,
        metavar="N",
        help="threads that serve messages (default: executor_thread_pool_size)",
    )
    load.add_argument(
        "--warmup",
        type=count_or_none,
        default=50,
        metavar="N",
        help="messages sent before the measured ones (default 50)",
    )
    load.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="wait so long for a reply (default: rpc_response_timeout)",
    )
    load.add_argument(
        "--wait",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="wait so long for a consumer (default 30)",
    )
    load.add_argument(
        "--idle",
        type=seconds,
        metavar="SECONDS",
        help="end the consumer when no message came for so long (default: never)",
    )


def _add_profiling(parser: Parser) -> argparse._ArgumentGroup:
    profiling = parser.add_argument_group("profiling")
    profiling.add_argument(
        "--profile",
        default="stages",
        metavar="MODE[,MODE]",
        help="profiler modes: stages (default), yappi, lines, memory, memory-lines (slow), pyspy,"
        " memray, none, and those of plugins; resources are sampled in every run",
    )
    add_mode_option(profiling, SAMPLE)
    profiling.add_argument(
        "--twin",
        action="store_true",
        help="measure what the stages cost: every other slice of the load goes without their"
        " probes (what slower modes cost is measured unasked)",
    )
    rest: tuple[Option[Value], ...] = (CLOCK, GIL, NATIVE, TARGETS)
    for option in rest:
        add_mode_option(profiling, option)
    return profiling


def add_transport(parser: Parser) -> argparse._ArgumentGroup:
    """Add the options that say which broker, and how to get in; the group that they are in."""
    transport = parser.add_argument_group(
        "transport (default: the configuration of nova on this host, else an embedded RabbitMQ)"
    )
    transport.add_argument(
        "--transport-url", metavar="URL", help="driver://user:password@host/vhost"
    )
    transport.add_argument(
        "--config-file", action="append", default=[], metavar="FILE", help="repeatable"
    )
    transport.add_argument(
        "--config-dir", action="append", default=[], metavar="DIR", help="repeatable"
    )
    transport.add_argument(
        "--project",
        metavar="NAME",
        help="service whose configuration is looked for (default nova)",
    )
    return transport


def _add_output(parser: Parser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", metavar="DIR", help="run folder (default omrig-runs/<UTC time>-<side>)"
    )
    output.add_argument("--json", action="store_true", help="print result.json, nothing else")
    output.add_argument("--quiet", action="store_true", help="show no progress")
    output.add_argument(
        "--shared-assets",
        action="store_true",
        help="put plotly's script beside report.html, not into it (5 MB less a page)",
    )
    output.add_argument(
        "-d", "--debug", action="store_true", help="debug log on stderr, tracebacks of errors"
    )


def _choices(values: tuple[str, ...]) -> str:
    return f"{' or '.join(values)} (default {values[0]})"


def make_plan(options: argparse.Namespace, both: bool, more: Sequence[Option[Value]] = ()) -> Plan:
    """The plan that parsed options ask for; ``more`` as for :func:`make_parser`.

    Raises ``UsageError`` when they contradict each other.
    """
    sides = SIDES if both else _side(options)
    return Plan(
        sides=sides,
        run_id=uuid.uuid4().hex,
        messages=_messages(options, sides, both),
        size_bytes=options.message_size,
        workers=options.worker_count,
        warmup=options.warmup,
        pattern=options.pattern,
        executor=options.executor,
        executor_pool_size=options.executor_pool_size,
        timeout_s=options.timeout,
        wait_s=options.wait,
        idle_s=options.idle,
        profiling=Profiling(
            modes=_modes(options.profile),
            twin=options.twin,
            options={each.dest: mode_value(options, each) for each in (*BUILT_IN, *more)},
        ),
        topic=options.topic,
        project=options.project or DEFAULT_PROJECT,
        project_named=options.project is not None,
        config_files=tuple(options.config_file),
        config_dirs=tuple(options.config_dir),
        transport_url=options.transport_url,
        yes=options.yes,
        output=options.output or _default_output(sides),
        debug=options.debug,
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
    from omrig.report.terminal import progress
    from omrig.supervisor import supervisor

    shown = progress.make(plan.messages, options.quiet, plan.debug)
    interrupts = Interrupts()
    with interrupts.handled():
        try:
            folder, result, _ = supervisor.run(
                plan, shown, interrupts=interrupts, account=results.account
            )
        finally:
            shown.close()
        _, run = run_folder.read_run(str(folder), "--output")
        result, drawn = _draw(folder, run, result, options)
    try:
        _show(folder, run, result, options)
    finally:
        if not result.complete:
            sys.stderr.write(f"omrig: incomplete: {result.reason}\n")
    if interrupts.count:
        return INTERRUPTED
    return 0 if result.complete and drawn else INCOMPLETE


def _draw(
    folder: Path, run: "Run", result: "Result", options: argparse.Namespace
) -> "tuple[Result, bool]":
    """Draw the page, and whether it is there; the run is measured, and is not lost with it."""
    from omrig.report.files import listed

    try:
        result, losses = listed.draw(folder, run, result, options.shared_assets)
        text = str(losses)
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
    return result, not text


def _show(folder: Path, run: "Run", result: "Result", options: argparse.Namespace) -> None:
    from omrig.report.terminal import run as terminal

    try:
        with streams.shown():
            if options.json:
                print(json.dumps(result.to_json(), indent=1))
            else:
                terminal.show(folder, run, result)
    except streams.OutputError as error:
        what = "result" if options.json else "report"
        raise RunError(
            f"the load is over, the results are in {folder}; {what} not shown: {error};"
            f" omrig report {folder} shows it"
        ) from error
