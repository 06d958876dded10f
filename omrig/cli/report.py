"""``omrig report``: show a run again, what lies of one run in several folders, or a recording."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import recordings, results, streams
from omrig.cli.options import Parser
from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.recordings import folder as run_folder

if TYPE_CHECKING:
    from omrig.model.result import Result
    from omrig.model.run import Run
    from omrig.recordings.messages import Messages

ABOUT = """\
Show a run again. Several folders are of one run: what producers and consumers recorded each for
itself is matched message by message. Members that are missing are named, and folders of different
runs refused.

  omrig report RUN               one run
  omrig report PRODUCER CONSUMER the two sides of one run, in as many folders as there are
  omrig report RUN --html        draw its report.html again
  omrig report RUN --csv stages  the table of stages for a spreadsheet
  omrig report DIR/rec-1         a recording of services (omrig record), a row a method
  omrig report DIR/rec-1 --method NAME
                                 one method of it: verdict, waterfall and stages
"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig report``."""
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder, or a recording")
    parser.add_argument("--json", action="store_true", help="print the result, nothing else")
    parser.add_argument(
        "--csv",
        choices=("stages", "messages"),
        help="print the table of stages, or of messages, as CSV and nothing else",
    )
    parser.add_argument(
        "--html",
        nargs="?",
        const="",
        metavar="FILE",
        help="draw the run as a page (default: report.html in the run folder) and print its path",
    )
    parser.add_argument(
        "--shared-assets",
        action="store_true",
        help="with --html: put plotly's script beside the page, not into it",
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        help="of a recording of services this method alone, and in full",
    )
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Show the run or the recording that is named; the exit status."""
    _check(options)
    if recording := recordings.named(options.run):
        return recordings.report(options, recording)
    if options.method is not None:
        raise UsageError("--method: a run has no methods, only a recording of services has")
    if options.html is not None:
        return _draw(options)
    if options.csv:
        return _export(options)

    from omrig.report.terminal import run as terminal

    folders, about, result = _read(options.run)
    with streams.shown():
        if options.json:
            print(json.dumps(result.to_json(), indent=1))
        else:
            terminal.show(folders, about, result)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.html is None and options.shared_assets:
        raise UsageError("--shared-assets: only a page has assets; give --html as well")
    if (options.html is not None) + options.json + bool(options.csv) > 1:
        raise UsageError("--html, --json and --csv: one of them at a time")
    if options.html == "" and len(options.run) > 1:
        raise UsageError("--html: no folder is that of all these runs; name the file: --html FILE")


def _draw(options: argparse.Namespace) -> int:
    from omrig.report.html import page

    folders, run, result, stages = _read_messages(options.run)
    path = Path(options.html or folders[0] / page.PAGE)
    with errors.naming("--html"):
        page.write(path, folders, run, result, shared_assets=options.shared_assets, stages=stages)
    with streams.shown():
        print(path)
    return 0


def _export(options: argparse.Namespace) -> int:
    from omrig.report.files import csv

    folders, _, result, stages = _read_messages(options.run)
    messages = None if options.csv == "stages" else csv.messages(folders, stages)
    with streams.shown():
        if messages is None:
            csv.write_stages(result, sys.stdout)
        else:
            csv.write_messages(messages, sys.stdout)
    return 0


def _read_messages(names: list[str]) -> "tuple[list[Path], Run, Result, Messages | None]":
    """Folders, run and result; of several sides also the stages, which are in no folder."""
    if len(names) == 1:
        return *_read(names), None
    from omrig.accounting import merging

    with errors.naming("RUN"):
        folders = [run_folder.read_run(name)[0] for name in names]
        merged = merging.merge(folders)
    return folders, merged.run, merged.result, merged.stages()


def _read(names: list[str]) -> "tuple[list[Path], Run, Result]":
    if len(names) > 1:
        folders, run, result, _ = _read_messages(names)
        return folders, run, result
    with errors.naming("RUN"):
        folder, run = run_folder.read_run(names[0])
        # A run whose omrig was killed has recordings and no result yet.
        losses = errors.Losses(folder)
        result = run_folder.read_result(folder) or results.account(folder, losses)
    if losses:
        sys.stderr.write(f"omrig: not kept in the run folder: {losses}\n")
    return [folder], run, result
