"""Which profiler mode works under which executor and Python, and how much it slows a run.

    tools/profilers.py [PYTHON ...] [--modes yappi,lines] [--executors threading] [-m 1000] [-w 10]

PYTHON are interpreters with omrig installed (default: this one). A mode that can be taken out and
put in again is compared within one run, slice by slice (10 pairs); another one in runs of its own
with --profile stages, in turn (9 pairs). Stages are in both, so that the ratio is what the mode
adds to them; they themselves are compared with --profile none. Each line on standard error has its
pairs and files; in the end comes the table of doc/profilers.rst: the median of the ratio of
throughput to that without the mode, quartiles in brackets, and of CPU a message; or why the mode
does not work there.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omrig.broker.rabbitmq.embedded import embedded_broker

MODES = {
    "stages": ["--twin"],
    "yappi": [],
    "lines": [],
    "memory-lines": ["--target", "oslo_messaging._drivers.common:serialize_msg"],
    "memory": [],
    "pyspy": [],
    "memray": [],
}
"""What is measured, each with the options it needs. `resources` is always on."""

PAIRS = 9
"""Pairs of runs for a mode that cannot be sliced."""

PAIRED_MESSAGES = 300
"""Messages of each of these runs."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A line of the table: ratios as (median, lower and upper quartile), None where not known."""

    mode: str
    executor: str
    python: str
    works: str
    throughput: tuple[float, float, float] | None
    cpu: float | None
    pairs: int
    files: tuple[str, ...]


def measure(python: str, mode: str, executor: str, url: str, options: argparse.Namespace) -> Cell:
    """One line of the table."""
    version = _version(python)
    load = ["-m", str(options.messages), "-w", str(options.workers), *MODES[mode]]
    result, failure = _run(python, url, executor, mode, load)
    if result is None:
        return Cell(mode, executor, version, failure, None, None, 0, ())
    files = tuple(sorted({Path(each["path"]).name for each in result["artefacts"]}))
    # What works from outside is not taken out and put in.
    found = (result["distortion"] or {}).get(mode)
    if found and found["throughput_ratio"] is not None:
        low, high = found["throughput_quartiles"]
        ratios = (found["throughput_ratio"], low, high)
        return Cell(
            mode, executor, version, "yes", ratios, found["cpu_ratio"], found["pairs"], files
        )
    rates, costs = _in_pairs(python, url, executor, mode, options.workers)
    low, middle, high = statistics.quantiles(rates, n=4)
    cpu = statistics.median(costs)
    return Cell(mode, executor, version, "yes", (middle, low, high), cpu, len(rates), files)


def _in_pairs(
    python: str, url: str, executor: str, mode: str, workers: int
) -> tuple[list[float], list[float]]:
    rates, costs = [], []
    load = ["-m", str(PAIRED_MESSAGES), "-w", str(workers)]
    without = "none" if mode == "stages" else "stages"
    for number in range(PAIRS):
        order = (without, mode) if number % 2 == 0 else (mode, without)
        found = {}
        for each in order:
            more = MODES[each] if each == mode else []
            result, failure = _run(python, url, executor, each, [*load, *more])
            if result is None:
                raise SystemExit(f"{each} under {executor}: {failure}")
            found[each] = result
        rates.append(_rate(found[mode]) / _rate(found[without]))
        costs.append(_cpu(found[mode]) / _cpu(found[without]))
    return rates, costs


def _rate(result: dict[str, Any]) -> float:
    return float(result["throughput"]["messages_per_second"])


def _cpu(result: dict[str, Any]) -> float:
    used = [result["resources"][side] for side in result["sides"]]
    return float(sum(each["cpu_user_seconds"] + each["cpu_system_seconds"] for each in used))


def _run(
    python: str, url: str, executor: str, mode: str, load: Sequence[str]
) -> tuple[dict[str, Any] | None, str]:
    """The result of a run, or what it said when it failed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "omrig", "run", "--transport-url", url, "--executor", executor]
        command += ["--profile", mode, "--json", "--quiet", "--output", f"{folder}/run", *load]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return None, lines[-1] if lines else f"exit status {done.returncode}"
    return json.loads(done.stdout), ""


def _version(python: str) -> str:
    program = "import sys; print('{}.{}'.format(*sys.version_info))"
    return subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """The lines of a reStructuredText table: a row a mode and executor, a column a Python."""
    pythons = list(dict.fromkeys(cell.python for cell in cells))
    found = {(cell.mode, cell.executor, cell.python): cell for cell in cells}
    rows = [["mode", "executor", *(f"Python {python}" for python in pythons)]]
    for mode, executor in dict.fromkeys((cell.mode, cell.executor) for cell in cells):
        told = [_told(found[mode, executor, python]) for python in pythons]
        rows.append([f"``{mode}``", executor, *told])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = " ".join("=" * width for width in widths)
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    yield from (rule, lines[0], rule, *lines[1:], rule)


def _told(cell: Cell) -> str:
    if cell.throughput is None or cell.cpu is None:
        return cell.works
    middle, low, high = cell.throughput
    return f"{middle:.2f} [{low:.2f}, {high:.2f}], {cell.cpu:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="*", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--executors", default="eventlet,threading")
    parser.add_argument("-m", "--messages", type=int, default=1000)
    parser.add_argument("-w", "--workers", type=int, default=10)
    options = parser.parse_args()
    cells = []
    with embedded_broker() as broker:
        for mode in options.modes.split(","):
            for executor in options.executors.split(","):
                for python in options.pythons:
                    cells.append(measure(python, mode, executor, broker.url, options))
                    print(cells[-1], file=sys.stderr, flush=True)
    print("\n".join(table(cells)))


if __name__ == "__main__":
    main()
