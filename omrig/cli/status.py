"""``omrig status``: which processes can be recorded, and what was."""

import argparse
import json

from omrig.cli import streams
from omrig.cli.options import Parser

ABOUT = """\
List the processes that were started under omrig exec in DIR: their connections, whether stages
are recorded there and how many messages so far, what went wrong; and the recordings.

Ends with 0.
"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig status``."""
    parser.add_argument("folder", metavar="DIR", help="the folder of omrig exec --run")
    parser.add_argument("--json", action="store_true", help="print JSON, nothing else")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """List processes and recordings; the exit status."""
    from omrig.recorder import folder, status
    from omrig.report.terminal import attached

    found = status.of(folder.checked(options.folder))
    with streams.shown():
        if options.json:
            print(json.dumps(found.to_json(), indent=1))
        else:
            attached.show(found)
    return 0
