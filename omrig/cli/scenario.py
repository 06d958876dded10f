"""``omrig scenario``: a load like a recording of services, as a scenario for ``omrig run``."""

import argparse
from pathlib import Path

from omrig.cli import streams
from omrig.cli.options import Parser

ABOUT = """\
Print a scenario that sends a load like a recording of services: as many messages a second, by call,
cast, fanout or notification, to endpoints that take as long.

  omrig scenario DIR/rec-1 > mine.toml
  omrig run --scenario mine.toml --duration 30

What a scenario cannot say, and each method's own figures, are comments in it.
"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig scenario``."""
    parser.add_argument("recording", metavar="RECORDING", help="a recording, like DIR/rec-1")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Print the scenario; the exit status."""
    from omrig.recordings import service_result
    from omrig.report.files import scenario

    path = Path(options.recording)
    text = scenario.render(service_result.read(path, "RECORDING"), path.resolve().name)
    with streams.shown():
        print(text, end="")
    return 0
