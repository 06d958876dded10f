#!/usr/bin/env python
"""What it costs to draw the page of a large run: seconds, peak memory, size of the file.

Draws a synthetic run as ``omrig report RUN --html`` does, in a process of its own, and exits with 1
when a limit is passed. Usage: tools/page_cost.py [-m 1000000]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = "page.html"
MOST_SECONDS = 20.0
MOST_RSS_BYTES = 1 << 30
MOST_PAGE_BYTES = 6 * 10**6


def measure(messages: int) -> dict[str, tuple[float, float]]:
    """What the page of a run of so many messages costs, and what it may cost."""
    with tempfile.TemporaryDirectory() as parent:
        run = Path(parent) / "run"
        synthetic = Path(__file__).with_name("synthetic.py")
        subprocess.run([sys.executable, synthetic, "-m", str(messages), run], check=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "omrig", "report", str(run), "--html", str(run / PAGE)]
        # Only waited for by hand a child's own peak is told; and this process is small, because
        # what a child had before its exec counts as well.
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)
        return {
            "seconds": (seconds, MOST_SECONDS),
            "peak memory, bytes": (used.ru_maxrss * 1024, MOST_RSS_BYTES),
            "page, bytes": ((run / PAGE).stat().st_size, MOST_PAGE_BYTES),
        }


def main() -> int:
    """Measure what the command line asks for; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--message_count", type=int, default=1_000_000, metavar="N")
    found = measure(parser.parse_args().message_count)
    for name, (value, limit) in found.items():
        print(f"{name:20} {value:16,.2f} of {limit:,.0f}")
    return int(any(value > limit for value, limit in found.values()))


if __name__ == "__main__":
    sys.exit(main())
