"""``omrig targets``: the stage maps, and which of their functions are there."""

import argparse

from omrig.cli import streams
from omrig.cli.options import Parser

ABOUT = """\
List the stage maps: which functions of the drivers and libraries that are installed delimit which
stage of a message. doc/stages.rst says how to write one.
"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig targets``."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="FILE.toml",
        help="show this stage map of yours, too (repeatable)",
    )


def run(options: argparse.Namespace) -> int:
    """List the maps; the exit status."""
    from omrig.drivers import maps
    from omrig.measured.executors import base
    from omrig.report.terminal import targets

    # Functions are looked at where they are: without this their modules load eventlet.
    base.load("threading").patch()
    yours = [maps.read(path) for path in options.target]
    with streams.shown():
        targets.show([maps.installed(each) for each in (*maps.known().values(), *yours)])
    return 0
