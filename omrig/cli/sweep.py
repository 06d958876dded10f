"""``omrig sweep``: an option at several levels, or a grid of options, measured on one broker."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli import experiments, factors, streams
from omrig.cli.options import Parser, count, percent
from omrig.compare import metrics
from omrig.experiment import journal, sequential, trials
from omrig.experiment.factors import grid
from omrig.experiment.journal import Journal, Rule
from omrig.experiment.points import Points
from omrig.experiment.trials import Configuration
from omrig.model.errors import RunError, UsageError, naming
from omrig.model.sweep import Factor
from omrig.recordings import writer

if TYPE_CHECKING:
    from omrig.model.sweep import Sweep

DEFAULT_ROUNDS = 6

RESULT = "sweep.json"
"""What was found, in the folder of the runs."""

_STDOUT = "-"

ABOUT = """\
Measure an option at several levels, or a grid of options, in rounds (each point once a round in
random order) on one broker: which level is best for this load, from where on nothing is gained, and
why. What follows -- are options of omrig run.

  omrig sweep --set executor_thread_pool_size=2,4,8,16,32 -- -m 500 -w 32 --endpoint sleep:10ms
  omrig sweep --set rpc_conn_pool_size=2,8,30 --vary executor=eventlet,threading -- -m 1000
  omrig sweep --until decided --margin 3% --set rabbit_quorum_queue=false,true -- -m 2000
  omrig sweep --resume omrig-runs/20261126T101500.000000Z-sweep

The runs of a point are in a folder of its name, sweep.json and sweep.html beside them have what was
found. doc/recipes.rst has sweeps for the questions people ask, and says how it is decided.
"""


def add_options(parser: Parser) -> None:
    """Add what stands before the ``--``."""
    parser.add_argument(
        factors.ASSIGNED,
        dest="assigned",
        action="append",
        default=[],
        metavar="[GROUP.]OPTION=A,B,...",
        help="levels of an option of oslo.messaging; repeatable: all combinations are measured",
    )
    parser.add_argument(
        factors.VARIED,
        dest="varied",
        action="append",
        default=[],
        metavar="OPTION=A,B,...",
        help="levels of an option of omrig run, such as executor, worker_count or rabbitmq",
    )
    parser.add_argument(
        "-n",
        "--rounds",
        type=count,
        metavar="N",
        help=f"rounds, in which each point is measured once (default {DEFAULT_ROUNDS}); with"
        f" --until decided the most there may be (default {experiments.MOST_ROUNDS})",
    )
    parser.add_argument(
        "--until",
        choices=("rounds", "decided"),
        metavar="decided",
        help="go on until every point is surely as good as the best within --margin, or worse",
    )
    parser.add_argument(
        "--margin",
        type=percent,
        metavar="PERCENT",
        help=f"the loss that does not matter (default {100 * sequential.DEFAULT_MARGIN:g}%%)",
    )
    parser.add_argument(
        "--metric",
        metavar="METRIC",
        help="what the best is by (default throughput; with --rate the mean latency)",
    )
    experiments.add_minutes(parser)
    experiments.add_folder(parser, "sweep")
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help="write what was found as JSON; without FILE to standard output, and nothing else",
    )
    parser.add_argument("--html", metavar="FILE", help="write the page there, too")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Measure all points and show what was found; the exit status."""
    for option in ("json", "html"):
        if getattr(options, option) not in (None, _STDOUT):
            experiments.check_file(f"--{option}", getattr(options, option))
    points, about = _resumed(options) if options.resume else _begun(options)
    interrupted = False
    if not about.complete or experiments.asks_for_more(options):
        interrupted = _measure(points, about, options)
    if not points.rounds:
        raise KeyboardInterrupt("interrupted before there was a round to compare")
    folder = about.path.parent
    try:
        _show(points.found(), folder, options)
    except (UsageError, streams.OutputError) as error:
        raise RunError(
            f"the runs are over, they are in {folder}; {error};"
            f" omrig sweep --resume {folder} shows them again"
        ) from error
    return cli.INTERRUPTED if interrupted else 0


def _begun(options: argparse.Namespace) -> tuple[Points, Journal]:
    """The points of a sweep that begins, and what is known of it."""
    rest = options.rest[1:]
    found = factors.read(options.assigned, options.varied, rest)
    configurations = factors.points(found, rest)
    is_decided = options.until == "decided"
    rule = Rule(
        until="decided" if is_decided else "rounds",
        rounds=options.rounds or (experiments.MOST_ROUNDS if is_decided else DEFAULT_ROUNDS),
        margin=options.margin or sequential.DEFAULT_MARGIN,
        metrics=(_metric(options.metric, configurations),),
        looks=sequential.LOOKS if is_decided else (),
        alpha=sequential.ALPHA,
        max_minutes=options.max_minutes,
    )
    folder = Path(options.output or experiments.default_output("sweep"))
    about = journal.new(folder, "sweep", rule)
    about.note(configurations)
    about.own = {"factors": [each.to_json() for each in found], "failed": {}}
    return _points(found, configurations, about), about


def _metric(asked: str | None, configurations: Sequence[Configuration]) -> str:
    if asked is None:
        is_open = any(each.plan.pace.is_open for each in configurations)
        return "mean" if is_open else "throughput"
    known = metrics.find(asked)
    if known is None or known.unit == "count":
        raise UsageError(f"--metric: there is no metric {asked!r}; use one of {metrics.NAMES}")
    return asked


def _resumed(options: argparse.Namespace) -> tuple[Points, Journal]:
    """The points of a sweep that goes on, and what is known of it."""
    if options.assigned or options.varied:
        raise UsageError("--resume: a sweep goes on as it began; leave --set and --vary out")
    about = experiments.resumed(options, "sweep")
    try:
        found = [Factor.from_json(each) for each in about.own["factors"]]  # type: ignore[union-attr]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"--resume: {about.path} does not say what is varied; begin anew"
        ) from error
    kept = [(each["name"], list(each["arguments"])) for each in about.configurations]
    rest = options.rest[1:]
    if rest:
        configurations = factors.points(found, rest)
        masked = [
            (each.name, [journal.masked(argument) for argument in each.arguments])
            for each in configurations
        ]
        if masked != kept:
            raise UsageError(
                "--resume: other options than it began with; give the same, or leave them out"
            )
    else:
        configurations = experiments.again(about, [])
    return _points(found, configurations, about), about


def _points(
    found: Sequence[Factor], configurations: Sequence[Configuration], about: Journal
) -> Points:
    return Points(found, list(zip(configurations, grid(found), strict=True)), about)


def _measure(points: Points, about: Journal, options: argparse.Namespace) -> bool:
    """Measure as the rule says; whether it was interrupted."""
    configurations = points.configurations
    tools = experiments.tools(options, configurations)
    folder = about.path.parent
    try:
        plans = [each.plan for each in configurations]
        with trials.opened(folder, plans, tools, about=about) as opened:
            about.reason = points.measure(opened, experiments.ends_at_s(about)) or about.reason
    except KeyboardInterrupt:
        return True
    except RunError as error:
        raise RunError(f"{error}; omrig sweep --resume {folder} goes on") from error
    return False


def _show(sweep: "Sweep", folder: Path, options: argparse.Namespace) -> None:
    from omrig.report.html import sweep as page
    from omrig.report.terminal import sweep as terminal

    text = json.dumps(sweep.to_json(), indent=1, allow_nan=False) + "\n"
    drawn = page.render(sweep, str(folder))
    files = [("--output", folder / RESULT, text), ("--output", folder / page.PAGE, drawn)]
    if options.json not in (None, _STDOUT):
        files.append(("--json", Path(options.json), text))
    if options.html:
        files.append(("--html", Path(options.html), drawn))
    for option, path, content in files:
        with naming(option), writer.writing(path) as file:
            file.write(content)
    with streams.shown():
        if options.json == _STDOUT:
            print(text, end="")
        else:
            terminal.show(sweep, str(folder))
