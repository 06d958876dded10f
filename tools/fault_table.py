"""Does omrig name the right stage? Faults of known size, and where their time came to lie.

    tools/fault_table.py [--faults serialize,link,...] [--executor eventlet|threading]
        [--messages 200]

Prints a line for each fault and a confusion matrix: the stages that should have grown against the
stage that grew most. Exits with 1 if any fault was named wrongly. ``tests/accuracy`` injects them.
"""

import argparse
import sys
from pathlib import Path

# As a program it is started from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from omrig.model.units import MS
from tests.accuracy.bench import EXECUTORS, bench
from tests.accuracy.faults import FAULTS, Finding


def show(findings: list[Finding]) -> None:
    """Print what became of the faults."""
    from rich.console import Console
    from rich.table import Table

    table = Table("fault", "executor", "injected", "where it should", "elsewhere", "verdict")
    for found in findings:
        expected = [f"{name} {_ms(found.growth[name])}" for name in found.injected]
        verdict = found.run.result["verdict"]
        table.add_row(
            found.fault,
            found.executor,
            _ms(found.size),
            "\n".join(expected + [f"{found.share:.1%} of all growth"]),
            f"{found.largest_other} {_ms(found.growth[found.largest_other])}",
            f"{verdict['owner']}, {verdict['stage']}: {verdict['text']}",
        )
    console = Console(width=max(160, Console().width))
    console.print(table)
    columns = sorted({found.named for found in findings})
    matrix = Table("fault, and the stages it belongs to", *columns, title="grew most")
    for fault in dict.fromkeys(found.fault for found in findings):
        mine = [found for found in findings if found.fault == fault]
        counts = [sum(found.named == name for found in mine) for name in columns]
        expected = [name for name in mine[0].injected if name in columns]
        label = f"{fault}: {', '.join(expected or mine[0].injected)}"
        matrix.add_row(label, *(str(count or "") for count in counts))
    console.print(matrix)


def _ms(nanoseconds: float) -> str:
    return f"{nanoseconds / MS:+.3f} ms"


def main() -> int:
    """Inject, print, and say whether all were named rightly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200, help="of a run with one worker")
    parser.add_argument("--executor", choices=EXECUTORS, help="default: both")
    parser.add_argument("--faults", default=",".join(FAULTS), help="default: %(default)s")
    options = parser.parse_args()
    chosen = options.faults.split(",")
    findings = []
    for speaks_tls in (False, True):
        names = [name for name in chosen if name.startswith("tls_") == speaks_tls]
        if not names:
            continue
        with bench(options.messages, tls=speaks_tls) as running:
            for name in names:
                for executor in [options.executor] if options.executor else EXECUTORS:
                    print(f"{name}, {executor}", file=sys.stderr, flush=True)
                    findings.append(FAULTS[name](running, executor))
    show(findings)
    return int(any(found.named not in found.injected for found in findings))


if __name__ == "__main__":
    sys.exit(main())
