"""``omrig report``: show a run again, or the sides of one run together."""

import argparse
import json
from pathlib import Path
from typing import Any

from omrig.cli.arguments import Parser
from omrig.errors import UsageError
from omrig.results import folder as run_folder

_ABOUT = """\
Show a run again. Several folders are the sides of one run: what a producer and a consumer recorded
each for itself is matched message by message.

  omrig report RUN               one run
  omrig report PRODUCER CONSUMER the two sides of one run
  omrig report RUN --html        draw its report.html again
"""


def main(arguments: list[str]) -> int:
    """Show the run that ``arguments`` name; the exit status."""
    parser = Parser(prog="omrig report", description=_ABOUT)
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder")
    parser.add_argument("--json", action="store_true", help="print the result, nothing else")
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
    options = parser.parse_args(arguments)
    _check(options)
    if options.html is not None:
        return _draw(options)

    from omrig.report import terminal

    folders, run, result = _read(options.run)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        terminal.show(folders, run, result)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.html is None and options.shared_assets:
        raise UsageError("--shared-assets: only a page has assets; give --html as well")
    if options.html is not None and options.json:
        raise UsageError("--html and --json: one of them at a time")
    if options.html == "" and len(options.run) > 1:
        raise UsageError("--html: no folder is that of all these runs; name the file: --html FILE")


def _draw(options: argparse.Namespace) -> int:
    from omrig import assemble
    from omrig.report import html

    stages = None
    if len(options.run) > 1:
        folders = [run_folder.read_run(name)[0] for name in options.run]
        run, result, stages = assemble.merge_messages(folders)
    else:
        folders, run, result = _read(options.run)
    path = Path(options.html or folders[0] / html.PAGE)
    try:
        html.write(path, folders, run, result, shared_assets=options.shared_assets, stages=stages)
    except OSError as error:
        raise UsageError(
            f"--html: {path} cannot be written ({error.strerror}); name another file"
        ) from error
    print(path)
    return 0


def _read(names: list[str]) -> tuple[list[Path], dict[str, Any], dict[str, Any]]:
    from omrig import assemble

    found = [run_folder.read_run(name) for name in names]
    folders = [folder for folder, _ in found]
    if len(folders) > 1:
        return folders, *assemble.merge(folders)
    folder, run = found[0]
    # A run whose omrig was killed has recordings and no result yet.
    result = run_folder.read_json(folder / run_folder.RESULT) or assemble.finish(folder)
    return folders, run, result
