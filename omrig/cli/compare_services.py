"""``omrig compare`` of two recordings of services."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import streams
from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.recordings import writer

if TYPE_CHECKING:
    from omrig.compare.services.comparison import Recorded

GATE_NOT_MET = 3

STDOUT = "-"
"""Where ``--json`` goes without a file."""


def run(options: argparse.Namespace) -> int:
    """Compare the two recordings that are named; the exit status."""
    from omrig.compare.services import comparison as services
    from omrig.report.terminal import services_comparison

    for flag in ("html", "junit"):
        if getattr(options, flag):
            raise UsageError(f"--{flag}: recordings are compared on the terminal and with --json")
    wanted = [services.parse_gate(text) for text in options.gate]
    base, new = _recorded(options.base, "BASE"), _recorded(options.new, "NEW")
    compared = services.compare(base, new, wanted)
    text = json.dumps(services.as_json(compared), indent=1, allow_nan=False) + "\n"
    if options.json not in (None, STDOUT):
        with errors.naming("--json"), writer.writing(Path(options.json)) as file:
            file.write(text)
    try:
        with streams.shown():
            if options.json == STDOUT:
                print(text, end="")
            else:
                services_comparison.show(compared)
    finally:
        for ruling in compared.rulings:
            if ruling.outcome != "met":
                sys.stderr.write(f"omrig: gate {ruling.outcome}: {ruling.gate.text}\n")
    return GATE_NOT_MET if compared.failed else 0


def _recorded(name: str, argument: str) -> "Recorded":
    """A recording with the messages of its methods, as far as their rows are still there."""
    from omrig.accounting.services import series
    from omrig.compare.services.comparison import Recorded
    from omrig.compare.services.methods import Messages
    from omrig.recordings import service_result

    folder = Path(name)
    result = service_result.read(folder, argument)
    try:
        found = series.of(folder)
    except UsageError as error:
        # Its result alone: what it says is shown, and nothing of it is tested.
        return Recorded(folder, result, {}, f"{argument}: {error}")
    messages = {name: Messages(each.latency_ns, each.stages) for name, each in found.items()}
    return Recorded(folder, result, messages)
