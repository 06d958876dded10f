"""``omrig bisect``: the first bad one of releases or commits, by measurements in turn."""

import argparse
import contextlib
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import bisect_asked, experiments, streams
from omrig.cli.configurations import configuration
from omrig.cli.options import Parser, count, percent
from omrig.experiment import sequential
from omrig.model.errors import RunError, UsageError, naming

if TYPE_CHECKING:
    from omrig.experiment.bisecting import Tools
    from omrig.experiment.journal import Journal
    from omrig.experiment.trials import Configuration
    from omrig.model.bisection import Asked, Bisection, Candidate

NOT_FOUND = 3
"""Exit status: the search has ended, and no single version is the first bad one."""

GOOD, BAD, CANNOT_TELL = 0, 1, 125
"""Exit statuses of ``--test``, as ``git bisect run`` reads them; it ends at any from 128 on."""

ABOUT = """\
Find the first version that is bad: of the releases of a package, or of the commits of a checkout.
Each candidate is measured in turn with the good one, on one broker, until it is decided.

  omrig bisect --good oslo.messaging==14.7.0 --bad 18.1.0 --gate 'p50<=+50%' -- -m 40 -w 4
  omrig bisect --source ../oslo.messaging --good 18.3.1 --bad my-branch -- -m 1000 -w 20
  git bisect run omrig bisect --test . --good oslo.messaging==14.7.0 --gate 'p50<=+50%' -- -m 40

Without --gate, bad is what is nearer to the bad one than to the good one, in the figure in which
these two differ most.

Exit status: 0 the first bad one was found; 3 it was not: there is nothing to bisect, or what is
left cannot be told. With --test: 0 good, 1 bad, 125 cannot be told, and 128 for anything else.
doc/bisect.rst explains how a candidate is judged.
"""


def add_options(parser: Parser) -> None:
    """Add what stands before the ``--``."""
    parser.add_argument(
        "--good", metavar="A", help="a release, as oslo.messaging==14.7.0 or 14.7.0; or a revision"
    )
    parser.add_argument("--bad", metavar="B", help="likewise; it may be the older one")
    parser.add_argument(
        "--test",
        metavar="CANDIDATE",
        help="judge this one alone, for git bisect run: a release, or what --with takes, as .",
    )
    parser.add_argument(
        "--source", metavar="GIT", help="A and B are revisions of this checkout, or of this git URL"
    )
    parser.add_argument(
        "--versions", metavar="V,V,...", help="the candidates, in place of all between A and B"
    )
    parser.add_argument(
        "--gate", action="append", default=[], metavar="GATE", help="bad is what breaks it"
    )
    parser.add_argument(
        "--margin",
        type=percent,
        metavar="PERCENT",
        help=f"without --gate: a difference that does not matter (default"
        f" {100 * sequential.DEFAULT_MARGIN:g}%%)",
    )
    parser.add_argument(
        "-n",
        "--rounds",
        type=count,
        metavar="MOST",
        help=f"rounds after which a candidate stays undecided (default {bisect_asked.MOST_ROUNDS})",
    )
    experiments.add_minutes(parser)
    experiments.add_folder(parser, "bisect")
    parser.add_argument(
        "--json",
        nargs="?",
        const="",
        metavar="FILE",
        help=f"write {bisect_asked.RESULT} to FILE, too; without FILE to standard output, and"
        " nothing else",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Search, or judge one candidate, and show what was found; the exit status."""
    from omrig.experiment import journal

    arguments = tuple(options.rest[1:])
    if options.json:
        with naming("--json"):
            Path(options.json).absolute().parent.stat()
    if options.resume:
        folder = Path(options.resume)
        known = bisect_asked.resumed(folder, options, arguments)
        about = journal.read(folder, "--resume")
    else:
        folder = Path(options.output or experiments.default_output("bisect"))
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"--output: {folder} already holds runs; name another folder")
        known = bisect_asked.begun(options, arguments, folder)
        about = journal.new(folder, "bisect")
    if options.test:
        return _tested(known, options, folder, about)
    return _searched(known, options, folder, about)


def _searched(
    known: "Bisection", options: argparse.Namespace, folder: Path, about: "Journal"
) -> int:
    from omrig.experiment.bisecting import Search
    from omrig.report.terminal import bisection

    said = "goes on" if known.steps else f"has {len(known.candidates)} candidates"
    if not known.complete:
        ends = f"{known.candidates[0].name} to {known.candidates[-1].name}"
        say = experiments.sayer(options)
        say(f"the search from {ends} {said}")
        for note in known.notes:
            say(note)
        with _going_on(folder), _tools(known, options, folder, about) as tools:
            search = Search(known, tools)
            known = search.run()
            if not known.complete:
                about.reason = known.reason
    with streams.shown():
        if options.json == "":
            print(_json(known), end="")
        else:
            bisection.show(known, folder)
    return 0 if known.is_found else NOT_FOUND


def _tested(known: "Bisection", options: argparse.Namespace, folder: Path, about: "Journal") -> int:
    from omrig.experiment import bisection_text
    from omrig.experiment.bisecting import OutOfTime, Search

    with _tools(known, options, folder, about) as tools:
        search = Search(known, tools)
        try:
            step = search.one()
        except OutOfTime:
            sys.stderr.write("omrig: cannot be told: there was no time for more rounds\n")
            return CANNOT_TELL
        finally:
            known = search.known
    with streams.shown():
        print(_json(known) if options.json == "" else f"{bisection_text.progress(known)}")
    return {"good": GOOD, "bad": BAD}.get(step.word, CANNOT_TELL)


@contextlib.contextmanager
def _tools(
    known: "Bisection", options: argparse.Namespace, folder: Path, about: "Journal"
) -> "Iterator[Tools]":
    """What a search is made with, for the length of the block: a broker among it."""
    from omrig.experiment import bisecting, trials
    from omrig.experiment.journal import Rule

    asked = known.asked
    configure = _configure(asked)
    ends = [configure("good", known.candidates[0]), configure("bad", known.candidates[-1])]
    until_s = time.monotonic() + options.max_minutes * 60 if options.max_minutes else None
    is_open = ends[0].plan.pace.is_open
    about.rule = Rule(
        until="decided",
        rounds=asked.most_rounds,
        margin=asked.margin,
        looks=sequential.LOOKS,
        alpha=sequential.ALPHA,
        max_minutes=options.max_minutes,
        gates=asked.gates,
    )
    plans, tools = [each.plan for each in ends], experiments.tools(options, ends)
    with trials.opened(folder, plans, tools, kind="bisect", about=about) as opened:
        yield bisecting.Tools(
            trials=opened,
            configure=configure,
            prepare=_prepare(options),
            keep=_keeper(folder, options),
            metrics=sequential.METRICS_OF_AN_OPEN_LOOP if is_open else sequential.METRICS,
            until_s=until_s,
        )


def _configure(asked: "Asked") -> "Callable[[str, Candidate], Configuration]":
    def configure(name: str, candidate: "Candidate") -> "Configuration":
        return configuration(name, ("--with", candidate.requirement, *asked.arguments))

    return configure


def _prepare(options: argparse.Namespace) -> "Callable[[Configuration], None]":
    """Makes the environment of a configuration; raises ``UsageError`` where that cannot be."""
    from omrig.environments import making

    told: set[str] = set()
    tell = experiments.sayer(options)

    def say(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    def prepare(wanted: "Configuration") -> None:
        software = wanted.plan.software
        making.make(software.requirements, software.python, wanted.plan.profiling.modes, say)

    return prepare


def _keeper(folder: Path, options: argparse.Namespace) -> "Callable[[Bisection], None]":
    from omrig.experiment import journal
    from omrig.recordings import writer

    def keep(known: "Bisection") -> None:
        shown = tuple(map(journal.masked, known.asked.arguments))
        asked = dataclasses.replace(known.asked, arguments=shown)
        content = dataclasses.replace(known, asked=asked).to_json()
        writer.write_json(folder / bisect_asked.RESULT, content)
        if options.json:
            with naming("--json"):
                writer.write_json(Path(options.json), content)

    return keep


@contextlib.contextmanager
def _going_on(folder: Path) -> "Iterator[None]":
    """What ends a search says how to go on with it, where there is something to go on from."""
    advice = f"omrig bisect --resume {shlex.quote(str(folder))} goes on"
    try:
        yield
    except KeyboardInterrupt as error:
        if (folder / bisect_asked.RESULT).exists():
            raise KeyboardInterrupt(f"interrupted; {advice}") from error
        raise
    except RunError as error:
        if (folder / bisect_asked.RESULT).exists():
            raise RunError(f"{error}; {advice}") from error
        raise


def _json(known: "Bisection") -> str:
    return json.dumps(known.to_json(), indent=1, allow_nan=False) + "\n"
