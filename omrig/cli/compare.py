"""``omrig compare``: two runs or two sets of runs beside each other, with gates."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import streams
from omrig.cli.options import Parser
from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.recordings import writer

if TYPE_CHECKING:
    from omrig.compare.comparison import Comparison
    from omrig.compare.runs import Messages, RunSet
    from omrig.report.flames import Flames

GATE_NOT_MET = 3

_STDOUT = "-"

ABOUT = """\
Compare NEW with BASE, each a run folder or a folder of run folders: throughput, latency, every
stage, CPU and memory as ratios with a 95 % interval, the stage that explains most of the change,
and what makes the comparison unstable.

  omrig compare BASE NEW                     show it
  omrig compare BASE NEW --gate 'p99<=+5%'   and end with 3 if p99 surely grew by more than that

Two recordings of services are compared method by method; a gate then names its method.

  omrig compare DIR/rec-1 DIR/rec-2 --gate 'build_instances:p99<=+5%'

Make three runs or more of each, in turn (base, new, new, base, ...): of one run each only the
drift within a run is known. doc/compare.rst explains the method and what it assumes.
"""

_GATES = """\
METRIC<=LIMIT or METRIC>=LIMIT, repeatable; METRIC is throughput, mean, p50, p90, p99, p999, max,
cpu, memory, stage.NAME[.p50|.p90|.p99], bucket.NAME or errors, and with --profile counts calls,
amqp.round_trips, amqp.bytes, amqp.METHOD ...; LIMIT is a percentage of BASE (+5%%), what NEW may
differ by (+5ms, +0), or has a unit and no sign (120ms, 64MiB)"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig compare``."""
    parser.add_argument("base", metavar="BASE", help="a run folder, or a folder of run folders")
    parser.add_argument("new", metavar="NEW", help="what is compared with it")
    parser.add_argument("--gate", action="append", default=[], metavar="GATE", help=_GATES)
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help="write the comparison as JSON; without FILE to standard output, and nothing else",
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write a page with both runs overlaid, and where they were profiled FILE.folded and"
        " FILE.speedscope.json beside it",
    )
    parser.add_argument("--junit", metavar="FILE", help="write the gates as JUnit XML")
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Compare what is named; the exit status."""
    from omrig.compare import comparison as compare
    from omrig.compare import gates, runs
    from omrig.experiment import decisions
    from omrig.report.terminal import comparison as compare_terminal

    if _are_recordings(options):
        from omrig.cli import compare_services

        return compare_services.run(options)
    wanted = [gates.parse(text) for text in options.gate]
    base, new = runs.read(options.base, "BASE"), runs.read(options.new, "NEW")
    comparison = compare.compare(base, new, wanted, _messages(base, new))
    comparison = decisions.applied(comparison, options.base, options.new)
    _write_files(comparison, options)
    try:
        with streams.shown():
            if options.json == _STDOUT:
                print(_json(comparison), end="")
            else:
                compare_terminal.show(comparison)
    finally:
        for ruling in comparison.rulings:
            _say(ruling.gate.text, ruling.outcome)
    return GATE_NOT_MET if comparison.failed else 0


def _are_recordings(options: argparse.Namespace) -> bool:
    """Whether both are recordings of services. Raises ``UsageError`` where one is."""
    from omrig.recordings import service_result

    sides = {"BASE": options.base, "NEW": options.new}
    found = [name for name, path in sides.items() if service_result.is_one(Path(path))]
    if len(found) == 1:
        (other,) = sides.keys() - {*found}
        raise UsageError(
            f"{found[0]}: {sides[found[0]]} is a recording of services, and {other} is none;"
            " compare two recordings, or runs"
        )
    return bool(found)


def _messages(base: "RunSet", new: "RunSet") -> "tuple[Messages | None, Messages | None]":
    from omrig.compare import runs

    if len(base.runs) > 1 or len(new.runs) > 1:
        return None, None
    return runs.read_messages(base.runs[0]), runs.read_messages(new.runs[0])


def _write_files(comparison: "Comparison", options: argparse.Namespace) -> None:
    if options.json not in (None, _STDOUT):
        _write("--json", options.json, _json(comparison))
    if options.html:
        from omrig.report import flames
        from omrig.report.html import comparison as compare_html

        found = flames.differences(comparison)
        page = compare_html.render(comparison, _all_messages(comparison), found)
        _write("--html", options.html, page)
        if found:
            _write_flames(options.html, found)
    if options.junit:
        from omrig.report.files import junit

        _write("--junit", options.junit, junit.render(comparison))


def _write_flames(page: str, found: "list[Flames]") -> None:
    """Write the stacks beside the page, and say so."""
    from omrig.formats import stacks
    from omrig.report import flames

    folded, speedscope = (
        Path(page).with_suffix(ending) for ending in (flames.FOLDED, flames.SPEEDSCOPE)
    )
    with errors.naming("--html"):
        with writer.writing(folded) as file:
            flames.write_folded(file, found)
        with writer.writing(speedscope) as file:
            flames.write_speedscope(file, found)
    sys.stderr.write(
        f"omrig: the stacks of both sides: {flames.OPEN_WITH.format(path=folded)};"
        f" {stacks.OPEN_WITH.format(path=speedscope)}\n"
    )


def _json(comparison: "Comparison") -> str:
    from omrig.compare import comparison as compare

    return json.dumps(compare.as_json(comparison), indent=1, allow_nan=False) + "\n"


def _all_messages(
    comparison: "Comparison",
) -> "tuple[list[Messages | None], list[Messages | None]]":
    from omrig.compare import runs

    base, new = comparison.base.runs, comparison.new.runs
    return [runs.read_messages(each) for each in base], [runs.read_messages(each) for each in new]


def _write(option: str, name: str, text: str) -> None:
    with errors.naming(option), writer.writing(Path(name)) as file:
        file.write(text)


def _say(gate: str, outcome: str) -> None:
    if outcome != "met":
        sys.stderr.write(f"omrig: gate {outcome}: {gate}\n")
