"""How often is an experiment wrong, and how many rounds does a decision cost?

    tools/experiment_rates.py simulate
    tools/experiment_rates.py record POOL [-n 30] [--cost 0.03] [-m 400] [-w 10]
    tools/experiment_rates.py draw POOL [--experiments 4000] [--margin 0.05]
    tools/experiment_rates.py whole FOLDER [--count 20] [--cost 0.03] [--margin 0.05] [-n 40]

``simulate`` prints the error rates and prices of doc/experiments.rst, from noise of known shapes.
``record`` measures rounds of the same with the same in POOL/same and, with ``--cost``, of the same
and one with a cost planted in ``serialize_msg`` (times the CPU of a message) in POOL/planted; told
again with a larger ``-n`` it goes on. ``draw`` makes experiments of rounds drawn from there, and
``whole`` runs experiments until they are decided, in FOLDER/01 and so on; both count the answers.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

# As a program it is started from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy
from numpy.random import Generator

from omrig.compare import runs
from omrig.experiment import journal, sequential, until
from omrig.experiment.sequential import DEFAULT_MARGIN, LOOKS, METRICS
from omrig.model.columns import Floats, Integers
from omrig.model.units import MS
from tests.accuracy import injection

ANSWERS = ("undecided", "different", "same")

CALIBRATED_S = 3.0
"""So long one looks how much is computed in a millisecond, at the speeds that the core has."""

ALIKE = 0.5
"""How alike the metrics of a round are in what is simulated: throughput and p50 are more so."""

Noise = Callable[[Generator, tuple[int, ...]], Floats]
"""Noise of a shape whose last axis is the rounds, with a spread of about 1."""


def normal(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """Noise as the method takes it to be."""
    return rng.normal(0, 1, shape)


def heavy(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """Student's with three degrees of freedom: a round in a hundred is five times as far out."""
    drawn: Floats = rng.standard_t(3, shape) / math.sqrt(3)
    return drawn


def hiccups(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """One run in fifteen, of either side, is 15 times as far out as the others are."""
    slow = (rng.random((2, *shape)) < 1 / 15) * 15.0
    noise: Floats = rng.normal(0, 1, shape) + slow[0] - slow[1]
    return noise


def drifting(rng: Generator, shape: tuple[int, ...]) -> Floats:
    """A speed that wanders from run to run; which of a round's two runs is first goes by lot."""
    steps = rng.normal(0, 1, (*shape[:-1], 2 * shape[-1])).cumsum(axis=-1)
    lot = rng.choice([-1, 1], (shape[0], 1, shape[-1]))
    noise: Floats = (steps[..., 1::2] - steps[..., ::2]) * lot
    return noise


NOISES: dict[str, Noise] = {
    "normal": normal,
    "heavy-tailed": heavy,
    "hiccups": hiccups,
    "drifting": drifting,
}


def judged(logs: Floats, margin: float) -> tuple[Integers, Integers]:
    """What experiments say, and after how many rounds: ``logs`` by experiment, metric and round.

    By the very intervals that :func:`omrig.experiment.sequential.judge` goes by, for many
    experiments at once. The first number is the place in :data:`ANSWERS`.
    """
    count, metrics, rounds = logs.shape
    words = numpy.zeros(count, numpy.int64)
    stopped = numpy.full(count, rounds)
    for look, level in zip(LOOKS, sequential.levels(), strict=True):
        if look > rounds:
            break
        low, high = sequential.limits(logs[..., :look], level / metrics)
        least, most = sequential.limits(logs[..., :look], 2 * level)
        within = math.log1p(margin)
        differs = numpy.logical_or.reduce((low > 0) | (high < 0), axis=1)
        matches = numpy.logical_and.reduce((least >= -within) & (most <= within), axis=1)
        now = (words == 0) & (differs | matches)
        words[now] = numpy.where(differs[now], 1, 2)
        stopped[now] = look
    return words, stopped


def simulated(
    noise: Noise,
    spread: float,
    difference: float = 0.0,
    *,
    metrics: int = len(METRICS),
    margin: float = DEFAULT_MARGIN,
    experiments: int = 4000,
    rounds: int = LOOKS[-1],
    seed: int = 1,
) -> tuple[Integers, Integers]:
    """What is said of ratios whose logarithms are ``spread`` around ``difference``."""
    rng = numpy.random.default_rng(seed)
    common = noise(rng, (experiments, 1, rounds))
    own = noise(rng, (experiments, metrics, rounds))
    mixed = math.sqrt(ALIKE) * common + math.sqrt(1 - ALIKE) * own
    return judged(difference + spread * mixed, margin)


def simulate(options: argparse.Namespace) -> None:
    """Print how often experiments err, and what a decision costs."""
    count = options.experiments
    print(f"wrong in % of {count} experiments, of at most 5: called different though the same,")
    print("and called the same within 5 % though different by just that (of one metric)")
    for name, noise in NOISES.items():
        for spread in (0.01, 0.02, 0.04, 0.08):
            words, _ = simulated(noise, spread, experiments=count)
            margin = math.log1p(DEFAULT_MARGIN)
            others, _ = simulated(noise, spread, margin, metrics=1, experiments=count)
            different, same = 100 * (words == 1).mean(), 100 * (others == 2).mean()
            print(f"  {name:13}{100 * spread:3.0f} %{different:7.1f}{same:7.1f}")
    print("rounds until decided (mean, nine of ten), and what is said, at most 160 rounds")
    for spread in (0.01, 0.02, 0.04, 0.08):
        for change in (0.0, 0.01, 0.03, 0.05, 0.1):
            found = simulated(normal, spread, math.log1p(change), experiments=count)
            print(
                f"  spread {100 * spread:2.0f} %, change {100 * change:3.0f} %: {_counted(*found)}"
            )


def _counted(words: Integers, stopped: Integers) -> str:
    shares = [f"{name} {100 * (words == at).mean():.1f} %" for at, name in enumerate(ANSWERS)]
    rounds = f"{stopped.mean():.1f} rounds, {numpy.percentile(stopped, 90):.0f}"
    return f"{rounds}; {', '.join(reversed(shares))}"


def numbers_in(cost_ms: float) -> int:
    """How many numbers are added in so many ms of CPU."""
    numbers, turns, began = 10_000, 0, time.process_time()
    end = time.monotonic() + CALIBRATED_S
    while time.monotonic() < end:
        injection.compute(numbers)
        turns += 1
    each_ms = (time.process_time() - began) / turns * 1000
    return round(numbers * cost_ms / each_ms)


@contextlib.contextmanager
def planting(cost_ms: float) -> Iterator[dict[str, str]]:
    """The environment in which ``--profile faults,stages`` makes serializing take longer."""
    with tempfile.TemporaryDirectory() as folder:
        about = Path(folder) / "omrig_faults-0.dist-info"
        about.mkdir()
        (Path(folder) / "omrig_faults.py").symlink_to(Path(injection.__file__).resolve())
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: omrig_faults\nVersion: 0\n")
        (about / "entry_points.txt").write_text("[omrig.profilers]\nfaults = omrig_faults:Faults\n")
        fault = {"kind": "work", "side": "producer", "numbers": numbers_in(cost_ms)}
        yield {**os.environ, "PYTHONPATH": folder, injection.FAULT: json.dumps(fault)}


def ab(folder: Path, options: argparse.Namespace, cost_ms: float, *rule: str) -> None:
    """Measure an experiment, or go on with it. Raises ``CalledProcessError`` where that fails."""
    load = ["-w", str(options.workers), "--executor", options.executor]
    load += ["--duration", str(options.duet)] if options.duet else ["-m", str(options.messages)]
    planted = ["--profile", "faults,stages"] if cost_ms else []
    where = ["--resume" if (folder / journal.NAME).exists() else "--output", str(folder)]
    begins = ["--duet"] if options.duet and where[0] == "--output" else []
    command = [sys.executable, "-m", "omrig", "ab", "--quiet", *begins, *where, *rule]
    with planting(cost_ms) as environment:
        subprocess.run(
            [*command, "--", *load, "--", *load, *planted],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )


def read(folder: Path) -> Floats:
    """The logarithms of the ratios of an experiment's rounds, by metric and round."""
    about = journal.read(folder, "POOL")
    sides: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for both in about.together("a", "b"):
        for side, name, number in zip(sides, "ab", both, strict=True):
            found = runs.read(str(folder / name / f"{number:02}"), "POOL")
            side.append(until.figures(found.runs[0]))
    return numpy.array([sequential.log_ratios(name, *sides) for name in METRICS])


def cpu_ms(folder: Path) -> float:
    """CPU of a message in the runs of the base, in ms."""
    found = [until.figures(each)["cpu"] for each in runs.read(str(folder / "a"), "POOL").runs]
    return float(numpy.median(found)) / MS


def record(options: argparse.Namespace) -> None:
    """Measure the rounds to draw from."""
    pool = Path(options.folder)
    ab(pool / "same", options, 0.0, "-n", str(options.rounds))
    if options.cost:
        cost_ms = options.cost * cpu_ms(pool / "same")
        ab(pool / "planted", options, cost_ms, "-n", str(options.rounds))
    for name in ("same", "planted"):
        if (pool / name).exists():
            _show(name, read(pool / name))


def _show(name: str, logs: Floats) -> None:
    print(f"{name}, {logs.shape[1]} rounds:")
    for metric, each in zip(METRICS, logs, strict=True):
        middle = numpy.median(each)
        beyond = numpy.abs(each - middle).max() / (1.4826 * numpy.median(numpy.abs(each - middle)))
        print(
            f"  {metric}: mean {100 * each.mean():+.2f} %, standard deviation"
            f" {100 * each.std(ddof=1):.2f} %, the furthest round {beyond:.1f} robust ones out"
        )


def draw(options: argparse.Namespace) -> None:
    """Count what experiments say whose rounds are drawn from those that were recorded."""
    pool = Path(options.folder)
    rng = numpy.random.default_rng(1)
    for name in ("same", "planted"):
        if not (pool / name).exists():
            continue
        logs = read(pool / name)
        _show(name, logs)
        drawn = rng.integers(0, logs.shape[1], (options.experiments, LOOKS[-1]))
        found = logs[:, drawn].swapaxes(0, 1)
        if name == "same":
            # Which of two equal runs is called the base is chance.
            found = found * rng.choice([-1, 1], (options.experiments, 1, LOOKS[-1]))
        print(f"  {_counted(*judged(found, options.margin))}")


def whole(options: argparse.Namespace) -> None:
    """Run experiments until they are decided, and count what they say."""
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    cost_ms = 0.0
    if options.cost:
        ab(folder / "plain", options, 0.0, "-n", "3")
        cost_ms = options.cost * cpu_ms(folder / "plain")
        print(f"planted: {1000 * cost_ms:.1f} us a message", flush=True)
    rule = ("--until", "decided", "--margin", f"{100 * options.margin:g}%")
    said: Counter[str] = Counter()
    rounds = []
    for number in range(1, options.count + 1):
        place = folder / f"{number:02}"
        if not (place / journal.NAME).exists():
            ab(place, options, cost_ms, *rule, "-n", str(options.rounds))
        elif not journal.read(place, "FOLDER").complete:
            ab(place, options, cost_ms)
        decision = journal.read(place, "FOLDER").decision
        assert decision
        said[decision.word] += 1
        rounds.append(decision.rounds)
        print(f"{number}: {decision.text}", flush=True)
    print(f"{dict(said)}; rounds {min(rounds)} to {max(rounds)}, mean {numpy.mean(rounds):.1f}")


COMMANDS = {"simulate": simulate, "record": record, "draw": draw, "whole": whole}


def main() -> None:
    """Do what is asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder", nargs="?", default="")
    parser.add_argument("-n", "--rounds", type=int, default=30)
    parser.add_argument("--count", type=int, default=20, help="whole experiments")
    parser.add_argument("--experiments", type=int, default=4000, help="simulated, or drawn")
    parser.add_argument("--cost", type=float, default=0.0, help="of the CPU of a message")
    parser.add_argument("--margin", type=float, default=DEFAULT_MARGIN)
    parser.add_argument("-m", "--messages", type=int, default=400)
    parser.add_argument("-w", "--workers", type=int, default=10)
    parser.add_argument("--executor", default="threading")
    parser.add_argument("--duet", type=float, metavar="SECONDS", help="both at once, for so long")
    options = parser.parse_args()
    if options.command != "simulate" and not options.folder:
        parser.error("FOLDER: where the runs are")
    COMMANDS[options.command](options)


if __name__ == "__main__":
    main()
