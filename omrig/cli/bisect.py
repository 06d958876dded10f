"""``omrig bisect``: the first bad one of releases or commits, by measurements in turn."""

import argparse
import contextlib
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli import experiments, streams
from omrig.cli.configurations import configuration
from omrig.cli.options import Parser, count, minutes, percent
from omrig.compare import gates, metrics
from omrig.experiment import sequential
from omrig.model.errors import RunError, UsageError, naming

if TYPE_CHECKING:
    from omrig.experiment.bisecting import Tools
    from omrig.experiment.candidates import Row
    from omrig.experiment.journal import Journal
    from omrig.experiment.trials import Configuration
    from omrig.model.bisection import Asked, Bisection, Candidate

RESULT = "bisect.json"
"""What has been asked and found, in the folder of the search."""

NOT_FOUND = 3
"""Exit status: the search has ended, and no single version is the first bad one."""

GOOD, BAD, CANNOT_TELL = 0, 1, 125
"""Exit statuses of ``--test``, as ``git bisect run`` reads them; it ends at any from 128 on."""

MOST_ROUNDS = 19
"""Rounds after which a candidate is left undecided, unless told."""

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

_OF_A_SEARCH = ("good", "bad", "test", "source", "versions", "gate", "output")
"""Options that say what is searched for; a search that goes on has them already."""


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
        help=f"rounds after which a candidate stays undecided (default {MOST_ROUNDS})",
    )
    parser.add_argument(
        "--max-minutes",
        type=minutes,
        metavar="M",
        help="begin no round that would end later, if it took as long as the last",
    )
    experiments.add_folder(parser, "bisect")
    parser.add_argument(
        "--json",
        nargs="?",
        const="",
        metavar="FILE",
        help=f"write {RESULT} to FILE, too; without FILE to standard output, and nothing else",
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
        known = _resumed(folder, options, arguments)
        about = journal.read(folder, "--resume")
    else:
        folder = Path(options.output or experiments.default_output("bisect"))
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"--output: {folder} already holds runs; name another folder")
        known = _begun(options, arguments, folder)
        about = journal.new(folder, "bisect")
    if options.test:
        return _tested(known, options, folder, about)
    return _searched(known, options, folder, about)


def _begun(options: argparse.Namespace, arguments: Sequence[str], folder: Path) -> "Bisection":
    """What is known of a search before it begins: what is asked for, and the candidates."""
    from omrig.model.bisection import Asked, Bisection

    if not options.good or not (options.bad or options.test):
        raise UsageError(f"bisect: --good and --bad are needed; use {cli.COMMANDS['bisect'].usage}")
    if options.test and (options.bad or options.versions):
        raise UsageError("--test: judges one candidate; leave out --bad and --versions")
    if options.test and not options.gate:
        raise UsageError("--test: needs --gate: there is no bad one to say what is bad")
    asked = Asked(
        good=options.good,
        bad=options.bad or options.test,
        source=options.source,
        gates=tuple(options.gate),
        margin=options.margin or sequential.DEFAULT_MARGIN,
        most_rounds=options.rounds or MOST_ROUNDS,
        arguments=tuple(arguments),
    )
    _check(asked)
    row = _row(options, folder)
    _refuse_another(row.candidates[0], arguments)
    return Bisection(
        asked=asked, candidates=row.candidates, descending=row.descending, notes=row.notes
    )


def _check(asked: "Asked") -> None:
    """Refuse options of a run and gates that cannot be meant, before anything is measured."""
    configuration("after --", asked.arguments)
    limits = [gates.parse(text) for text in asked.gates]
    for gate in limits:
        if gate.no_change is not None and gates.beyond(gate, gate.no_change):
            raise UsageError(
                f"--gate: {gate.text!r}: the good one breaks it, compared with itself; for what"
                " got better give what is bad then, as 'p50>=-50%'"
            )
    exact = limits and all(_is_count(gate.metric) for gate in limits)
    least = 1 if exact else sequential.LOOKS[0]
    if asked.most_rounds < least:
        raise UsageError(f"-n: {asked.most_rounds} rounds decide nothing; {least} are the least")


def _is_count(name: str) -> bool:
    metric = metrics.find(name)
    return metric is not None and metric.unit == "count"


def _row(options: argparse.Namespace, folder: Path) -> "Row":
    from omrig.experiment import candidates

    _refuse_login(options.source)
    # Beside the folder, which has to be empty when the search begins.
    copy = folder.with_name(f"{folder.name}.git")
    if options.test:
        good = candidates.one(options.good, "--good", options.source, copy)
        test = candidates.one(options.test, "--test", None, copy)
        return candidates.Row((good, test), descending=False)
    versions = [each.strip() for each in (options.versions or "").split(",") if each.strip()]
    if options.source:
        return candidates.of_commits(options.source, options.good, options.bad, copy, versions)
    return candidates.of_releases(options.good, options.bad, versions)


def _refuse_login(source: str | None) -> None:
    """A password would be kept with what was asked; ``git@host:path`` and the like hold none."""
    scheme, _, rest = (source or "").partition("://")
    login = rest.partition("/")[0].rpartition("@")[0]
    if ":" in login or (login and not scheme.endswith("ssh")):
        raise UsageError(
            "--source: holds a login; leave it out of the URL and have git find it (a credential"
            " helper, or a copy that you cloned)"
        )


def _refuse_another(candidate: "Candidate", arguments: Sequence[str]) -> None:
    """The version that is searched for must not be asked for as well."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    def package(text: str) -> str | None:
        try:
            return canonicalize_name(Requirement(text).name)
        except InvalidRequirement:
            return None

    wanted = package(candidate.requirement)
    software = configuration("after --", arguments).plan.software
    for each in software.requirements:
        if wanted and package(each) == wanted:
            raise UsageError(f"--with: {each}: the search chooses which {wanted} is measured")


def _resumed(folder: Path, options: argparse.Namespace, arguments: Sequence[str]) -> "Bisection":
    """What is known of the search in ``folder``."""
    from omrig.experiment import journal
    from omrig.model.bisection import Bisection

    given = [name for name in _OF_A_SEARCH if getattr(options, name)]
    given += ["margin"] if options.margin is not None else []
    if given:
        raise UsageError(f"--resume: goes on with what was asked; leave out --{given[0]}")
    try:
        with naming("--resume"):
            known = Bisection.from_json(json.loads((folder / RESULT).read_text()))
    except ValueError as error:
        raise UsageError(f"--resume: {folder / RESULT} cannot be read ({error})") from error
    asked = known.asked
    if journal.is_masked(asked.arguments) and not arguments:
        raise UsageError(
            "--resume: the options of the run held a password, which is not kept; give them again"
            f" after --: {shlex.join(asked.arguments)}"
        )
    if arguments:
        shown = tuple(map(journal.masked, arguments))
        if shown != tuple(map(journal.masked, asked.arguments)):
            raise UsageError(
                f"--resume: the options after -- were others: {shlex.join(asked.arguments)}"
            )
        asked = dataclasses.replace(asked, arguments=tuple(arguments))
    if options.rounds:
        asked = dataclasses.replace(asked, most_rounds=options.rounds)
    _check(asked)
    known = dataclasses.replace(known, asked=asked)
    left = (step for step in known.steps if step.word == "undecided")
    if any(step.rounds < asked.most_rounds for step in left):
        # More rounds may decide it.
        known = dataclasses.replace(known, complete=False, answer=None, reason=None)
    return known


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
        writer.write_json(folder / RESULT, content)
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
        if (folder / RESULT).exists():
            raise KeyboardInterrupt(f"interrupted; {advice}") from error
        raise
    except RunError as error:
        if (folder / RESULT).exists():
            raise RunError(f"{error}; {advice}") from error
        raise


def _json(known: "Bisection") -> str:
    return json.dumps(known.to_json(), indent=1, allow_nan=False) + "\n"
