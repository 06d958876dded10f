"""``omrig run``: both sides on this host, and what a run of either is made of."""

import argparse
import contextlib
import datetime
import json
import sys
import traceback
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli import results, scenarios, streams
from omrig.cli.options import (
    TRANSPORT,
    Parser,
    add_fields,
    add_mode_option,
    add_version,
    given,
    load,
    profiling,
    transport,
)
from omrig.model.errors import RunError, UsageError
from omrig.model.load import DEFAULT_MESSAGES, Load
from omrig.model.notifications import Notifications
from omrig.model.pace import Pace
from omrig.model.plan import SIDES, Output, Plan, Where
from omrig.model.profiling import BUILT_IN, SAMPLE, Option, Profiling, Value
from omrig.model.software import Software
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.model.result import Result
    from omrig.model.run import Run
    from omrig.supervisor.brokers import Measure
    from omrig.supervisor.display import Display
    from omrig.supervisor.recorded import Recorded

_EXAMPLES = "".join(
    f"  {f'omrig {arguments}' if arguments else '':<31}{text}\n"
    for command in cli.COMMANDS.values()
    for arguments, text in command.examples
)

ABOUT = f"""\
Load oslo.messaging and learn where the time of a message went.

{_EXAMPLES}"""


def add_options(parser: Parser) -> None:
    """Add the options of both sides."""
    add_version(parser)
    scenarios.add_option(parser)
    add_plan(parser)
    parser.add_argument_group("search").add_argument(
        "--find-rate",
        metavar="GATE",
        help="find the highest rate at which GATE is kept, for example 'p99<50ms': runs in turn,"
        " each of --duration (default 5 s, and as many messages as its percentile needs)",
    )


def add_plan(parser: Parser) -> None:
    """Add the options that a Plan is made of, and how it is shown."""
    load = parser.add_argument_group("load")
    add_fields(load, Load)
    add_fields(load, Pace)
    add_fields(parser.add_argument_group("notifications (--pattern notify)"), Notifications)
    _add_profiling(parser)
    add_fields(parser.add_argument_group(TRANSPORT), Where)
    add_fields(parser.add_argument_group("versions"), Software)
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


def _add_profiling(parser: Parser) -> None:
    group = parser.add_argument_group("profiling")
    add_fields(group, Profiling, without=("twin",))
    add_mode_option(group, SAMPLE)
    add_fields(group, Profiling, without=("modes",))
    for option in BUILT_IN:
        if option is not SAMPLE:
            add_mode_option(group, option)


def add_modes(parser: Parser, arguments: Sequence[str]) -> None:
    """Add the options of the modes that ``--profile`` names, where they are not omrig's own.

    After all others, so that it is they that are refused where a flag is taken.
    """
    found = _options_of_other_packages(arguments)
    if found:
        group = parser.add_argument_group("modes of other packages")
        for option in found:
            add_mode_option(group, option)
    parser.set_defaults(mode_options=found)


def _options_of_other_packages(arguments: Sequence[str]) -> list[Option[Value]]:
    early = Parser(add_help=False)
    early.add_argument("--profile", default="")
    try:
        asked = early.parse_known_args(list(arguments))[0].profile
    except UsageError:
        # The parser of everything says it with its own name.
        return []
    if not asked:
        return []
    from omrig.measured.profilers import registry

    return registry.options_of([mode.strip() for mode in asked.split(",")])


def run(options: argparse.Namespace) -> int:
    """Measure both sides and show them; the exit status."""
    if options.find_rate:
        from omrig.cli import find_rate

        return find_rate.run(options, make_plan, measure)
    return measure_and_show(make_plan(options, SIDES), options)


def make_plan(
    options: argparse.Namespace,
    sides: tuple[str, ...],
    asked: int | None = None,
    default: int | None = DEFAULT_MESSAGES,
) -> Plan:
    """The plan that parsed options ask for.

    ``asked`` is how many messages a side's own option asks for, ``default`` how many they are where
    nothing says it. Raises ``UsageError`` when options contradict each other.
    """
    chosen = given(options, Load)
    pace = Pace(**given(options, Pace))
    if "producer" not in sides and pace != Pace():
        raise UsageError(
            "--rate, --ramp, --duration and --think-time are of who sends; give them to the"
            " producer"
        )
    messages = pace.messages(chosen.get("messages", asked), default)
    with scenarios.naming_keys(options):
        return Plan(
            sides=sides,
            run_id=uuid.uuid4().hex,
            load=load(options, messages),
            pace=pace,
            notifications=Notifications(**given(options, Notifications)),
            # Of whose messages how many are kept a consumer alone does not know.
            profiling=profiling(options, messages if "producer" in sides else None),
            transport=transport(options),
            software=Software(**given(options, Software)),
            output=Output(**{"folder": _default_output(sides)} | given(options, Output)),
        )


def _default_output(sides: tuple[str, ...]) -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"omrig-runs/{now}-{'-'.join(sides)}"


def measure_and_show(
    plan: Plan, options: argparse.Namespace, measured: "Measure | None" = None
) -> int:
    """Plan, supervise, account, write, show; the exit status.

    ``measured`` does what the plan says, :func:`measure` where it is None.
    """
    from omrig.recordings import folder as run_folder
    from omrig.report.terminal import progress

    interrupts = Interrupts()
    with interrupts.handled():
        shown = progress.make(plan.load.messages, options.quiet, plan.output.debug)
        with contextlib.closing(shown) as display:
            folder, result = (measured or measure)(plan, display, interrupts, None)
        with interrupts.deferring():
            _, run = run_folder.read_run(str(folder), "--output")
        result, is_drawn = draw(folder, run, result, options)
    show(folder, run, result, options)
    if interrupts.count:
        return cli.INTERRUPTED
    return 0 if result.complete and is_drawn else cli.INCOMPLETE


def measure(
    plan: Plan, display: "Display", interrupts: Interrupts, broker: "Embedded | None" = None
) -> "tuple[Path, Result]":
    """Do what ``plan`` says and account for it: the run folder and the result, which is in it.

    ``broker`` is used where one would be started; ``interrupts`` are handled by the caller. Raises
    ``UsageError`` before anything is measured, ``RunError`` where there can be no result, and
    :class:`KeyboardInterrupt` when interrupted before the load.
    """
    from omrig.supervisor import run as supervisor

    if plan.software.has_environment:
        from omrig.cli import environments

        recorded = environments.run_in_one(plan, display, interrupts, broker)
    else:
        recorded = supervisor.run(plan, display, interrupts, broker)
    return recorded.folder, accounted(recorded, interrupts)


def accounted(recorded: "Recorded", interrupts: Interrupts) -> "Result":
    """The result of what was recorded, which is in its folder; raises as :func:`measure` does."""
    from omrig.supervisor.recorded import after_load

    with after_load(recorded.folder), interrupts.deferring():
        result = results.account(recorded.folder, recorded.losses, recorded.ended)
    _refuse(recorded, result)
    return result


def _refuse(recorded: "Recorded", result: "Result") -> None:
    """Raise the ``UsageError`` of a measured process, if nothing came of it."""
    ended = recorded.ended
    if not (ended and ended.bad_usage and ended.ended_because):
        return
    if not (result.messages.sent or result.messages.received):
        raise UsageError(ended.ended_because)


def draw(
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


def show(folder: Path, run: "Run", result: "Result", options: argparse.Namespace) -> None:
    """Show the result, and say what is missing in it."""
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
    finally:
        if not result.complete:
            sys.stderr.write(f"omrig: incomplete: {result.reason}\n")
