"""What the commands that measure several configurations share: options, tools and folders."""

import argparse
import dataclasses
import datetime
import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import configurations
from omrig.cli.options import Parser, count, minutes, percent
from omrig.compare import metrics
from omrig.experiment import journal
from omrig.experiment.journal import Journal, Kind, Rule
from omrig.experiment.sequential import (
    ALPHA,
    DEFAULT_MARGIN,
    LOOKS,
    METRICS,
    METRICS_OF_AN_OPEN_LOOP,
)
from omrig.experiment.trials import Configuration, Tools
from omrig.model.errors import UsageError, naming

if TYPE_CHECKING:
    from omrig.report.terminal import progress

MOST_ROUNDS = 40
"""So many rounds at most where one measures until it is decided, unless told."""


def add_rule(parser: Parser, default_rounds: int) -> None:
    """Add the options that say when an experiment ends, and by what it decides."""
    parser.add_argument(
        "-n",
        "--rounds",
        "--pairs",
        type=count,
        metavar="N",
        help=f"rounds, in which each is measured once (default {default_rounds}); with --until"
        f" decided the most there may be (default {MOST_ROUNDS})",
    )
    parser.add_argument(
        "--until",
        choices=("rounds", "decided"),
        metavar="decided",
        help="go on until it is surely different, or surely the same within --margin",
    )
    parser.add_argument(
        "--margin",
        type=percent,
        metavar="PERCENT",
        help=f"the change that does not matter (default {100 * DEFAULT_MARGIN:g}%%); given without"
        " --until, say whether they are the same within it",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="METRIC",
        help=f"what decides, repeatable (default {', '.join(METRICS)}; with --rate"
        f" {', '.join(METRICS_OF_AN_OPEN_LOOP)})",
    )
    add_minutes(parser)


def add_minutes(parser: Parser) -> None:
    """Add the option that says how long rounds are begun."""
    parser.add_argument(
        "--max-minutes",
        type=minutes,
        metavar="M",
        help="begin no round that would end later, if it took as long as the last",
    )


def add_folder(parser: Parser, kind: Kind) -> None:
    """Add the options that say where the runs go, and which are gone on with."""
    parser.add_argument("--output", metavar="DIR", help=f"default: omrig-runs/<UTC time>-{kind}")
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="go on with an experiment that was interrupted or killed, as it began; with a larger"
        " -n or --max-minutes also with one that is over",
    )


def rule(
    options: argparse.Namespace,
    measured: Sequence[Configuration],
    default_rounds: int,
    gates: Sequence[str] = (),
    is_duet: bool = False,
) -> Rule:
    """When an experiment ends that begins with these options.

    Raises ``UsageError`` for a metric that is none.
    """
    is_decided = options.until == "decided"
    is_judged = is_decided or options.margin is not None
    if options.metric and not is_judged:
        raise UsageError("--metric: nothing is decided by it; give --until decided or --margin")
    for name in options.metric:
        if metrics.find(name) is None:
            raise UsageError(f"--metric: there is no metric {name!r}; use {metrics.NAMES}")
    rounds = options.rounds or (MOST_ROUNDS if is_decided else default_rounds)
    _check_rounds(rounds, is_decided)
    is_open = any(each.plan.pace.is_open for each in measured)
    default = METRICS_OF_AN_OPEN_LOOP if is_open else METRICS
    return Rule(
        until="decided" if is_decided else "rounds",
        rounds=rounds,
        margin=(options.margin or DEFAULT_MARGIN) if is_judged else None,
        metrics=tuple(dict.fromkeys(options.metric or default)) if is_judged else (),
        looks=LOOKS if is_decided else (),
        alpha=ALPHA if is_judged else None,
        max_minutes=options.max_minutes,
        gates=tuple(gates),
        duet=is_duet or None,
    )


def _check_rounds(rounds: int, is_decided: bool) -> None:
    if is_decided and rounds > LOOKS[-1]:
        raise UsageError(
            f"-n/--rounds: --until decided looks for the last time after {LOOKS[-1]} rounds; give"
            " that or less, or make each run longer"
        )


def resumed(options: argparse.Namespace, kind: Kind) -> Journal:
    """The experiment to go on with, with as many rounds and minutes as the options ask for.

    Raises ``UsageError`` where there is none of this kind, or the options would change its rule.
    """
    about = journal.read(Path(options.resume), "--resume")
    if about.kind != kind:
        raise UsageError(f"--resume: {options.resume} is of omrig {about.kind}; use that")
    for option in ("output", "until", "margin", "metric"):
        if getattr(options, option):
            raise UsageError(
                f"--{option}: with --resume an experiment goes on as it began; leave it out"
            )
    if about.rule is None:
        raise UsageError(f"--resume: {options.resume} does not say when it ends; begin anew")
    _check_rounds(options.rounds or 0, about.rule.until == "decided")
    about.rule = dataclasses.replace(
        about.rule,
        rounds=options.rounds or about.rule.rounds,
        max_minutes=options.max_minutes or about.rule.max_minutes,
    )
    return about


def asks_for_more(options: argparse.Namespace) -> bool:
    """Whether an experiment that is over is to go on."""
    return bool(options.rounds or options.max_minutes)


def again(about: Journal, rest: Sequence[str]) -> list[Configuration]:
    """The configurations of an experiment that is gone on with.

    ``rest`` are those on the command line, if any: needed where an argument was not kept, as it
    holds a password. Raises ``UsageError`` where they are needed, or are others.
    """
    kept = [(each["name"], list(each["arguments"])) for each in about.configurations]
    given = configurations.split(rest)
    if given:
        if [[journal.masked(each) for each in one] for one in given] != [had for _, had in kept]:
            raise UsageError(
                "--resume: other configurations than it began with; give the same, or leave them"
                " out"
            )
        kept = [(name, one) for (name, _), one in zip(kept, given, strict=True)]
    elif any(journal.is_masked(arguments) for _, arguments in kept):
        raise UsageError(
            "--resume: an argument holds a password, which was not kept; give the configurations"
            " again, each after --"
        )
    return [configurations.configuration(name, arguments) for name, arguments in kept]


def tools(options: argparse.Namespace, measured: Sequence[Configuration]) -> Tools:
    """What trials are made with on the command line."""
    from omrig.cli import duet
    from omrig.cli.run import measure
    from omrig.report.terminal import progress

    debug = any(each.plan.output.debug for each in measured)

    def make_display(requested: int | None) -> "progress.Progress":
        # Of twenty runs or more nobody reads each step.
        return progress.make(requested, options.quiet or not sys.stderr.isatty(), debug)

    def make_quiet() -> "progress.Progress":
        return progress.make(None, quiet=True, debug=debug)

    return Tools(measure, make_display, sayer(options), duet.measure, make_quiet)


def check_file(option: str, name: str | None) -> None:
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


def sayer(options: argparse.Namespace) -> Callable[[str], None]:
    """Tells who looks on what happens, unless ``--quiet``."""

    def say(text: str) -> None:
        if not options.quiet:
            sys.stderr.write(f"omrig: {text}\n")

    return say


def ends_at_s(about: Journal) -> float | None:
    """When the time of an experiment is over, by :func:`time.monotonic`; None where it has all."""
    if about.rule is None or about.rule.max_minutes is None:
        return None
    return time.monotonic() + 60 * about.rule.max_minutes - about.spent_s


def default_output(kind: Kind) -> Path:
    """The folder of an experiment that begins now."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return Path(f"omrig-runs/{now}-{kind}")
