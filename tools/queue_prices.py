#!/usr/bin/env python
"""What each kind of queue costs on each broker: the table of doc/queues.rst.

    tools/queue_prices.py [FOLDER ...] [--kinds classic,quorum] [--executors threading]
                          [--patterns call,fanout] [-m 1000] [-w 100] [--rounds 2]

FOLDER holds a RabbitMQ as ``OMRIG_RABBITMQ`` names one; without any it is the installed one. Every
kind is run once a round and broker, so that what the machine does meanwhile is spread over all of
them; a round begins with classic queues, which the others are compared with. Each run has to be
whole: every message counted, its books closed, nothing left on the broker (asked of the broker
itself). A run that is not is told on standard error, and the exit status is 1.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from omrig.broker.rabbitmq import installed
from omrig.broker.rabbitmq.embedded import Embedded, embedded_broker
from omrig.model import units
from tests.rabbitmqctl import declared

CLASSIC = "classic"

_QUORUM = ("rabbit_quorum_queue=true",)
_TRANSIENT = (*_QUORUM, "rabbit_transient_quorum_queue=true")
_STREAM = (*_TRANSIENT, "rabbit_stream_fanout=true", "rabbit_qos_prefetch_count=50")
"""A stream wants a prefetch, and that the other queues of its kind are quorum queues."""

_ALL = (*_STREAM, "use_queue_manager=true")
"""As kolla deploys them."""

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        CLASSIC: (),
        "classic durable": ("amqp_durable_queues=true",),
        "classic mirrored": ("rabbit_ha_queues=true",),
        "queue manager": ("use_queue_manager=true",),
        "quorum": _QUORUM,
        "quorum and transient": _TRANSIENT,
        "stream fanout": _STREAM,
        "all": _ALL,
        "all prefetch 1": (*_ALL, "rabbit_qos_prefetch_count=1"),
        "TLS": (),
    }
)
"""What is set for each kind of queue; TLS is a broker of its own."""

OF_TODAY = ("quorum", "quorum and transient", "all", "TLS")
"""What is priced where nobody says: what a cloud would choose from."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: figures a message, and stages as mean ns by name."""

    broker: str
    kind: str
    executor: str
    pattern: str
    rate: float
    p50_ns: int
    p99_ns: int
    cpu_ns: Mapping[str, float]
    stages_ns: Mapping[str, int]
    whose: str
    problems: tuple[str, ...]

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What it is one of several runs of."""
        return self.broker, self.pattern, self.executor, self.kind


def measure(
    broker: Embedded, kind: str, executor: str, pattern: str, options: argparse.Namespace
) -> Cell:
    """Run one kind once."""
    there = declared(broker)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "omrig", "run", "--json", "--quiet", "--output"]
        command += [f"{folder}/run", "--transport-url", _url(broker), "--executor", executor]
        command += ["--pattern", pattern, "-m", str(options.messages), "-w", str(options.workers)]
        for setting in (*KINDS[kind], *_tls(broker)):
            command += ["--set", setting]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stdout:
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise RuntimeError(lines[-1])
        run = json.loads((Path(folder) / "run" / "run.json").read_text())
    result = json.loads(done.stdout)
    left = declared(broker) - there
    problems = list(_problems(result, run, KINDS[kind], left))
    count = result["latency"]["count"] if result["latency"] else 1
    latency = result["latency"] or {"p50": 0, "p99": 0}
    return Cell(
        broker=run["environment"]["broker_version"],
        kind=kind,
        executor=executor,
        pattern=pattern,
        rate=result["throughput"]["messages_per_second"] if result["throughput"] else 0.0,
        p50_ns=latency["p50"],
        p99_ns=latency["p99"],
        cpu_ns={name: _cpu_ns(used, result) / count for name, used in result["resources"].items()},
        stages_ns={row["name"]: row["mean_ns"] for row in result["stages"] or ()},
        whose=result["verdict"]["text"] if result["verdict"] else "",
        problems=tuple(problems),
    )


def _url(broker: Embedded) -> str:
    return broker.url + ("?ssl=1" if broker.ca_file else "")


def _tls(broker: Embedded) -> Iterator[str]:
    if broker.ca_file:
        yield f"ssl_ca_file={broker.ca_file}"


def _cpu_ns(used: Mapping[str, Any] | None, result: Mapping[str, Any]) -> float:
    """CPU time of a process over the load, by samples of it from outside."""
    if not used or not used["sampled"]:
        return 0.0
    share = float(used["sampled"]["cpu_share_mean"])
    return share * float(result["throughput"]["duration_seconds"]) * units.NS


def _problems(
    result: Mapping[str, Any], run: Mapping[str, Any], wanted: Sequence[str], left: Iterable[str]
) -> Iterator[str]:
    """Whatever is not as it has to be."""
    messages, closure = result["messages"], result["closure"] or {}
    if not result["complete"]:
        yield f"incomplete: {result['reason']}"
    counts = [messages[name] for name in ("requested", "sent", "received")]
    if len(set(counts)) != 1 or messages["lost"] or messages["duplicated"] or messages["errors"]:
        yield f"counts: {messages}"
    adding_up = closure.get("within_tolerance") or 0
    if not closure or adding_up < 0.99 * closure["messages"] or closure["negative_stages"]:
        yield f"books: {closure}"
    told = {name.rpartition(" ")[2] for name in run["options"]}
    if missing := {setting.partition("=")[0] for setting in wanted} - told:
        yield f"not in the report: {', '.join(sorted(missing))}"
    if run["left_on_broker"] or set(left):
        yield f"left on the broker: {sorted(left)} {run['left_on_broker']}"


def rounds(options: argparse.Namespace) -> Iterator[Cell]:
    """All runs, as they come."""
    for number in range(options.rounds):
        for folder in options.folders:
            os.environ[installed.VARIABLE] = folder
            kinds = [CLASSIC, *(kind for kind in options.kinds if kind not in (CLASSIC, "TLS"))]
            with embedded_broker() as broker:
                yield from _on(broker, kinds[:: -1 if number % 2 else 1], options)
            if "TLS" in options.kinds:
                with embedded_broker(tls=True) as broker:
                    yield from _on(broker, ["TLS"], options)


def _on(broker: Embedded, kinds: Sequence[str], options: argparse.Namespace) -> Iterator[Cell]:
    for executor in options.executors:
        for pattern in options.patterns:
            for kind in kinds:
                try:
                    yield measure(broker, kind, executor, pattern, options)
                except RuntimeError as error:
                    print(f"{kind}, {executor}, {pattern}: {error}", file=sys.stderr, flush=True)


def payer(cells: Sequence[Cell], classic: Sequence[Cell]) -> str:
    """The stage that grew most against classic queues, and by how much on average."""
    if not classic or cells == classic:
        return ""
    grown = {
        name: _median(cells, name) - _median(classic, name)
        for name in {name for cell in (*cells, *classic) for name in cell.stages_ns}
    }
    name = max(grown, key=lambda each: grown[each])
    return f"{name} +{units.duration(grown[name])}" if grown[name] > 0 else "none"


def _median(cells: Sequence[Cell], stage: str) -> float:
    return statistics.median(cell.stages_ns.get(stage, 0) for cell in cells)


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """The lines of a reStructuredText table: medians over the rounds, the spread of the rates."""
    rows = [
        ["broker", "pattern", "executor", "queues", "msg/s", "against classic", "p50", "p99"]
        + ["CPU µs: producer", "consumer", "broker", "pays for it"]
    ]
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.row, []).append(cell)
    for row, found in groups.items():
        broker, pattern, executor, kind = row
        classic = groups.get((broker, pattern, executor, CLASSIC), [])
        rates = [cell.rate for cell in found]
        usual = statistics.median(cell.rate for cell in classic) if classic else 0.0
        against = f"{statistics.median(rates) / usual:.2f}" if usual else ""
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}" if len(rates) > 1 else f"{rates[0]:,.0f}"
        cpu = [
            f"{statistics.median(cell.cpu_ns.get(name, 0.0) for cell in found) / 1000:,.0f}"
            for name in ("producer", "consumer", "broker")
        ]
        times = [
            units.duration(statistics.median(getattr(cell, name) for cell in found))
            for name in ("p50_ns", "p99_ns")
        ]
        rows.append(
            [broker, pattern, executor, kind, spread, against, *times, *cpu, payer(found, classic)]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = " ".join("=" * width for width in widths)
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    yield from (rule, lines[0], rule, *lines[1:], rule)


def _listed(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    kinds = f"of: {', '.join(KINDS)}"
    parser.add_argument("--kinds", type=_listed, default=list(OF_TODAY), help=kinds)
    parser.add_argument("--executors", type=_listed, default=["eventlet", "threading"])
    parser.add_argument("--patterns", type=_listed, default=["call"])
    parser.add_argument("-m", "--messages", type=int, default=1000)
    parser.add_argument("-w", "--workers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    options.folders = options.folders or [""]
    cells = []
    for cell in rounds(options):
        cells.append(cell)
        print(dataclasses.asdict(cell), file=sys.stderr, flush=True)
    print("\n".join(table(cells)))
    print(f"\n{len(cells)} runs, {sum(bool(cell.problems) for cell in cells)} not whole")
    sys.exit(any(cell.problems for cell in cells))


if __name__ == "__main__":
    main()
