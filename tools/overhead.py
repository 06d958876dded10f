"""What the rig and its stage instrument cost, in interleaved pairs of runs on one broker.

    tools/overhead.py bare     `omrig run --profile none` against a bare loop over oslo.messaging
    tools/overhead.py stages   `omrig run --profile stages` against `--profile none`
        [--pairs 15] [-m 5000] [-w 100] [-s 10] [--executor eventlet] [--pattern call] [--sample N]
        [--together]

Prints a line a pair, then median, quartiles and range of the ratio of throughput and, for stages,
of CPU a message of both sides (and with the watchers' CPU). Order within the pairs alternates
(ABBA). With ``--together`` both runs of a pair go on at the same time: whatever else takes the
machine's speed takes it from both, so that CPU a message is told far more exactly; the throughput
then says only that they shared the cores.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from omrig.broker.rabbitmq.embedded import embedded_broker

BARE = str(Path(__file__).with_name("bare_loop.py"))

Figures = dict[str, float]
"""``rate`` in msg/s, ``cpu`` in CPU seconds a message, ``cpu_with_watchers`` likewise."""


def bare(url: str, options: argparse.Namespace) -> Figures:
    """The bare loop."""
    environment = {**os.environ, "BARE_URL": url}
    with subprocess.Popen(
        [sys.executable, BARE, "server", options.executor],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            if not server.stdout or server.stdout.readline() != "ready\n":
                raise SystemExit("the bare server did not start")
            load = [options.messages, options.workers, options.size_kb * 1024, 50]
            client = subprocess.run(
                [sys.executable, BARE, "client", options.executor, *map(str, load)],
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            return {"rate": float(client.stdout)}
        finally:
            server.kill()


def rig(url: str, options: argparse.Namespace, profile: str) -> Figures:
    """`omrig run` with a profiler mode."""
    with tempfile.TemporaryDirectory() as folder:
        load = ["-m", options.messages, "-w", options.workers, "-s", options.size_kb]
        how = ["--executor", options.executor, "--pattern", options.pattern, "--profile", profile]
        how += ["--sample", f"1/{options.sample}", "--output", f"{folder}/run"]
        # Two runs at a time must not serve each other.
        how += ["--topic", f"overhead-{profile}"]
        done = subprocess.run(
            [sys.executable, "-m", "omrig", "run", "--transport-url", url, "--json", "--quiet"]
            + [str(argument) for argument in load + how],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        watchers = sum(
            json.loads(path.read_text())["watcher"]["cpu_ns"] / 1e9
            for path in Path(folder).glob("run/*/stages.json")
        )
    result = json.loads(done.stdout)
    cpu = sum(
        result["resources"][side]["cpu_user_seconds"]
        + result["resources"][side]["cpu_system_seconds"]
        for side in result["sides"]
    )
    return {
        "rate": float(result["throughput"]["messages_per_second"]),
        "cpu": cpu / options.messages,
        "cpu_with_watchers": (cpu + watchers) / options.messages,
    }


def summary(ratios: list[float]) -> str:
    """Median, quartiles and range."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"{middle:.3f} (median of {len(ratios)} pairs; quartiles {low:.3f} to {high:.3f},"
        f" range {min(ratios):.3f} to {max(ratios):.3f})"
    )


def compare(
    options: argparse.Namespace, reference: Callable[[], Figures], measured: Callable[[], Figures]
) -> None:
    """Run the pairs and print them."""
    ratios: dict[str, list[float]] = {}
    for number in range(options.pairs):
        if options.together:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                order = (measured, reference) if number % 2 else (reference, measured)
                under_way = {run: pool.submit(run) for run in order}
                base, new = under_way[reference].result(), under_way[measured].result()
        elif number % 2:
            new, base = measured(), reference()
        else:
            base, new = reference(), measured()
        shared = base.keys() & new.keys()
        for name in shared:
            ratios.setdefault(name, []).append(new[name] / base[name])
        print(
            f"pair {number + 1:2}: {base['rate']:7.1f} and {new['rate']:7.1f} msg/s,"
            f" ratio {ratios['rate'][-1]:.3f}",
            flush=True,
        )
    print(f"throughput: {summary(ratios['rate'])}")
    for name in ("cpu", "cpu_with_watchers"):
        if name in ratios:
            print(f"{name.replace('_', ' ')} a message: {summary(ratios[name])}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("bare", "stages"))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("-m", "--messages", type=int, default=5000)
    parser.add_argument("-w", "--workers", type=int, default=100)
    parser.add_argument("-s", "--size-kb", type=int, default=10)
    parser.add_argument("--executor", default="eventlet")
    parser.add_argument("--pattern", default="call")
    parser.add_argument("--sample", type=int, default=1)
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    with embedded_broker() as broker:
        url = broker.url
        if options.what == "bare":
            compare(options, lambda: bare(url, options), lambda: rig(url, options, "none"))
        else:
            compare(
                options,
                lambda: rig(url, options, "none"),
                lambda: rig(url, options, "stages"),
            )


if __name__ == "__main__":
    main()
