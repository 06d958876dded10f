"""``omrig run --find-rate``: the highest rate at which a limit is kept."""

import argparse
import dataclasses
import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli import streams
from omrig.compare import gates, metrics
from omrig.compare.gates import Gate
from omrig.model.errors import UsageError
from omrig.model.found_rate import FoundRate
from omrig.model.plan import SIDES, Plan
from omrig.model.result import Result

if TYPE_CHECKING:
    from omrig.supervisor.brokers import Measure

RESULT = "find-rate.json"
"""What was found, in the folder of the runs."""

BEYOND = 10
"""Messages beyond a percentile without which it is an accident."""

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def run(
    options: argparse.Namespace,
    make_plan: Callable[[argparse.Namespace, tuple[str, ...]], Plan],
    measure: "Measure",
) -> int:
    """Search, and show what was found; the exit status.

    ``make_plan`` makes the plan that options ask for, ``measure`` does what a plan says.
    """
    from omrig.recordings import writer
    from omrig.report.terminal import found_rate, progress
    from omrig.supervisor.search import Search

    gate = _gate(options.find_rate)
    first, arrivals = options.rate, options.arrivals
    # They are of the runs that are made here, and not of the plan that all of them come from.
    options.rate = options.arrivals = None
    plan = make_plan(options, SIDES)
    if options.message_count or plan.pace.ramp or plan.pace.think_time_s:
        raise UsageError(
            "--find-rate: how many messages a run has, and at which rates, follows from the search;"
            " leave out -m, --ramp and --think-time"
        )
    folder = Path(options.output or _default_output())

    def make_display(requested: int | None) -> progress.Progress:
        return progress.make(requested, options.quiet or not sys.stderr.isatty(), options.debug)

    def say(text: str) -> None:
        if not options.quiet:
            sys.stderr.write(f"omrig: {text}\n")

    def judge(result: Result) -> tuple[float | None, str | None]:
        return _judged(gate, result)

    search = Search(plan, folder, measure, make_display, judge, _needed(gate), say)
    found, interrupted = search.run(gate.text, arrivals, first)
    found = dataclasses.replace(found, broke=_why(found))
    writer.write_json(folder / RESULT, found.to_json())
    with streams.shown():
        if options.json:
            print(json.dumps(found.to_json(), indent=1))
        else:
            found_rate.show(folder, found, gate.metric)
    if interrupted:
        return cli.INTERRUPTED
    return 0 if found.rate is not None else cli.INCOMPLETE


def _gate(text: str) -> Gate:
    gate = gates.parse(text, "--find-rate")
    if gate.relative:
        raise UsageError(f"--find-rate: {text!r}: there is nothing to be a percentage of")
    if gate.difference:
        raise UsageError(
            f"--find-rate: {text!r}: there is nothing to differ from; give a limit without a sign"
        )
    if not gate.at_most:
        raise UsageError(f"--find-rate: {text!r}: give what must not be exceeded, as in 'p99<50ms'")
    return gate


def _needed(gate: Gate) -> int:
    """How many messages a run needs for the metric to say something."""
    statistic = gate.metric.rpartition(".")[2]
    return round(BEYOND / (1 - _PERCENTILES.get(statistic, 0.9)))


def _judged(gate: Gate, result: Result) -> tuple[float | None, str | None]:
    """What a run came to, and why it does not hold; None where it does."""
    value = metrics.of_run(result).get(gate.metric)
    if gate.metric == metrics.ERRORS:
        value = float(result.messages.failed)
    if not result.complete:
        return value, str(result.reason)
    pacing = result.pacing
    if pacing and pacing.fell_behind:
        limit = f": {pacing.limited_by.text}" if pacing.limited_by else ""
        return value, f"sent {pacing.sent_per_second:,.1f}/s{limit}"
    if value is None:
        known = ", ".join(metrics.of_run(result))
        raise UsageError(f"--find-rate: {gate.text!r}: a run has no {gate.metric}; it has {known}")
    return value, f"{gate.metric} {gates.shown(gate, value)}" if gates.beyond(gate, value) else None


def _why(found: FoundRate) -> str | None:
    """Why the lowest rate that did not hold did not: what its last run says."""
    broken = [each for each in found.trials if each.broke and each.rate == found.broken_rate]
    return broken[-1].broke if broken else None


def _default_output() -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"omrig-runs/{now}-find-rate"
