"""``omrig record``: turn the stages on in running services, and say where their time went."""

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli import recorded
from omrig.cli.options import Parser, count, seconds
from omrig.model import errors
from omrig.model.errors import RunError, UsageError
from omrig.model.profiling import fraction
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.model.recorded import About
    from omrig.recorder.display import Display
    from omrig.recorder.session import Wanted

ABOUT = """\
Record the stages of all messages in the processes that were started under omrig exec in DIR,
those that begin meanwhile included, until Ctrl-C. Then they are off again, and the report is
shown: a row a method, whose time it was, and why.

  omrig record DIR                  until Ctrl-C; a second one aborts
  omrig record DIR --seconds 60     a minute
  omrig record DIR --messages 1000  until so many have been sent

It is for the user of the services and for root; only the capture of segments needs root, or
CAP_NET_RAW. The recording is a folder in DIR, which omrig report shows again.
"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig record``."""
    parser.add_argument("folder", metavar="DIR", help="the folder of omrig exec --run")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long")
    parser.add_argument(
        "--messages",
        type=count,
        metavar="N",
        help="end when so many messages have been sent in all",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_recording(parser)
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def add_recording(parser: Parser) -> None:
    """Add the options of what is recorded."""
    parser.add_argument(
        "--sample",
        type=_fraction,
        default=1,
        metavar="1/N",
        help="record one message in N, the same ones in all processes (default: all)",
    )
    parser.add_argument(
        "--capture",
        choices=("auto", "no"),
        default="auto",
        help="have the kernel note when segments from the broker arrive, where that is permitted"
        " (default: auto)",
    )


def _fraction(text: str) -> int:
    try:
        return fraction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def wanted(options: argparse.Namespace) -> "Wanted":
    """What the options ask for. Raises ``UsageError`` when they contradict each other."""
    from omrig.recorder.session import Wanted

    length, messages = vars(options).get("seconds"), vars(options).get("messages")
    if length is not None and messages is not None:
        raise UsageError("--seconds and --messages: one of them says when it ends")
    if length == 0:
        raise UsageError("--seconds: 0 s are no recording; give more")
    return Wanted(
        seconds=length,
        messages=messages,
        sample=options.sample,
        capture=options.capture == "auto",
    )


def run(options: argparse.Namespace) -> int:
    """Record, account, show; the exit status."""
    from omrig.recorder import folder, session
    from omrig.report.terminal import recording as progress

    asked = wanted(options)
    place = folder.checked(options.folder)
    if session.nothing_lives(place):
        raise UsageError(
            f"DIR: no process lives in {options.folder}; start one:"
            f" omrig exec --run {options.folder} -- PROGRAM"
        )
    interrupts = Interrupts()
    with interrupts.handled():
        shown = progress.make(str(place), options.quiet, options.debug)
        with contextlib.closing(shown) as display:
            path, about = _record(place, asked, display, interrupts)
        result = recorded.settle(path)
    recorded.show(path, result)
    return 0 if about.complete and result.complete else cli.INCOMPLETE


def _record(
    place: Path, asked: "Wanted", display: "Display", interrupts: Interrupts
) -> "tuple[Path, About]":
    """Record until that is over or the end is asked for, the second time at once.

    Raises ``RunError`` where the operating system refuses something on the way, and where nothing
    was recorded.
    """
    from omrig.recorder import session

    with interrupts.deferring(), session.recording(place, asked, display) as recorder:
        try:
            display.say(f"recording {recorder.folder}")
            reason = session.until_over(recorder, lambda: interrupts.count > 0)
            with interrupts.deferring(False):
                about = recorder.end(reason)
        except OSError as error:
            raise RunError(
                f"{errors.in_words(error)}; what was recorded is in {recorder.folder}"
            ) from error
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"aborted; what was recorded is in {recorder.folder}"
            ) from error
    if recorder.is_empty:
        raise RunError(f"{about.reason}; {recorder.folder} is empty")
    return recorder.folder, about
