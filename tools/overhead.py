"""What the rig costs: throughput of `omrig run` against a bare loop, in interleaved pairs.

    tools/overhead.py [--pairs 15] [-m 5000] [-w 100] [-s 10] [--executor eventlet]

Prints a line a pair, then median, spread and the ratio that omrig keeps. Order within the pairs
alternates (ABBA), one broker serves all of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from omrig.broker.embedded import embedded_broker

BARE = str(Path(__file__).with_name("bare_loop.py"))


def bare(url: str, options: argparse.Namespace) -> float:
    """Messages per second of the bare loop."""
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
            return float(client.stdout)
        finally:
            server.kill()


def rig(url: str, options: argparse.Namespace, profile: str) -> float:
    """Messages per second of `omrig run`."""
    with tempfile.TemporaryDirectory() as folder:
        load = ["-m", options.messages, "-w", options.workers, "-s", options.size_kb]
        how = ["--executor", options.executor, "--profile", profile, "--output", f"{folder}/run"]
        done = subprocess.run(
            [sys.executable, "-m", "omrig", "run", "--transport-url", url, "--json", "--quiet"]
            + [str(argument) for argument in load + how],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return float(json.loads(done.stdout)["throughput"]["messages_per_second"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("-m", "--messages", type=int, default=5000)
    parser.add_argument("-w", "--workers", type=int, default=100)
    parser.add_argument("-s", "--size-kb", type=int, default=10)
    parser.add_argument("--executor", default="eventlet")
    options = parser.parse_args()
    ratios = []
    with embedded_broker() as broker:
        for number in range(options.pairs):
            if number % 2:
                measured = rig(broker.url, options, "none")
                reference = bare(broker.url, options)
            else:
                reference = bare(broker.url, options)
                measured = rig(broker.url, options, "none")
            ratios.append(measured / reference)
            print(
                f"pair {number + 1:2}: bare {reference:7.1f} msg/s, omrig {measured:7.1f} msg/s,"
                f" ratio {ratios[-1]:.3f}",
                flush=True,
            )
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"omrig run --profile none keeps {middle:.3f} of the bare loop's throughput"
        f" (median of {len(ratios)} pairs; quartiles {low:.3f} to {high:.3f},"
        f" range {min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
