"""``omrig targets``: the stage maps, and which of their functions are there."""

from omrig.cli import streams
from omrig.cli.options import Parser

_ABOUT = """\
List the stage maps: which functions of the drivers and libraries that are installed delimit which
stage of a message. doc/stages.rst says how to write one.
"""


def main(arguments: list[str]) -> int:
    """List the maps as ``arguments`` ask for; the exit status."""
    parser = Parser(prog="omrig targets", description=_ABOUT)
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="FILE.toml",
        help="show this stage map of yours, too (repeatable)",
    )
    options = parser.parse_args(arguments)

    from omrig.drivers import maps
    from omrig.measured.executors import base
    from omrig.report.terminal import targets

    # Functions are looked at where they are: without this their modules load eventlet.
    base.load("threading").patch()
    yours = [maps.read(path) for path in options.target]
    with streams.shown():
        targets.show([*maps.known().values(), *yours])
    return 0
