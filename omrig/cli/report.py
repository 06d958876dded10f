"""``omrig report``: show a run again, or the sides of one run together."""

import json
from pathlib import Path
from typing import Any

from omrig.cli.arguments import Parser

_ABOUT = """\
Show a run again. Several folders are the sides of one run: what a producer and a consumer recorded
each for itself is matched message by message.

  omrig report RUN               one run
  omrig report PRODUCER CONSUMER the two sides of one run
"""


def main(arguments: list[str]) -> int:
    """Show the run that ``arguments`` name; the exit status."""
    parser = Parser(prog="omrig report", description=_ABOUT)
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder")
    parser.add_argument("--json", action="store_true", help="print the result, nothing else")
    options = parser.parse_args(arguments)

    from omrig.report import terminal

    folders, run, result = _read(options.run)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        terminal.show(folders, run, result)
    return 0


def _read(names: list[str]) -> tuple[list[Path], dict[str, Any], dict[str, Any]]:
    from omrig import assemble
    from omrig.results import folder as run_folder

    found = [run_folder.read_run(name) for name in names]
    folders = [folder for folder, _ in found]
    if len(folders) > 1:
        return folders, *assemble.merge(folders)
    folder, run = found[0]
    # A run whose omrig was killed has recordings and no result yet.
    result = run_folder.read_json(folder / run_folder.RESULT) or assemble.finish(folder)
    return folders, run, result
