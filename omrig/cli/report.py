"""``omrig report``: show a run again."""

import json

from omrig.cli.arguments import Parser


def main(arguments: list[str]) -> int:
    """Show the run that ``arguments`` name; the exit status."""
    parser = Parser(prog="omrig report", description="Show a run again.")
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--json", action="store_true", help="print result.json, nothing else")
    options = parser.parse_args(arguments)

    from omrig import assemble
    from omrig.report import terminal
    from omrig.results import folder as run_folder

    folder, run = run_folder.read_run(options.run)
    # A run whose omrig was killed has recordings and no result yet.
    result = run_folder.read_json(folder / run_folder.RESULT) or assemble.finish(folder)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        terminal.show(folder, run, result)
    return 0
