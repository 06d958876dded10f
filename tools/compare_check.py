"""Does `omrig compare` call what is there, and only that? Runs of the same, and a planted cost.

    tools/compare_check.py [--same 40] [--different 10] [--cost 0.03] [-m 2000] [-w 100]
        [--executor eventlet] [--keep DIR]

First pairs of runs that differ in nothing: at most a tenth of them may be called significant, and
of each headline figure at most a tenth of the intervals may exclude 1. Then pairs of which one run
has a cost planted in the producer's ``serialize_msg``, of ``--cost`` times the CPU of a message: it
has to be found and its stage named. All runs on one broker, in turn (base, new, new, base). Exits
with 1 if any of it does not hold.
"""

import argparse
import contextlib
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# As a program it is started from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from omrig.broker.rabbitmq.embedded import embedded_broker
from omrig.compare import comparison as compare
from omrig.compare import metrics, runs, table
from omrig.compare.comparison import Comparison
from omrig.compare.runs import Messages, RunSet, StoredRun
from omrig.model.units import MS
from tests.accuracy.bench import EXECUTORS, Bench

ALLOWED = 0.1
"""Of the comparisons of the same with the same that may be called significant."""

GROUPS = (3, 5, 10)
"""Pairs of runs that are compared together, beside one pair at a time."""

HELD_ON_AVERAGE = 1.5
"""The fault holds one half of the messages for its length and the other half twice as long."""

Pair = tuple[StoredRun, StoredRun]


class Rig:
    """Makes runs with the mode `faults` at hand and keeps their folders."""

    def __init__(self, bench: Bench, folder: Path, options: argparse.Namespace) -> None:
        self._bench = bench
        self._folder = folder
        self._options = options
        self._made = 0

    def run(self, cost_ms: float) -> StoredRun:
        """A run in which serializing takes ``cost_ms`` or twice as much longer; 0 is the base."""
        load = ("-w", str(self._options.workers))
        fault = {"kind": "serialize", "side": "producer", "ms": cost_ms}
        made = self._bench.run(self._options.executor, fault, load=load)
        self._made += 1
        folder = self._folder / f"run-{self._made}"
        stored = runs.read(str(folder), "run").runs[0]
        kept = self._folder / ("planted" if cost_ms else "plain")
        kept.mkdir(exist_ok=True)
        folder = folder.rename(kept / f"{self._made:03}")
        # 5 MB each, and nobody looks at a hundred of them.
        (folder / "report.html").unlink(missing_ok=True)
        held_ns = float(made.injected.mean())
        rate = stored.messages_per_second
        print(f"run {self._made}: {rate:,.0f} msg/s, held {held_ns / 1e3:.1f} us", flush=True)
        return StoredRun(folder, stored.run, stored.result)

    def pairs(self, count: int, cost_ms: float) -> list[Pair]:
        """So many pairs in turn, the new runs with the cost."""
        found = []
        for number in range(count):
            if number % 2:
                new, base = self.run(cost_ms), self.run(0.0)
            else:
                base, new = self.run(0.0), self.run(cost_ms)
            found.append((base, new))
        return found


def cpu_ms(stored: StoredRun) -> float:
    """CPU of both sides a message, in ms."""
    return metrics.of_run(stored.result)["cpu"] / MS


def compared(pairs: Sequence[Pair]) -> Comparison:
    """The comparison of some pairs together."""
    base, new = (RunSet(tuple(side)) for side in zip(*pairs, strict=True))
    messages: tuple[Messages | None, Messages | None] = (None, None)
    if len(pairs) == 1:
        messages = runs.read_messages(base.runs[0]), runs.read_messages(new.runs[0])
    return compare.compare(base, new, (), messages)


def groups(pairs: Sequence[Pair], size: int) -> Iterator[Comparison]:
    """The comparisons of each ``size`` neighbouring pairs."""
    for first in range(0, len(pairs) - size + 1, size):
        yield compared(pairs[first : first + size])


def excluding(found: Iterable[Comparison]) -> Counter[str]:
    """How many intervals of each headline figure exclude that nothing changed."""
    return Counter(
        row.metric.name
        for comparison in found
        for row in comparison.rows
        if row.metric.family == "headline" and table.excludes_no_change(row)
    )


def judge_same(pairs: Sequence[Pair]) -> bool:
    """Print what is called of pairs that do not differ; whether it is little enough."""
    fine = True
    for size in (1, *(size for size in GROUPS if size <= len(pairs))):
        found = list(groups(pairs, size))
        called = [comparison for comparison in found if comparison.call.significant]
        alone = excluding(found)
        allowed = math.ceil(ALLOWED * len(found))
        if size == 1:
            fine = max(len(called), *alone.values(), 0) <= allowed
        print(f"the same, {size} pair(s) at a time: {len(called)} of {len(found)} called")
        for comparison in called:
            print(f"  {comparison.call.text}")
        counts = ", ".join(f"{name} {count}" for name, count in alone.most_common())
        print(f"  intervals that exclude 1, of {len(found)} each: {counts or 'none'}")
    return fine


def judge_different(pairs: Sequence[Pair]) -> bool:
    """Print what is called of pairs with the planted cost; whether it is found and named."""
    found = compared(pairs)
    print(f"planted, {found.design.text}: {found.call.text}")
    for name in ("throughput", "p50", "cpu", "stage.serialize", "stage.serialize.p50"):
        row = table.by_name(found.rows)[name]
        if row.ratio:
            print(
                f"  {name}: {row.ratio.value:.3f}, 95 % interval {row.ratio.low:.3f} to"
                f" {row.ratio.high:.3f}, {'significant' if row.significant else 'not significant'}"
            )
    named = found.explanation.cause.stage if found.explanation else None
    print(f"  named: {named}")
    return found.call.significant and named == "serialize"


@contextlib.contextmanager
def working_folder(keep: str | None) -> Iterator[Path]:
    """A folder for the runs: the one to keep, else one that goes away."""
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
        yield Path(keep).absolute()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def check(rig: Rig, options: argparse.Namespace) -> bool:
    """Make the runs, print the findings, and say whether all of it holds."""
    fine = True
    if options.same:
        fine = judge_same(rig.pairs(options.same, 0.0))
    if options.different:
        plain = sorted(cpu_ms(rig.run(0.0)) for _ in range(3))[1]
        cost_ms = options.cost * plain / HELD_ON_AVERAGE
        print(f"a message takes {plain:.3f} ms of CPU; planted: {options.cost:.0%} of it")
        fine &= judge_different(rig.pairs(options.different, cost_ms))
    return fine


def main() -> int:
    """Run, print, and say whether all of it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--same", type=int, default=40, help="pairs of the same")
    parser.add_argument("--different", type=int, default=10, help="pairs with the cost planted")
    parser.add_argument("--cost", type=float, default=0.03, help="of the CPU of a message")
    parser.add_argument("-m", "--messages", type=int, default=2000)
    parser.add_argument("-w", "--workers", type=int, default=100)
    parser.add_argument("--executor", choices=EXECUTORS, default=EXECUTORS[0])
    parser.add_argument("--keep", metavar="DIR", help="keep the run folders here")
    options = parser.parse_args()
    with embedded_broker() as broker, working_folder(options.keep) as folder:
        rig = Rig(Bench(broker, folder, options.messages), folder, options)
        return int(not check(rig, options))


if __name__ == "__main__":
    sys.exit(main())
