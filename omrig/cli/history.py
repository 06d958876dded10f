"""``omrig history``: a load over the versions of a package, and what changed with which."""

import argparse
import contextlib
import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig import cli
from omrig.cli import experiments, streams
from omrig.cli.configurations import configuration, split
from omrig.cli.options import Parser, count
from omrig.model.errors import RunError, UsageError, naming

if TYPE_CHECKING:
    from omrig.experiment.journal import Journal
    from omrig.experiment.trials import Configuration
    from omrig.experiment.wanted import Wanted
    from omrig.history.events import Event
    from omrig.history.reading import History

DEFAULT_ROUNDS = 3

PAGE, RESULT = "history.html", "history.json"
"""What is written into the folder, beside the files for Otava and asv."""

_STDOUT = "-"

ABOUT = """\
Show a folder of runs by version or commit: each metric and stage over the versions, and where it
changed. Runs of different loads are histories of their own, in one page.

  omrig history FOLDER
  omrig history --versions 'oslo.messaging>=14' -- -m 200 -w 4
  omrig history --versions 14.7.0,14.8.0,18.1.0 -- -m 200 --executor threading -- -m 200
  omrig history --resume FOLDER --versions 'oslo.messaging>=19'      measure what is new

With --versions every release of the package index that matches is measured, all in random order
in each round, on one broker. What cannot be installed or run is skipped, and is a gap in the page.
doc/history.rst explains how changes are found, and the files.
"""


def add_options(parser: Parser) -> None:
    """Add what stands before the first ``--``."""
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="a folder of runs, to be shown")
    parser.add_argument(
        "--versions",
        metavar="VERSIONS",
        help="measure these: a requirement, as 'oslo.messaging>=14', or versions, as 14.7.0,14.8.0;"
        " with --source revisions, as 18.2.0..main",
    )
    parser.add_argument(
        "--source", metavar="GIT", help="measure commits of this checkout, or of this git URL"
    )
    parser.add_argument(
        "-n",
        "--rounds",
        type=count,
        default=None,
        metavar="N",
        help=f"runs of each version (default {DEFAULT_ROUNDS})",
    )
    experiments.add_minutes(parser)
    parser.add_argument("--output", metavar="DIR", help="default: omrig-runs/<UTC time>-history")
    parser.add_argument("--resume", metavar="DIR", help="measure what is lacking in this folder")
    parser.add_argument(
        "--package", metavar="NAME", help="show the versions of this package (default: what varies)"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help=f"write {RESULT} to FILE, too; without FILE to standard output, and nothing else",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Measure what is asked for, and show the history; the exit status."""
    if options.json not in (None, _STDOUT):
        with naming("--json"):
            Path(options.json).absolute().parent.stat()
    if options.folder:
        for name in ("versions", "source", "output", "resume", "rounds", "max_minutes", "rest"):
            if getattr(options, name):
                shown = "--" if name == "rest" else f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"{shown}: {options.folder} is shown as it is; to measure in it leave FOLDER"
                    f" out and give --resume {options.folder}"
                )
        return _show(options, Path(options.folder), "FOLDER")
    if not options.versions and not options.resume:
        raise UsageError("history: a FOLDER to show, --versions or --resume is needed")
    folder = Path(options.resume or options.output or experiments.default_output("history"))
    if options.resume and options.output:
        raise UsageError("--output: what goes on with --resume stays in its folder; leave it out")
    is_whole = _fill(options, folder)
    if not is_whole:
        again = f"omrig history --resume {shlex.quote(str(folder))}"
        experiments.sayer(options)(f"out of time; {again} measures what is lacking")
    status = _show(options, folder, "--resume" if options.resume else "--output")
    return status if is_whole else cli.INCOMPLETE


def _fill(options: argparse.Namespace, folder: Path) -> bool:
    """Measure what is lacking; whether nothing is then."""
    from omrig.experiment import filling, journal, trials
    from omrig.experiment.journal import Rule

    about = journal.read(folder, "--resume") if options.resume else journal.new(folder, "history")
    if about.kind != "history":
        raise UsageError(f"--resume: {folder} is no history, but of omrig {about.kind}")
    if not options.resume and folder.exists() and any(folder.iterdir()):
        raise UsageError(
            f"--output: {folder} already holds something; name another folder, or --resume {folder}"
        )
    wanted = _configurations(options, folder, about)
    rounds = options.rounds or (about.rule.rounds if about.rule else DEFAULT_ROUNDS)
    about.rule = Rule(rounds=rounds, max_minutes=options.max_minutes)
    until_s = time.monotonic() + options.max_minutes * 60 if options.max_minutes else None
    skip = _skipper(options, about)
    there = [each for each in wanted if _is_prepared(options, each, about, rounds, skip)]
    if not there:
        raise UsageError(f"--versions: none of them can be installed: {_first_reason(about)}")
    tools = experiments.tools(options, wanted)
    with (
        _going_on(folder),
        trials.opened(folder, [there[0].plan], tools, kind="history", about=about) as opened,
    ):
        is_whole = filling.fill(opened, there, rounds, skip, until_s)
        if not is_whole:
            about.reason = "out of time"
    return is_whole


def _configurations(
    options: argparse.Namespace, folder: Path, about: "Journal"
) -> "list[Configuration]":
    """Every version with every load, those of a history that goes on among them; noted there."""
    known: dict[str, Any] = about.own
    asked = _asked(options, folder)
    versions = {each["name"]: each["requirement"] for each in known.get("wanted", ())}
    versions |= {each.name: each.requirement for each in asked[1]}
    loads = _loads(options.rest, known.get("loads", ()))
    package = str(known.get("package", asked[0]))
    if asked[0] and package != asked[0]:
        raise UsageError(f"--versions: {package} is what this history is of, and not {asked[0]}")
    order = _ordered([*versions])
    found, names = [], {}
    for number, arguments in enumerate(loads):
        _refuse_another(package, arguments)
        for version in order:
            name = version if not number else f"{version}-{chr(ord('a') + number)}"
            names[name] = version
            found.append(configuration(name, ("--with", versions[version], *arguments)))
    about.own = {
        "package": package,
        "versions": order,
        "wanted": [{"name": name, "requirement": versions[name]} for name in order],
        "loads": [_masked(each) for each in loads],
        "names": names,
        "skipped": [],
    }
    return found


def _asked(options: argparse.Namespace, folder: Path) -> "tuple[str, list[Wanted]]":
    from omrig.experiment import wanted

    if not options.versions:
        if options.source:
            raise UsageError("--source: say which commits with --versions, as 18.2.0..main")
        return "", []
    if options.source:
        # Beside the folder, which must be empty for what begins in it.
        copy = folder.with_name(f"{folder.name}.git")
        return wanted.of_commits(options.source, options.versions, copy)
    return wanted.of_releases(options.versions)


def _loads(rest: Sequence[str], known: Sequence[Sequence[str]]) -> list[list[str]]:
    """The options of each load: those of before, in their order, and what is new."""
    from omrig.experiment import journal

    given = split(rest) if rest else []
    shown = [_masked(each) for each in given]
    before = [list(each) for each in known]
    # Who gives the options again gives what was not kept of them.
    found = [given[shown.index(each)] if each in shown else each for each in before]
    for each in found:
        if journal.is_masked(each):
            raise UsageError(
                "--resume: the options of the run held a password, which is not kept; give them"
                f" again after --: {shlex.join(each)}"
            )
    found += [each for each, masked in zip(given, shown, strict=True) if masked not in before]
    return found or [[]]


def _masked(arguments: Sequence[str]) -> list[str]:
    from omrig.experiment import journal

    return [journal.masked(each) for each in arguments]


def _ordered(names: Sequence[str]) -> list[str]:
    """Releases by their number; commits as they are."""
    from packaging.version import InvalidVersion, Version

    try:
        return sorted(names, key=Version)
    except InvalidVersion:
        return list(names)


def _refuse_another(package: str, arguments: Sequence[str]) -> None:
    """The version that a history is of must not be asked for as well."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for each in configuration("after --", arguments).plan.software.requirements:
        with contextlib.suppress(InvalidRequirement):
            if canonicalize_name(Requirement(each).name) == canonicalize_name(package):
                raise UsageError(f"--with: {each}: --versions says which {package} is measured")


def _is_prepared(
    options: argparse.Namespace,
    wanted: "Configuration",
    about: "Journal",
    rounds: int,
    skip: "Callable[[Configuration, str], None]",
) -> bool:
    """Whether there is an environment for it, or nothing is lacking of it."""
    from omrig.environments import making
    from omrig.environments.refusals import NotInstallable

    if about.count(wanted.name) >= rounds:
        return True
    software, modes = wanted.plan.software, wanted.plan.profiling.modes
    try:
        making.make(software.requirements, software.python, modes, experiments.sayer(options))
    except NotInstallable as error:
        skip(wanted, str(error))
        return False
    return True


def _skipper(
    options: argparse.Namespace, about: "Journal"
) -> "Callable[[Configuration, str], None]":
    def skip(wanted: "Configuration", reason: str) -> None:
        names: Mapping[str, str] = about.own["names"]  # type: ignore[assignment]
        skipped = {"name": wanted.name, "version": names[wanted.name], "reason": reason}
        about.own["skipped"] = [*_skipped(about), skipped]
        experiments.sayer(options)(f"{wanted.name} is skipped: {reason}")

    return skip


def _skipped(about: "Journal") -> list[dict[str, str]]:
    return list(about.own["skipped"])  # type: ignore[arg-type]


def _first_reason(about: "Journal") -> str:
    return _skipped(about)[0]["reason"]


def _show(options: argparse.Namespace, folder: Path, argument: str) -> int:
    from omrig.history import events, reading, told
    from omrig.report.terminal import history as terminal

    found = reading.read(str(folder), options.package, argument)
    happened = events.of_history(found)
    content = told.as_json(found, happened)
    _write_files(found, happened, content, options, argument)
    with streams.shown():
        if options.json == _STDOUT:
            print(json.dumps(content, indent=1, allow_nan=False))
        else:
            terminal.show(found, happened)
    return 0


def _write_files(
    found: "History",
    happened: "list[Event]",
    content: Mapping[str, Any],
    options: argparse.Namespace,
    argument: str,
) -> None:
    from omrig.recordings import writer
    from omrig.report.files import asv, otava
    from omrig.report.html import history as html

    with naming(argument):
        writer.write_json(found.folder / RESULT, content)
        for name, text in (
            (PAGE, html.render(found, happened)),
            (otava.CSV, otava.table(found)),
            (otava.SETTINGS, otava.settings(found)),
        ):
            with writer.writing(found.folder / name) as file:
                file.write(text)
        asv.write(found.folder / asv.FOLDER, found)
    if options.json not in (None, _STDOUT):
        with naming("--json"):
            writer.write_json(Path(options.json), content)


@contextlib.contextmanager
def _going_on(folder: Path) -> "Iterator[None]":
    """What ends the measuring says how to go on with it."""
    advice = f"omrig history --resume {shlex.quote(str(folder))} goes on"
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; {advice}") from error
    except RunError as error:
        raise RunError(f"{error}; {advice}") from error
